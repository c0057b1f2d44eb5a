/* SPDX-License-Identifier: MIT */
/* No wake is lost among threads that share a lock (rule 4). The children of the branches do everything that may delay a
 * wake, and are interrupted at random moments. Only the interrupt ends a child: if it is lost, the child blocks
 * indefinitely, and the test fails by its limit. */
#include <bough.h>
#include <bough/interpose.h>
#include <stdbool.h>
#include "random_delay.h"

enum { MEMBERS = 24 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* the lock that they share */
static int silent[2];
static _Atomic long cuts, begun;

extern void (*volatile bo_hook_pace_put_off)(void) __attribute__((weak));
extern void (*volatile bo_hook_pace_next)(void) __attribute__((weak));
extern void (*volatile bo_hook_post_sent)(void) __attribute__((weak));

static void delay(void)
{
    static _Atomic uint64_t turn = 1;
    uint64_t random = ++turn * 0x9e3779b97f4a7c15u;
    if (t_random(&random) & 1)
        pause_at_random(&random);
}

static int block(void)
{
    char byte;
    int r = (int)bough_read(silent[0], &byte, 1);
    CHECK_EQ(r, -1);
    CHECK_EQ(errno, ECANCELED);
    cuts++;
    return ECANCELED;
}

static int with_the_lock(void)
{
    int error = block();
    pthread_mutex_lock(&lock);
    bough_paced();
    pthread_mutex_unlock(&lock);
    return error;
}

/* Waits inside libc, where the wake is repeated. */
static int in_libc(void)
{
    sem_t never;
    sem_init(&never, 0, 0);
    CHECK_ERR(bough_sem_wait(&never), ECANCELED);
    sem_destroy(&never);
    cuts++;
    bough_paced();
    return ECANCELED;
}

static int again_and_again(void)
{
    for (int i = 0; i < 3; i++)
        block();
    return ECANCELED;
}

static int ends_in_branch(void *unused)
{
    (void)unused;
    CHECK_EQ(bough_foreign_set(&(struct bough_foreign){.paced = 1}), 0);
    return block();
}

static int with_children(void)
{
    BOUGH_BRANCH(b) {
        bough_add(b, ends_in_branch, bough_arg(NULL)); /* may be refused, because the interrupt was posted already */
        bough_add(b, ends_in_branch, bough_arg(NULL));
        block();
    }
    return ECANCELED;
}

static _Atomic(bough_branch *) posted_to;

/* A member posts, as a child that fails does. */
static int posts(void)
{
    int error = block();
    bough_interrupt(posted_to, "by one of them");
    bough_paced();
    return error;
}

static int late(void)
{
    uint64_t random = (uint64_t)t_now() | 1;
    int error = block();
    pause_at_random(&random);
    bough_paced();
    return error;
}

static int (*const manners[])(void) = {with_the_lock,   with_the_lock, with_the_lock, block, in_libc,
                                       again_and_again, with_children, posts,         late};
enum { MANNERS = sizeof manners / sizeof *manners };

static int member(void *value)
{
    uintptr_t random = (uintptr_t)value;
    begun++;
    if (random % 8)
        CHECK_EQ(bough_foreign_set(&(struct bough_foreign){.paced = 1}), 0);
    return manners[random / 8 % MANNERS]();
}

static void *posts_too(void *value)
{
    uint64_t random = (uintptr_t)value;
    pause_at_random(&random);
    bough_interrupt(posted_to, "from outside");
    return NULL;
}

/* Two posters at a time, whose posts may overlap. */
static void stop_a_crowd(uint64_t *random)
{
    struct t_thread poster;
    BOUGH_BRANCH(b) {
        posted_to = b;
        begun = 0;
        for (int i = 0; i < MEMBERS; i++)
            CHECK(bough_add(b, member, bough_arg((void *)(uintptr_t)(t_random(random) >> 8))));
        t_spawn(&poster, posts_too, (void *)(uintptr_t)(t_random(random) | 1));
        for (bool wait = t_random(random) % 8; wait && begun < MEMBERS;)
            sched_yield(); /* by then usually all threads except the last one are blocked */
        pause_at_random(random);
        bough_interrupt(b, "all of them");
        t_join(&poster);
    }
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], MEMBERS);
}

TEST_LIMIT(no_member_of_a_crowd_is_lost, 2000)
{
    uint64_t random = t_seed();
    CHECK_EQ(pipe(silent), 0);
    CHECK(bough_adopt("main"));
    if (&bo_hook_pace_next) {
        bo_hook_pace_next = bo_hook_pace_put_off = bo_hook_post_sent = delay;
        t_note("with delays in the race windows");
    }
    while (cuts < t_loss())
        stop_a_crowd(&random);
    t_note("%ld cuts", (long)cuts);
    close(silent[0]);
    close(silent[1]);
}

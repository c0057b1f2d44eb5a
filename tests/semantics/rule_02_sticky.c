/* SPDX-License-Identifier: MIT */
/* Rule 2: sticky and level-triggered. */
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "target.h"

static void fail_at_every_point(void)
{
    char byte;
    struct timespec long_time = {100, 0};
    bough_sem sem = BOUGH_SEM_INIT(1);
    CHECK_ERR(bough_check(), ECANCELED);
    CHECK_ERR(bough_read(0, &byte, 1), ECANCELED);
    CHECK_ERR(bough_nanosleep(&long_time, NULL), ECANCELED);
    CHECK_ERR(bough_poll(NULL, 0, -1), ECANCELED);
    CHECK_ERR(bough_sem_acquire(&sem, 0), ECANCELED);
    CHECK_EQ(bough_interrupted(), 1);
}

TEST(every_point_fails_until_it_is_cleared)
{
    post_stop(bough_self());
    for (int i = 0; i < 100; i++)
        fail_at_every_point();
    CHECK_EQ(bough_clear(NULL), 1);
    CHECK_EQ(bough_interrupted(), 0);
    CHECK_EQ(bough_check(), 0);
    CHECK_EQ(bough_poll(NULL, 0, 0), 0);
}

static int nothing(void *unused)
{
    (void)unused;
    return 0;
}

/* tests/calls/recipe.h tests the calls of the table in the same way. */
TEST(every_point_fails_although_it_could_end_at_once)
{
    bough_post over = post_stop(bough_self());
    CHECK_EQ(bough_clear(NULL), 1);
    BOUGH_BRANCH(b) {
        bough_thread *ended = bough_add(b, nothing, bough_arg(NULL));
        CHECK_EQ(bough_join(ended), 0);
        CHECK_EQ(bough_join(ended), 0);
        post_stop(bough_self());
        CHECK_ERR(bough_join(ended), ECANCELED);
        CHECK_ERR(bough_post_wait(over, 0), ECANCELED);
        CHECK_ERR(bough_post_wait((bough_post){0}, 0), ECANCELED);
        CHECK_EQ(bough_clear(NULL), 1);
        CHECK_EQ(bough_post_wait(over, 0), 0);
    }
    CHECK_EQ(bough_last_result(), 0);
}

/* The deadline of each call has passed before it begins. */
TEST(every_point_fails_although_its_deadline_has_passed)
{
    enum { PAST = 1 };
    int pipe_ends[2], sockets[2];
    char byte;
    uint32_t word = 0;
    struct sockaddr_un nowhere = {.sun_family = AF_UNIX};
    bough_sem sem = BOUGH_SEM_INIT(0);
    bough_mutex mutex = BOUGH_MUTEX_INIT;
    bough_cond cond = BOUGH_COND_INIT;
    bough_event_flag event = BOUGH_EVENT_INIT;
    CHECK_EQ(pipe(pipe_ends), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    CHECK_EQ(bough_mutex_lock(&mutex, 0), 0);
    post_stop(bough_self());
    CHECK_ERR(bough_read_full(pipe_ends[0], &byte, 1, NULL, PAST), ECANCELED);
    CHECK_ERR(bough_write_all(pipe_ends[1], &byte, 1, NULL, PAST), ECANCELED);
    CHECK_ERR(bough_read_full(sockets[0], &byte, 1, NULL, PAST), ECANCELED);
    CHECK_ERR(bough_connect_deadline(sockets[0], (void *)&nowhere, sizeof nowhere, PAST), ECANCELED);
    CHECK_ERR(bough_futex_wait(&word, 0, PAST), ECANCELED);
    CHECK_ERR(bough_futex_wait(&word, 1, PAST), ECANCELED);
    CHECK_ERR(bough_sem_acquire(&sem, PAST), ECANCELED);
    CHECK_ERR(bough_event_wait(&event, PAST), ECANCELED);
    CHECK_ERR(bough_cond_await(&cond, &mutex, PAST), ECANCELED);
    CHECK_EQ(bough_mutex_unlock(&mutex), 0);
    CHECK_ERR(bough_mutex_lock(&mutex, PAST), ECANCELED);
    CHECK_EQ(bough_clear(NULL), 1);
    for (int i = 0; i < 2; i++) {
        close(pipe_ends[i]);
        close(sockets[i]);
    }
}

static void fail_often(struct target *t)
{
    CHECK_EQ(t->error, ECANCELED);
    for (int i = 0; i < 10; i++)
        fail_at_every_point();
}

TEST(an_interrupted_call_does_not_consume_the_record)
{
    struct target t = {.after = fail_often};
    target_start(&t);
    bough_post post = post_stop(t.self);
    target_was_cut(&t);
    CHECK_EQ(bough_post_status(post), BOUGH_POST_DELIVERED);
    target_end(&t);
}

TEST(only_the_target_clears)
{
    struct target t = {0};
    target_start(&t);
    bough_post post = post_stop(t.self);
    target_was_cut(&t);
    CHECK_ERR(bough_clear(t.self), EPERM);
    CHECK_EQ(bough_post_status(post), BOUGH_POST_DELIVERED);
    target_end(&t);
    CHECK_ERR(bough_clear(t.self), ESRCH);
    CHECK_ERR(bough_clear(&t), EINVAL);
}

static bough_branch *outside;

static int cant_clear_the_branch(void *unused)
{
    (void)unused;
    while (bough_check() == 0)
        sched_yield();
    CHECK_ERR(bough_clear(outside), EPERM);
    CHECK_ERR(bough_clear(BOUGH_ROOT), EPERM);
    CHECK_EQ(bough_clear(NULL), 0);
    CHECK_ERR(bough_check(), ECANCELED);
    return ECANCELED;
}

TEST(a_branch_is_cleared_by_its_owner_only)
{
    BOUGH_BRANCH(b) {
        outside = b;
        bough_thread *child = bough_add(b, cant_clear_the_branch, bough_arg(NULL));
        CHECK(child);
        post_stop(b);
        CHECK_ERR(bough_join(child), ECANCELED); /* the body is interrupted as well, and the child may have ended */
        while (bough_alive(child) == 0)
            sched_yield();
        CHECK_EQ(bough_clear(NULL), 0); /* the thread itself has no record */
        CHECK_ERR(bough_check(), ECANCELED);
        CHECK_EQ(bough_clear(b), 1);
        CHECK_EQ(bough_check(), 0);
    }
}

static int one_more(void *count)
{
    __atomic_fetch_add((int *)count, 1, __ATOMIC_SEQ_CST);
    return 0;
}

TEST(a_cleared_branch_works_like_a_new_one)
{
    int count = 0;
    BOUGH_BRANCH(b) {
        post_stop(b);
        CHECK_ERR(bough_add(b, one_more, bough_arg(&count)), ECANCELED);
        CHECK_EQ(bough_clear(b), 1);
        CHECK(bough_add(b, one_more, bough_arg(&count)));
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(count, 1);
}

struct children {
    int pipe[2];
    uint32_t cleared;
};

static int until_cleared(void *argument)
{
    struct children *c = argument;
    char byte;
    while (bough_read(c->pipe[0], &byte, 1) < 0) {
        CHECK_EQ(errno, ECANCELED);
        if (__atomic_load_n(&c->cleared, __ATOMIC_ACQUIRE))
            CHECK_EQ(bough_interrupted(), 0);
    }
    return 0;
}

/* A child that was woken for a record that no longer exists continues its call. */
TEST(a_record_that_the_owner_clears_is_cleared_for_the_children_too)
{
    struct children c = {0};
    CHECK_EQ(pipe(c.pipe), 0);
    for (int round = 0; round < 100; round++) {
        __atomic_store_n(&c.cleared, 0, __ATOMIC_RELEASE);
        BOUGH_BRANCH(b) {
            for (int i = 0; i < 4; i++)
                CHECK(bough_add(b, until_cleared, bough_arg(&c)));
            post_stop(b);
            CHECK_EQ(bough_clear(b), 1);
            __atomic_store_n(&c.cleared, 1, __ATOMIC_RELEASE);
            CHECK_EQ(write(c.pipe[1], "four", 4), 4);
        }
        CHECK_EQ(bough_last_result(), 0);
    }
    close(c.pipe[0]);
    close(c.pipe[1]);
}

TEST(the_record_of_one_kind_is_cleared_alone)
{
    struct bough_event exception = {.kind = BOUGH_EXCEPTION, .value = 7};
    struct bough_record r;
    CHECK(bough_post_event(bough_self(), &exception).record);
    CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
    CHECK_ERR(bough_clear_kind(NULL, BOUGH_KINDS), EINVAL);
    CHECK_EQ(bough_clear_kind(NULL, BOUGH_TIMEOUT), 0);
    CHECK_EQ(bough_clear_kind(NULL, BOUGH_EXCEPTION), 1);
    CHECK_ERR(bough_check(), ECANCELED);
    CHECK_EQ(bough_reason(&r), 0);
    CHECK_EQ(r.kind, BOUGH_STOP);
    CHECK_EQ(bough_clear_kind(NULL, BOUGH_STOP), 1);
    CHECK_EQ(bough_check(), 0);
}

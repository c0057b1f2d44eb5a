/* SPDX-License-Identifier: MIT */
/* Rules 9 and 12: a wake that turns out to have no effect (its record was cleared meanwhile, or a cleanup region is
 * protected from it) interrupts no call, and hides no EINTR from a program that has a handler. The test sends such
 * wakes itself, because they are otherwise rare. */
#include <poll.h>
#include <semaphore.h>
#include <time.h>
#include "../semantics/target.h"
#include "state/arena.h"
#include "state/current.h"
#include "wake/post.h"

struct caller {
    struct t_thread thread;
    struct t_gate known, leave;
    struct bo_thread *slot;
    int shielded; /* the thread is in a cleanup region, and the record was delivered before the region */
    int fds[2];
    long (*call)(struct caller *);
    long result;
    int error, over;
};

static long by_read(struct caller *c)
{
    char byte;
    return bough_read(c->fds[0], &byte, 1);
}

/* The kernel restarts these calls after no handler. */
static long by_poll(struct caller *c)
{
    struct pollfd p = {c->fds[0], POLLIN, 0};
    return bough_poll(&p, 1, 600000);
}

/* Sleeps for its full time, even if the wakes take longer than the sleep on a busy machine. */
static long by_nanosleep(struct caller *c)
{
    enum { HALF = 500000000, TOO_EARLY = -2 };
    int64_t begun = t_now();
    (void)c;
    long result = bough_nanosleep(&(struct timespec){0, HALF}, NULL);
    return t_now() - begun < HALF ? TOO_EARLY : result;
}

static sem_t sem;

static long by_posix_sem(struct caller *c)
{
    struct timespec at;
    (void)c;
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += 600;
    return bough_sem_timedwait(&sem, &at);
}

static void make_call(struct caller *c)
{
    t_gate_open(&c->known);
    c->result = c->call(c);
    c->error = errno;
    __atomic_store_n(&c->over, 1, __ATOMIC_RELEASE);
}

/* The thread stays until the test releases it, because a sleep may be over before the test examines the thread. */
static void stay(struct caller *c)
{
    t_gate_wait(&c->leave);
}

static void *caller_main(void *argument)
{
    struct caller *c = argument;
    bough_self();
    c->slot = bo_self;
    if (!c->shielded) {
        make_call(c);
        stay(c);
        return NULL;
    }
    post_stop(bough_self());
    CHECK_ERR(bough_check(), ECANCELED);
    BOUGH_CLEANUP(BOUGH_SEC(600)) {
        make_call(c);
        stay(c);
    }
    CHECK_EQ(bough_clear(NULL), 1);
    return NULL;
}

static void start(struct caller *c)
{
    CHECK_EQ(pipe(c->fds), 0);
    t_spawn(&c->thread, caller_main, c);
    t_gate_wait(&c->known);
    t_until_blocked(c->thread.tid);
}

static void join(struct caller *c)
{
    t_gate_open(&c->leave);
    t_join(&c->thread);
}

static void wake_for_nothing(struct bo_thread *t)
{
    bo_wake(t, bo_word_generation(bo_load_seq(&t->t.word)), false);
}

/* The thread is woken 20 times in its call, which ends by itself. */
static void goes_on(long (*call)(struct caller *), int shielded, long result)
{
    struct caller c = {.call = call, .shielded = shielded};
    start(&c);
    for (int i = 0; i < 20; i++) {
        wake_for_nothing(c.slot);
        t_until(!(bo_load_seq(&c.slot->t.word) & (BO_DUE | BO_UNDER_WAY)));
    }
    if (call != by_nanosleep)
        CHECK_EQ(__atomic_load_n(&c.over, __ATOMIC_ACQUIRE), 0);
    CHECK_EQ(write(c.fds[1], "x", 1), 1);
    CHECK_EQ(sem_post(&sem), 0);
    join(&c);
    CHECK_EQ(c.result, result);
    close(c.fds[0]);
    close(c.fds[1]);
}

TEST(a_wake_without_effect_interrupts_no_read)
{
    goes_on(by_read, 0, 1);
    goes_on(by_read, 1, 1);
}

TEST(a_wake_without_effect_interrupts_no_poll)
{
    goes_on(by_poll, 0, 1);
    goes_on(by_poll, 1, 1);
}

TEST(a_wake_without_effect_interrupts_no_sleep)
{
    goes_on(by_nanosleep, 0, 0);
    goes_on(by_nanosleep, 1, 0);
}

TEST(a_wake_without_effect_interrupts_no_sem_timedwait)
{
    sem_init(&sem, 0, 0);
    goes_on(by_posix_sem, 0, 0);
    goes_on(by_posix_sem, 1, 0);
}

/* ---- a handler of the program during the call -------------------------------------------------------------------- */

static void wakes_below(int signo)
{
    (void)signo;
    wake_for_nothing(bo_self);
}

static void ends_by_eintr(long (*call)(struct caller *), int shielded, void (*handler)(int))
{
    struct caller c = {.call = call, .shielded = shielded};
    catch_signal(SIGUSR1, handler, 0, 0);
    start(&c);
    CHECK_EQ(pthread_kill(c.thread.handle, SIGUSR1), 0);
    t_until(__atomic_load_n(&c.over, __ATOMIC_ACQUIRE));
    join(&c);
    CHECK_EQ(c.result, -1);
    CHECK_EQ(c.error, EINTR);
    close(c.fds[0]);
    close(c.fds[1]);
}

TEST(a_handlers_EINTR_is_returned_after_a_wake_without_effect)
{
    NEED_HANDLERS_ON_TOP();
    NEED_WINDOW("here the library can't determine whose EINTR it is");
    ends_by_eintr(by_read, 0, wakes_below);
    ends_by_eintr(by_read, 1, wakes_below);
    ends_by_eintr(by_poll, 0, wakes_below);
    ends_by_eintr(by_poll, 1, wakes_below);
}

static void does_nothing(int signo)
{
    (void)signo;
}

TEST(a_handlers_EINTR_is_returned_in_a_cleanup_too)
{
    NEED_HANDLERS_ON_TOP();
    ends_by_eintr(by_read, 1, does_nothing);
    ends_by_eintr(by_poll, 1, does_nothing);
}

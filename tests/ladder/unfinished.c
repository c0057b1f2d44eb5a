/* SPDX-License-Identifier: MIT */
/* Rules 14 and 37: a thread is not frozen in an operation of the library whose end other threads depend on, and does
 * not leave it halfway. */
#include "../races/hooks.h"
#include <bough/ladder.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include "frozen.h"

static struct subject subject;
static bough_branch *counted;

/* Has the calling thread stop at this hook. */
__attribute__((unused)) static void stop_at(void (*volatile *hook)(void))
{
    hooked = t_tid();
    *hook = stop_here;
}

static void meets(void)
{
    stop_at(&bo_hook_record_changes);
    while (bough_check() == 0)
        sched_yield();
}

static void clears(void)
{
    stop_at(&bo_hook_record_changed);
    CHECK_EQ(bough_clear_kind(NULL, BOUGH_STOP), 1);
}

static void dumps(void)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    stop_at(&bo_hook_dump_has_room);
    CHECK_EQ(bough_dump(fd), 0);
    close(fd);
}

static void counts(void)
{
    struct bough_tally tally;
    stop_at(&bo_hook_tally_pinned);
    CHECK_EQ(bough_branch_tally(counted, &tally), 0);
}

/* ---- leaving ----------------------------------------------------------------------------------------------------- */

static _Atomic int looks, left;

__attribute__((unused)) static void count_look(void)
{
    looks++;
}

static struct t_gate signal_is_blocked;

static void set_wake_signal(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGURG);
    CHECK_EQ(pthread_sigmask(how, &set, NULL), 0);
}

__attribute__((unused)) static void let_the_signal_in(void)
{
    set_wake_signal(SIG_UNBLOCK);
    stop_here();
}

/* The signal is let in when the thread is in the operation: it would leave the region before. */
static void *meets_in_an_asynchronous_region(void *unused)
{
    struct bough_async region;
    subject_known(&subject);
    hooked = t_tid();
    bo_hook_record_changes = let_the_signal_in;
    if (bough_async_begin(&region) == 0) {
        set_wake_signal(SIG_BLOCK);
        t_gate_open(&signal_is_blocked);
        while (bough_check() == 0)
            sched_yield();
        bough_async_end(&region);
    }
    left = 1;
    return unused;
}

/* Fixed bug: see the next test. */
TEST(an_asynchronous_region_is_not_left_in_such_an_operation)
{
    NEED_HOOKS();
    subject_start(&subject, meets_in_an_asynchronous_region);
    t_gate_wait(&signal_is_blocked);
    post_stop(subject.self);
    t_gate_wait(&hook_reached);
    __atomic_store_n(&bo_hook_ticker_looks, count_look, __ATOMIC_SEQ_CST);
    t_until(looks > 3 || left); /* the ticker wakes the thread each time */
    CHECK(!left);
    t_gate_open(&hook_go);
    subject_end(&subject);
}

/* ---- freezing ---------------------------------------------------------------------------------------------------- */

static void (*operation)(void);

static void *works_in_a_closable_region(void *unused)
{
    subject_known(&subject);
    t_gate_wait(&subject.leave);
    BOUGH_CLOSABLE {
        operation();
        compute(&subject);
    }
    return unused;
}

static void must_finish(void (*what)(void))
{
    const char *why;
    operation = what;
    subject_start(&subject, works_in_a_closable_region);
    bough_post_event(subject.self, &(struct bough_event){.kind = BOUGH_EXCEPTION});
    post_stop(subject.self);
    t_gate_open(&subject.leave);
    t_gate_wait(&hook_reached);
    CHECK_EQ(freeze(subject.self, &why), BO_NOT_SAFE);
    t_gate_open(&hook_go);
    t_until(subject.rounds);
    must_freeze(subject.self);
    subject_closed(&subject);
}

/* Fixed bug: the place that the thread had taken among the reports of bough_on_posting() was never filled in, and later
 * reports waited for it. */
TEST(a_thread_that_meets_an_interrupt_finishes_that)
{
    NEED_HOOKS();
    must_finish(meets);
}

/* Fixed bug: threads that waited for the record's end were not woken. */
TEST(a_thread_that_clears_a_record_finishes_that)
{
    NEED_HOOKS();
    must_finish(clears);
}

/* Fixed bug: later dumps, also the one of rung 6, had neither tree nor stacks, because this one was never over. */
TEST(a_thread_that_writes_a_dump_finishes_that)
{
    NEED_HOOKS();
    must_finish(dumps);
}

/* Fixed bug: the end of the branch waited for the pin. */
TEST(a_thread_that_reads_a_tally_finishes_that)
{
    NEED_HOOKS();
    BOUGH_BRANCH(b) {
        counted = b;
        must_finish(counts);
    }
}

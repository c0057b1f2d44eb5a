/* SPDX-License-Identifier: MIT */
/* Unplanned ways out: pthread_exit(), pthread_cancel(), threads that end while they are posted to; and a wake signal
 * that other code takes or blocks. jumps.c has longjmp(). */
#include <signal.h>
#include "semantics/children.h"

static struct thing thing;
static struct t_gate there;

/* ---- correct blocks ---------------------------------------------------------------------------------------------- */

/* Blocks in functions at different depths of the stack, in a branch that was opened deeper: no report may come. */
__attribute__((noinline)) static bough_branch *open_deep_inside(int depth)
{
    volatile char frame[512];
    frame[0] = 1;
    CHECK(frame[0]);
    return depth ? open_deep_inside(depth - 1) : bough_branch_open(NULL);
}

__attribute__((noinline)) static void nest(int depth)
{
    volatile char frame[128];
    frame[0] = 1;
    CHECK(frame[0]);
    BOUGH_BRANCH(b) {
        add(b, work, bough_arg(NULL));
        if (depth)
            nest(depth - 1);
        BOUGH_BRANCH(after)
            add(b, work, bough_arg(NULL));
    }
    CHECK_EQ(bough_last()->tally.count[BOUGH_OK], 2);
}

TEST(correct_blocks_are_not_reported)
{
    listen_to_reports();
    bough_branch *b = open_deep_inside(5);
    nest(10);
    add(b, work, bough_arg(NULL));
    CHECK_EQ(bough_branch_end(b), 0);
    CHECK_EQ(reports_count_, 0);
}

/* ---- pthread_exit and pthread_cancel ----------------------------------------------------------------------------- */

static pthread_t child_thread;

static int block_in_bough(void *unused)
{
    (void)unused;
    child_thread = pthread_self();
    t_gate_open(&there);
    return until_stopped(NULL); /* not a cancellation point */
}

TEST(pthread_cancel_and_an_interrupt_of_a_bough_call_count_once)
{
    BOUGH_BRANCH(b) {
        bough_thread *child = bough_add(b, block_in_bough, thing_of(&thing));
        t_gate_wait(&there);
        CHECK_EQ(pthread_cancel(child_thread), 0);
        CHECK_EQ(bough_interrupt(child, "both"), 0);
    }
    CHECK_EQ(thing.destroyed, 1);
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED] + bough_last()->tally.count[BOUGH_ERROR], 1);
}

static int cancel_asynchronously(void *value)
{
    ((struct thing *)value)->used++;
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    child_thread = pthread_self();
    t_gate_open(&there);
    for (volatile unsigned long n = 0;; n++)
        ;
    return 0;
}

TEST(pthread_cancel_ends_a_child_that_computes)
{
#if !defined(__GLIBC__)
    SKIP("musl runs the cleanup handlers on a stack that is not aligned");
#endif
    if (T_ASAN)
        SKIP("the address sanitizer can't be unwound from anywhere");
    BOUGH_BRANCH(b) {
        add(b, until_stopped, bough_arg(NULL));
        add(b, cancel_asynchronously, thing_of(&thing));
        t_gate_wait(&there);
        CHECK_EQ(pthread_cancel(child_thread), 0);
    }
    CHECK_EQ(bough_last_result(), EPROTO);
    CHECK_EQ(thing.destroyed, 1);
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 1);
}

static int cancelled_at_any_moment(void *unused)
{
    (void)unused;
    __atomic_store_n(&child_thread, pthread_self(), __ATOMIC_RELEASE);
    t_gate_open(&there);
    pthread_testcancel();
    return 0;
}

/* The cancellation comes in the child, during its end, or in between. The child is counted once. */
TEST_LIMIT(pthread_cancel_may_race_with_the_childs_end, 60)
{
    for (int i = 0; i < 2000; i++) {
        struct thing t = {0};
        pthread_t self;
        there.open = 0;
        BOUGH_BRANCH(b, .supervisor = 1) {
            struct bough_child_options o = {.fresh = 1}; /* the child's thread exists until the branch ends */
            CHECK(bough_add_with(b, cancelled_at_any_moment, thing_of(&t), &o));
            t_gate_wait(&there);
            self = __atomic_load_n(&child_thread, __ATOMIC_ACQUIRE);
            for (volatile int n = i % 50 * 20; n > 0; n--)
                ;
            pthread_cancel(self);
        }
        CHECK_EQ(t.destroyed, 1);
        const struct bough_tally *tally = &bough_last()->tally;
        CHECK_EQ(tally->count[BOUGH_OK] + tally->count[BOUGH_ERROR], 1);
        CHECK_EQ(tally->added, 1);
    }
}

static void *adopted_block(void *branch_too)
{
    bough_adopt("adopted");
    if (branch_too) {
        bough_branch *b = bough_branch_open(&(struct bough_branch_options){.label = "lost"});
        add(b, until_stopped, thing_of(&thing));
    }
    t_gate_open(&there);
    while (pause())
        ;
    return NULL;
}

TEST(pthread_cancel_ends_an_adopted_thread)
{
    struct t_thread thread;
    listen_to_reports();
    t_spawn(&thread, adopted_block, NULL);
    t_gate_wait(&there);
    bough_thread *handle = bough_thread_of(thread.tid);
    CHECK(handle);
    pthread_cancel(thread.handle);
    CHECK(t_join(&thread) == PTHREAD_CANCELED);
    CHECK_ERR(bough_alive(handle), ESRCH);
    CHECK_EQ(reports_count_, 0);
}

TEST(pthread_cancel_of_an_adopted_thread_ends_its_open_branch)
{
    need_cancellation();
    struct t_thread thread;
    listen_to_reports();
    t_spawn(&thread, adopted_block, &thing);
    t_gate_wait(&there);
    pthread_cancel(thread.handle);
    CHECK(t_join(&thread) == PTHREAD_CANCELED);
    CHECK_EQ(thing.destroyed, 1);
    CHECK(reported("the end of its thread"));
}

/* ---- an adopted thread ends while it is posted to ---------------------------------------------------------------- */

static bough_thread *_Atomic mortal;
static _Atomic int stop_posting;

static void *die_soon(void *unused)
{
    char byte;
    int pair[2];
    (void)unused;
    mortal = bough_adopt("mortal");
    if (pipe(pair) == 0) {
        CHECK_ERR(bough_read(pair[0], &byte, 1), ECANCELED);
        close(pair[0]);
        close(pair[1]);
    }
    return NULL;
}

static void *post_always(void *unused)
{
    (void)unused;
    while (!stop_posting) {
        bough_interrupt(mortal, "die");
        bough_interrupt_all("all");
    }
    return NULL;
}

TEST_LIMIT(adopted_threads_may_end_while_posts_are_under_way, 60)
{
    struct t_thread posters[2], dying;
    for (int i = 0; i < 2; i++)
        t_spawn(&posters[i], post_always, NULL);
    for (int i = 0; i < 3000; i++) {
        t_spawn(&dying, die_soon, NULL);
        t_join(&dying);
    }
    stop_posting = 1;
    for (int i = 0; i < 2; i++)
        t_join(&posters[i]);
    bough_clear(NULL);
}

/* ---- the wake signal --------------------------------------------------------------------------------------------- */

static void on_urgent(int signo)
{
    (void)signo;
}

static int say_and_block(void *value)
{
    ((struct thing *)value)->by = t_tid();
    return open_and_block(value);
}

TEST(other_code_may_take_the_wake_signal)
{
    listen_to_reports();
    BOUGH_BRANCH(b) {
        add(b, say_and_block, thing_of(&thing));
        t_gate_wait(&thing.there);
        signal(SIGURG, on_urgent);
        t_until_blocked(thing.by);
        bough_interrupt(b, "test");
    }
    CHECK_EQ(thing.destroyed, 1);
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 1);
    struct sigaction now;
    CHECK_EQ(sigaction(SIGURG, NULL, &now), 0);
    /* the program's handler ends the call by EINTR, so bough need not install its handler again */
    if (now.sa_handler == on_urgent)
        signal(SIGURG, SIG_DFL);
}

static int block_all_signals(void *unused)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    t_gate_open(&there);
    return until_stopped(unused);
}

TEST(a_child_may_block_the_wake_signal)
{
    listen_to_reports();
    BOUGH_BRANCH(b) {
        add(b, block_all_signals, thing_of(&thing));
        t_gate_wait(&there);
        bough_interrupt(b, "test");
    }
    CHECK_EQ(thing.destroyed, 1);
    struct thing next = {0};
    BOUGH_BRANCH(b) { /* the next child on that thread is woken as usual */
        bough_thread *child = bough_add(b, open_and_block, thing_of(&next));
        t_gate_wait(&next.there);
        bough_interrupt(child, "test");
        CHECK_EQ(bough_join(child), 0);
    }
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 1);
}

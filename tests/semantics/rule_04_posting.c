/* SPDX-License-Identifier: MIT */
/* Rule 4: posting is async-signal-safe, and reaches the whole subtree, including children that are being added. */
#include <signal.h>
#include <sys/syscall.h>
#include "target.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static volatile bough_target handler_posts_to;
static volatile int handler_error;

static void post_in_handler(int signo)
{
    (void)signo;
    errno = 12345;
    bough_interrupt(handler_posts_to, "from a handler");
    handler_error = errno;
}

TEST(a_handler_posts_to_another_thread)
{
    struct target t = {0};
    target_start(&t);
    catch_signal(SIGUSR1, post_in_handler, 0, 1);
    handler_posts_to = t.self;
    raise(SIGUSR1);
    CHECK_EQ(handler_error, 12345);
    target_was_cut(&t);
    target_end(&t);
}

/* ---- many -------------------------------------------------------------------------------------------------------- */

enum { CROWD = 200, MANY = 1000 };

static void post_to_a_crowd(int alternate)
{
    struct bough_tally tally;
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    CHECK(bough_adopt("main"));
    BOUGH_BRANCH(b) {
        for (int i = 0; i < CROWD; i++)
            CHECK(bough_add(b, read_for_ever, bough_arg((void *)(intptr_t)fds[0])));
        catch_signal(SIGUSR1, post_in_handler, alternate ? SA_ONSTACK : 0, 0);
        handler_posts_to = b;
        raise(SIGUSR1);
        CHECK_EQ(handler_error, 12345);
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_last()->interrupted, 1);
    tally = bough_last()->tally;
    CHECK_EQ(tally.added, CROWD);
    CHECK_EQ(tally.count[BOUGH_INTERRUPTED], CROWD);
    close(fds[0]);
    close(fds[1]);
}

TEST(a_handler_reaches_a_crowd_through_the_ticker)
{
    post_to_a_crowd(0);
}

TEST(a_handler_on_an_alternate_stack_reaches_a_crowd)
{
    static char memory[1 << 16];
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory}, none = {.ss_flags = SS_DISABLE};
    CHECK_EQ(sigaltstack(&stack, NULL), 0);
    post_to_a_crowd(1);
    CHECK_EQ(sigaltstack(&none, NULL), 0);
}

/* When a post from ordinary code returns, all threads are marked, even if the poster blocks signals. */
static uint32_t has_returned, unmarked;

static int look_when_it_has_returned(void *unused)
{
    (void)unused;
    while (!__atomic_load_n(&has_returned, __ATOMIC_SEQ_CST))
        sched_yield();
    if (!bough_interrupted())
        __atomic_fetch_add(&unmarked, 1, __ATOMIC_SEQ_CST);
    return 0;
}

static void crowd_is_marked_at_once(void)
{
    BOUGH_BRANCH(b) {
        for (int i = 0; i < CROWD; i++)
            CHECK(bough_add(b, look_when_it_has_returned, bough_arg(NULL)));
        CHECK_EQ(bough_interrupt(b, "now"), 0);
        CHECK_EQ(bough_interrupted(), 1);
        __atomic_store_n(&has_returned, 1, __ATOMIC_SEQ_CST);
    }
    CHECK_EQ(unmarked, 0);
}

TEST(ordinary_code_reaches_a_crowd)
{
    crowd_is_marked_at_once();
}

TEST(ordinary_code_with_all_signals_blocked_reaches_a_crowd)
{
    sigset_t all, old;
    NEED_FRAMES(); /* without frames the library assumes that a handler posts, and leaves the crowd to the ticker */
    sigfillset(&all);
    CHECK(bough_adopt("main"));
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, &all, &old), 0);
    crowd_is_marked_at_once();
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
}

/* The threads were adopted by their first use, so that only the post needs the ticker. */
TEST(a_handler_reaches_a_crowd_of_adopted_threads)
{
    static struct target crowd[CROWD / 2];
    for (int i = 0; i < CROWD / 2; i++)
        target_start(&crowd[i]);
    catch_signal(SIGUSR1, post_in_handler, 0, 0);
    handler_posts_to = BOUGH_ROOT;
    raise(SIGUSR1);
    for (int i = 0; i < CROWD / 2; i++)
        target_was_cut(&crowd[i]);
    for (int i = 0; i < CROWD / 2; i++)
        target_end(&crowd[i]);
    CHECK_EQ(bough_clear(BOUGH_ROOT), 1);
}

static volatile int handler_saw;

static void post_to_self_and_look(int signo)
{
    (void)signo;
    bough_interrupt(handler_posts_to, NULL);
    handler_saw = bough_interrupted();
}

/* The ticker may mark the rest, but the target itself is marked when the handler's post returns. */
TEST(a_handler_marks_the_target_itself_at_once)
{
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    CHECK(bough_adopt("main"));
    catch_signal(SIGUSR1, post_to_self_and_look, 0, 0);
    BOUGH_BRANCH(b) {
        for (int i = 0; i < CROWD; i++)
            CHECK(bough_add(b, read_for_ever, bough_arg((void *)(intptr_t)fds[0])));
        handler_posts_to = bough_self();
        raise(SIGUSR1);
        CHECK_EQ(handler_saw, 1);
        CHECK_ERR(bough_check(), ECANCELED);
        CHECK_EQ(bough_clear(NULL), 1);
        handler_posts_to = b;
        raise(SIGUSR1);
        CHECK_EQ(handler_saw, 1);
        CHECK_ERR(bough_check(), ECANCELED);
    }
    close(fds[0]);
    close(fds[1]);
}

/* ---- children being added ---------------------------------------------------------------------------------------- */

struct adding {
    bough_branch *branch;
    struct t_gate open;
    uint32_t spin;
    int in_handler;
};

static void *interrupt_in_the_middle(void *argument)
{
    struct adding *a = argument;
    t_gate_wait(&a->open);
    spin(a->spin);
    handler_posts_to = a->branch;
    if (a->in_handler)
        pthread_kill(pthread_self(), SIGUSR1);
    else
        CHECK_EQ(bough_interrupt(a->branch, "now"), 0);
    return NULL;
}

/* A child that is missed reads indefinitely, and the branch does not end. */
static void add_while_it_is_posted(int in_handler, int rounds)
{
    int fds[2];
    uint64_t chance = t_seed() | 1;
    CHECK_EQ(pipe(fds), 0);
    catch_signal(SIGUSR1, post_in_handler, SA_RESTART, 0);
    for (int round = 0; round < rounds; round++) {
        struct adding a = {.spin = (uint32_t)(t_random(&chance) % 300000), .in_handler = in_handler};
        struct t_thread thread;
        t_spawn(&thread, interrupt_in_the_middle, &a);
        size_t added = 0;
        BOUGH_BRANCH(b) {
            a.branch = b;
            t_gate_open(&a.open);
            while (bough_add(b, read_for_ever, bough_arg((void *)(intptr_t)fds[0])))
                if (++added >= MANY) /* the poster has no processor, and there is no room for more children */
                    t_until(bough_interrupted());
            CHECK_EQ(errno, ECANCELED);
            t_join(&thread);
        }
        CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], added);
        CHECK_EQ(bough_last()->tally.count[BOUGH_NOT_STARTED], 1);
    }
    close(fds[0]);
    close(fds[1]);
}

TEST_LIMIT(children_that_are_being_added_are_reached, 60)
{
    add_while_it_is_posted(0, 200);
}

TEST_LIMIT(children_that_are_being_added_are_reached_from_a_handler, 60)
{
    add_while_it_is_posted(1, 200);
}

/* ---- at 2 kHz ---------------------------------------------------------------------------------------------------- */

static volatile unsigned ticks;
static volatile int last_tick;
static timer_t ticker;

/* Sets the timer once. The handler sets it again at its end, so that a slow handler does not starve the thread. */
static void set_ticker(void)
{
    struct itimerspec soon = {{0, 0}, {0, 500000}};
    timer_settime(ticker, 0, &soon, NULL);
}

static void post_at_each_tick(int signo)
{
    (void)signo;
    ticks++;
    bough_interrupt(handler_posts_to, "tick");
    if (!last_tick)
        set_ticker();
}

struct own_work {
    uint32_t over;
    long cut;
    bough_thread *self;
    struct t_gate known;
};

static int cut_again_and_again(void *argument)
{
    struct own_work *w = argument;
    w->self = bough_self();
    t_gate_open(&w->known);
    while (!__atomic_load_n(&w->over, __ATOMIC_ACQUIRE)) {
        if (bough_poll(NULL, 0, -1) < 0) {
            CHECK_EQ(errno, ECANCELED);
            __atomic_add_fetch(&w->cut, 1, __ATOMIC_RELAXED);
            bough_clear(NULL);
        }
    }
    return 0;
}

static long cuts(struct own_work *w)
{
    return __atomic_load_n(&w->cut, __ATOMIC_RELAXED);
}

/* The handler interrupts malloc(), posts, ends of regions and adds: it must not depend on any of them. */
TEST_LIMIT(a_timers_handler_posts_2000_times_a_second, 60)
{
    struct own_work w = {0};
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGUSR2;
    event.sigev_notify_thread_id = t_tid();
    CHECK_EQ(timer_create(CLOCK_MONOTONIC, &event, &ticker), 0);
    BOUGH_BRANCH(b) {
        CHECK(bough_add(b, cut_again_and_again, bough_arg(&w)));
        t_gate_wait(&w.known);
        handler_posts_to = w.self;
        catch_signal(SIGUSR2, post_at_each_tick, SA_RESTART, 0);
        set_ticker();
        for (int64_t end = t_now() + ms(1500); t_now() < end || ticks <= 200 || cuts(&w) <= 200;) {
            free(malloc(100 + t_now() % 5000));
            bough_interrupt(w.self, "ordinary");
            BOUGH_CRITICAL(0) {
                bough_check();
            }
            BOUGH_BRANCH(inner) {
                bough_post_status(post_stop(inner));
            }
        }
        last_tick = 1;
        __atomic_store_n(&w.over, 1, __ATOMIC_RELEASE);
        bough_interrupt(w.self, "last"); /* unless the child has ended already */
    }
    timer_delete(ticker);
}

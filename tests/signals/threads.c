/* SPDX-License-Identifier: MIT */
/* Rules 4, 5 and 32: a signal that any thread receives interrupts all threads. */
#include "program.h"

struct seen {
    int interrupted;
};
static struct seen *seen;

static int sleeper(void *unused)
{
    (void)unused;
    if (bough_sleep(60) == 0)
        return 0;
    __atomic_fetch_add(&seen->interrupted, 1, __ATOMIC_SEQ_CST);
    return errno;
}

struct crowd {
    int children;
    int to_itself;
    unsigned flags;
};

/* main is blocked in the branch's end, or in a call if it has no children. */
static void is_interrupted(void *argument)
{
    const struct crowd *crowd = argument;
    struct p_sender sender = {.to_itself = crowd->to_itself};
    CHECK_EQ(bough_signals(crowd->flags), 3);
    BOUGH_BRANCH(jobs) {
        for (int i = 0; i < crowd->children; i++)
            CHECK(bough_add(jobs, sleeper, bough_arg(NULL)));
        p_send_when_blocked(&sender, SIGINT);
        p_until_stopped();
    }
    CHECK_EQ(seen->interrupted, crowd->children);
    t_join(&sender.thread);
}

static void check_interrupted(int children, int to_itself, unsigned flags)
{
    seen = p_share(sizeof *seen);
    CHECK_KILLED(t_run_status(is_interrupted, &(struct crowd){children, to_itself, flags}), SIGINT);
}

TEST(a_signal_to_main_in_a_blocked_call_interrupts_all)
{
    check_interrupted(0, 0, 0);
    check_interrupted(10, 0, 0);
}

TEST(a_signal_to_a_thread_that_bough_does_not_know_interrupts_all)
{
    check_interrupted(0, 1, 0);
    check_interrupted(10, 1, 0);
}

/* Too many threads for a handler to wake: the ticker wakes them. */
TEST(a_signal_interrupts_many_threads)
{
    check_interrupted(300, 0, 0);
    check_interrupted(300, 1, 0);
    check_interrupted(300, 0, BOUGH_SIGNALS_WAIT);
}

/* ---- a handler of the program that interrupts a call of each kind ------------------------------------------------ */

static void own_handler(int signo)
{
    bough_signal_event(signo);
}

static void blocked_in_pipe(void *flags)
{
    int fd[2];
    char byte;
    struct p_sender sender = {.to_itself = 0};
    sigaction(SIGINT, &(struct sigaction){.sa_handler = own_handler, .sa_flags = (int)(uintptr_t)flags}, NULL);
    CHECK_EQ(pipe(fd), 0);
    p_send_when_blocked(&sender, SIGINT);
    CHECK_ERR(bough_read(fd[0], &byte, 1), ECANCELED);
    t_join(&sender.thread);
}

TEST(a_handler_of_the_program_in_a_blocked_read_interrupts_all)
{
    needs_handlers_in_calls();
    for (int i = 0; i < 20; i++) {
        CHECK_KILLED(t_run_status(blocked_in_pipe, NULL), SIGINT);
        CHECK_KILLED(t_run_status(blocked_in_pipe, (void *)SA_RESTART), SIGINT);
    }
}

/* ---- exits ------------------------------------------------------------------------------------------------------- */

static int exits(void *status)
{
    while (bough_usleep(500000) == 0)
        continue;
    exit((int)(uintptr_t)status);
}

static void child_exits(void *unused)
{
    (void)unused;
    bough_signals(0);
    BOUGH_BRANCH(jobs) {
        CHECK(bough_add(jobs, exits, bough_arg((void *)7)));
        raise(SIGINT);
    }
}

/* main waits for the child, but the child does not wait for main. */
TEST(exit_in_a_child_while_a_signal_stands_does_not_hang)
{
    int64_t taken = INT64_MAX;
    for (int i = 0; i < 5 && (double)taken >= 4e9 * t_scale(); i++) { /* repeated if it had no processor for a while */
        taken = t_now();
        CHECK_EXITED(t_run_status(child_exits, NULL), 7);
        taken = t_now() - taken;
    }
    CHECK((double)taken < 4e9 * t_scale());
}

static void *plain_exits(void *unused)
{
    (void)unused;
    exit(7);
}

static void stranger_exits(void *unused)
{
    (void)unused;
    struct t_thread thread;
    bough_signals(0);
    raise(SIGINT);
    t_spawn(&thread, plain_exits, NULL);
    for (;;)
        pause();
}

TEST(exit_in_a_thread_that_bough_does_not_know_ends_the_process)
{
    CHECK_EXITED(t_run_status(stranger_exits, NULL), 7);
}

static struct t_gate adopted;

static void *waits(void *unused)
{
    (void)unused;
    bough_adopt("waits");
    t_gate_open(&adopted);
    sleeper(NULL);
    return NULL;
}

/* An ordinary return of main interrupts no thread. */
static void returns(void *unused)
{
    (void)unused;
    struct t_thread thread;
    bough_signals(0);
    t_spawn(&thread, waits, NULL);
    t_gate_wait(&adopted);
    t_until_blocked(thread.tid);
}

TEST(an_ordinary_return_interrupts_no_thread)
{
    seen = p_share(sizeof *seen);
    CHECK_EXITED(t_run_status(returns, NULL), 0);
    CHECK_EQ(seen->interrupted, 0);
}

/* SPDX-License-Identifier: MIT */
/* Rule 32: the order in which a process ends, and bough_exit(). */
#include "program.h"

#include <fcntl.h>

/* ---- the order --------------------------------------------------------------------------------------------------- */

struct seen {
    int ended; /* the number of children whose function has returned */
    int kind;  /* the kind of their interrupt */
};
static struct seen *seen;

static int slow_child(void *unused)
{
    (void)unused;
    struct bough_record why;
    bough_sleep(60);
    CHECK_EQ(bough_reason(&why), 0);
    __atomic_store_n(&seen->kind, why.kind, __ATOMIC_SEQ_CST);
    nanosleep(&(struct timespec){0, 50000000}, NULL);
    __atomic_fetch_add(&seen->ended, 1, __ATOMIC_SEQ_CST);
    return ECANCELED;
}

static void say(const char *what)
{
    printf("%s after %d; ", what, __atomic_load_n(&seen->ended, __ATOMIC_SEQ_CST));
}

static void older(void)
{
    say("older");
}

static void younger(void)
{
    printf("younger; ");
}

/* main calls exit() in the middle of a branch. */
static void leaves(void *unused)
{
    (void)unused;
    setvbuf(stdout, NULL, _IOFBF, 4096);
    atexit(older);
    bough_signals(0);
    atexit(younger);
    bough_branch *jobs = bough_branch_open(NULL);
    for (int i = 0; i < 3; i++)
        CHECK(bough_add(jobs, slow_child, bough_arg(NULL)));
    raise(SIGINT);
    printf("main; ");
    exit(0);
}

TEST(threads_are_awaited_before_older_exit_handlers_and_streams_are_flushed)
{
    char text[200];
    seen = p_share(sizeof *seen);
    CHECK_KILLED(t_run_output(leaves, NULL, text, sizeof text), SIGINT);
    CHECK_STR(text, "main; younger; older after 3; ");
}

static struct t_gate there;

static void *holds_stream(void *stream)
{
    flockfile(stream);
    t_gate_open(&there);
    while (pause())
        continue;
    return NULL;
}

/* A stream that stays locked, for example by a thread in fgets() on a terminal, does not delay the end. */
static void with_locked_stream(void *unused)
{
    (void)unused;
    struct t_thread thread;
    FILE *stream = fopen("/dev/null", "w");
    fprintf(stream, "not flushed");
    bough_signals(0);
    t_spawn(&thread, holds_stream, stream);
    t_gate_wait(&there);
    t_until_blocked(thread.tid);
    raise(SIGTERM);
}

TEST(a_locked_stream_does_not_hang_the_end)
{
    needs_handlers_in_calls();
    CHECK_KILLED(t_run_status(with_locked_stream, NULL), SIGTERM);
}

static void with_full_pipe(void *unused)
{
    (void)unused;
    int fd[2];
    char block[4096] = "";
    CHECK_EQ(pipe(fd), 0);
    fcntl(fd[1], F_SETFL, O_NONBLOCK);
    while (write(fd[1], block, sizeof block) > 0)
        continue;
    fcntl(fd[1], F_SETFL, 0);
    FILE *stream = fdopen(fd[1], "w");
    fprintf(stream, "does not fit");
    bough_signals(BOUGH_SIGNALS_WAIT);
    kill(getpid(), SIGTERM);
    p_until_stopped();
}

TEST(a_full_pipe_does_not_hang_the_end)
{
    CHECK_KILLED(t_run_status(with_full_pipe, NULL), SIGTERM);
}

static void with_stubborn_thread(void *unused)
{
    (void)unused;
    struct t_thread thread;
    bough_signals(0);
    t_spawn(&thread, p_never_end, &there);
    t_gate_wait(&there);
    t_until_blocked(thread.tid);
    raise(SIGTERM);
}

TEST(a_thread_that_does_not_end_is_named_and_left_behind)
{
    char text[2000];
    int64_t begun = t_now();
    CHECK_KILLED(t_run_output(with_stubborn_thread, NULL, text, sizeof text), SIGTERM);
    if (!strstr(text, "(stubborn)"))
        t_note("output: %s", text);
    CHECK(strstr(text, "(stubborn)"));
    CHECK(t_now() - begun >= 5000000000);
}

/* ---- bough_exit() ------------------------------------------------------------------------------------------------ */

/* Shorter than the 5 s that an exit without a grace waits. The test runs again if its process had no processor for a
 * while. */
enum { TRIES = 5 };

static int is_short(int64_t taken)
{
    return (double)taken < 3e9 * t_scale();
}

static void exits(void *unused)
{
    (void)unused;
    atexit(older);
    bough_branch *jobs = bough_branch_open(NULL);
    for (int i = 0; i < 3; i++)
        CHECK(bough_add(jobs, slow_child, bough_arg(NULL)));
    bough_exit(5, 0);
}

TEST(bough_exit_interrupts_all_threads_and_waits)
{
    char text[200];
    seen = p_share(sizeof *seen);
    CHECK_EXITED(t_run_output(exits, NULL, text, sizeof text), 5);
    CHECK_STR(text, "older after 3; ");
    CHECK_EQ(seen->kind, BOUGH_EXIT);
}

static void exits_with_stubborn_thread(void *unused)
{
    (void)unused;
    struct t_thread thread;
    t_spawn(&thread, p_never_end, &there);
    t_gate_wait(&there);
    t_until_blocked(thread.tid);
    bough_exit(6, BOUGH_MS(100));
}

TEST(bough_exit_waits_no_longer_than_the_grace)
{
    char text[300];
    int64_t taken = INT64_MAX;
    for (int i = 0; i < TRIES && !is_short(taken); i++) {
        taken = t_now();
        CHECK_EXITED(t_run_output(exits_with_stubborn_thread, NULL, text, sizeof text), 6);
        taken = t_now() - taken;
        CHECK(strstr(text, "(stubborn)"));
        CHECK(taken >= 100000000);
    }
    CHECK(is_short(taken));
}

static int exiting_child(void *unused)
{
    (void)unused;
    bough_exit(8, 0);
}

/* main waits for this child: it does not wait for main. */
static void exits_in_child(void *unused)
{
    (void)unused;
    BOUGH_BRANCH(jobs) {
        CHECK(bough_add(jobs, slow_child, bough_arg(NULL)));
        BOUGH_BRANCH(more)
            CHECK(bough_add(more, exiting_child, bough_arg(NULL)));
    }
}

TEST(bough_exit_in_a_child_does_not_wait_for_threads_that_wait_for_it)
{
    int64_t taken = INT64_MAX;
    for (int i = 0; i < TRIES && !is_short(taken); i++) {
        seen = p_share(sizeof *seen);
        taken = t_now();
        CHECK_EXITED(t_run_status(exits_in_child, NULL), 8);
        taken = t_now() - taken;
        CHECK_EQ(seen->ended, 1);
    }
    CHECK(is_short(taken));
}

static void exits_while_signal_stands(void *unused)
{
    (void)unused;
    bough_signals(0);
    raise(SIGTERM);
    bough_exit(5, 0);
}

TEST(an_unhandled_signal_is_the_status_of_bough_exit_too)
{
    CHECK_KILLED(t_run_status(exits_while_signal_stands, NULL), SIGTERM);
}

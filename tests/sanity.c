/* SPDX-License-Identifier: MIT */
/* Tests of the harness. A harness inside a test runs each bad test, and must report it as failed, for the right reason.
 */
#include "harness_internal.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>

static void *sleep_on(void *argument)
{
    (void)argument;
    for (;;)
        pause();
    return NULL;
}

static void *fail_there(void *argument)
{
    (void)argument;
    CHECK(!"on another thread");
    return NULL;
}

static void on_wake(int signo)
{
    (void)signo;
}

TEST(bad_check)
{
    CHECK(1 == 2);
}
TEST(bad_check_eq)
{
    CHECK_EQ(41, 42);
}
TEST(bad_check_str)
{
    CHECK_STR("left", "right");
}
TEST(bad_check_err_none)
{
    CHECK_ERR(dup(1), EBADF);
}
TEST(bad_check_err_other)
{
    CHECK_ERR(close(-1), ENOENT);
}
TEST(bad_check_on_a_thread)
{
    struct t_thread thread;
    t_spawn(&thread, fail_there, NULL);
    t_join(&thread);
}
TEST(bad_crash)
{
    raise(SIGSEGV);
}
TEST(bad_abort)
{
    abort();
}
TEST(bad_exit)
{
    exit(0);
}
TEST(bad_status)
{
    _exit(3);
}
TEST(bad_descriptor_opened)
{
    CHECK(open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0);
}
TEST(bad_descriptor_closed)
{
    CHECK_EQ(close(0), 0);
}
TEST(bad_thread)
{
    struct t_thread thread;
    t_spawn(&thread, sleep_on, NULL);
}
TEST(bad_child)
{
    if (fork() == 0)
        sleep_on(NULL);
}
TEST(bad_mask)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_EQ(sigprocmask(SIG_BLOCK, &set, NULL), 0);
}
TEST(bad_wake_signal)
{
    struct sigaction action = {.sa_handler = on_wake};
    CHECK_EQ(sigaction(SIGURG, &action, NULL), 0);
}
TEST_LIMIT(bad_hang, 1)
{
    sleep_on(NULL);
}
TEST_LIMIT(bad_hang_with_signals_blocked, 1)
{
    sigset_t set;
    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (;;)
        continue;
}
TEST(bad_order)
{
    struct t_sequence sequence = {0};
    t_turn(&sequence, 0);
    t_over(&sequence);
    t_turn(&sequence, 0);
}
TEST(bad_skip)
{
    SKIP("to see that it does");
}
TEST(bad_block)
{
    t_until_blocked(t_tid() + 1000000);
}

/* ---- the harness's reports about them ---------------------------------------------------------------------------- */

static void run_inner(void *name)
{
    char *argv[] = {(char *)"sanity", name, NULL};
    setenv("T_SCALE", "0.2", 1); /* so that the waits for leaks are shorter */
    exit(t_main(2, argv));
}

static void must_fail(const char *name, const char *reason)
{
    char output[8192], title[100];
    int status = t_run_output(run_inner, (void *)(uintptr_t)name, output, sizeof output);
    snprintf(title, sizeof title, "\nnot ok 1 - %s\n", name);
    if (!strstr(output, title) || !strstr(output, reason))
        FAIL("%s: not reported as failed for the reason \"%s\":\n%s", name, reason, output);
    CHECK_EXITED(status, 1);
}

TEST(checks_are_caught)
{
    must_fail("bad_check", "sanity.c:");
    must_fail("bad_check", "1 == 2");
    must_fail("bad_check_eq", "41 is not 42");
    must_fail("bad_check_str", "\"left\" is not \"right\"");
    must_fail("bad_check_err_none", "and returned");
    must_fail("bad_check_err_other", "not with 9");
    must_fail("bad_check_on_a_thread", "on another thread");
}

TEST(crashes_are_caught)
{
    if (!T_ASAN && !T_TSAN) { /* these sanitizers handle the signals, and exit */
        must_fail("bad_crash", "killed by signal 11");
        must_fail("bad_abort", "killed by signal 6");
    }
    must_fail("bad_exit", "exited before its end");
    must_fail("bad_status", "exited with status 3");
}

TEST(leaks_are_caught)
{
    must_fail("bad_descriptor_opened", "leaked descriptor");
    must_fail("bad_descriptor_opened", "/dev/null");
    must_fail("bad_descriptor_closed", "descriptor 0 was closed");
    must_fail("bad_thread", "leaked thread");
    must_fail("bad_child", "leaked child process, which runs");
    must_fail("bad_mask", "leaked signal mask: 10");
    must_fail("bad_wake_signal", "SIGURG is handled");
}

TEST(hangs_are_caught)
{
    must_fail("bad_hang", "not done in 0.2 s");
    must_fail("bad_hang", "state S");
    must_fail("bad_hang_with_signals_blocked", "not done in 0.2 s");
}

TEST(misused_tools_are_caught)
{
    must_fail("bad_order", "turn 0 is over already");
    must_fail("bad_block", "has ended instead of blocking");
}

/* ---- the tools --------------------------------------------------------------------------------------------------- */

static void *read_one(void *fd)
{
    char byte;
    return (void *)(intptr_t)read((int)(intptr_t)fd, &byte, 1);
}

TEST(a_blocked_thread_is_seen)
{
    int ends[2];
    struct t_thread reader;
    CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
    t_spawn(&reader, read_one, (void *)(intptr_t)ends[0]);
    t_until_blocked(reader.tid);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    CHECK_EQ(t_join(&reader), 1);
    close(ends[0]);
    close(ends[1]);
}

struct order {
    struct t_sequence sequence;
    struct t_gate gate;
    int count;
};

static void *odd_turns(void *argument)
{
    struct order *order = argument;
    t_gate_wait(&order->gate);
    for (uint32_t i = 1; i < 10; i += 2) {
        t_turn(&order->sequence, i);
        CHECK_EQ(order->count++, i);
    }
    t_over(&order->sequence);
    return NULL;
}

TEST(threads_take_turns_in_order)
{
    struct order order = {{0, 0}, {0}, 0};
    struct t_thread odd;
    t_spawn(&odd, odd_turns, &order);
    t_until_blocked(odd.tid);
    t_gate_open(&order.gate);
    for (uint32_t i = 0; i < 10; i += 2) {
        t_turn(&order.sequence, i);
        CHECK_EQ(order.count++, i);
    }
    t_over(&order.sequence);
    t_join(&odd);
    CHECK_EQ(order.count, 10);
}

static void kill_oneself(void *signo)
{
    kill(getpid(), (int)(intptr_t)signo);
}

static void exit_with(void *status)
{
    exit((int)(intptr_t)status);
}

TEST(t_run_status_returns_the_wait_status)
{
    CHECK_EXITED(t_run_status(exit_with, (void *)7), 7);
    CHECK_KILLED(t_run_status(kill_oneself, (void *)(intptr_t)SIGTERM), SIGTERM);
}

/* Fixed race: two threads wrote at the same position, and one line was lost. */
static void write_at_one_position(void *unused)
{
    (void)unused;
    CHECK_EQ(write(1, "one\n", 4), 4);
    lseek(1, 0, SEEK_SET);
    CHECK_EQ(write(2, "two\n", 4), 4);
}

TEST(lines_of_a_process_do_not_overwrite_each_other)
{
    char output[64];
    CHECK_EXITED(t_run_output(write_at_one_position, NULL, output, sizeof output), 0);
    CHECK_STR(output, "one\ntwo\n");
}

TEST(expected_descriptors_may_stay)
{
    CHECK(dup(0) >= 0);
    t_expect_descriptors(1);
}

TEST(skipping_works)
{
    char output[1024];
    CHECK_EXITED(t_run_output(run_inner, (void *)(uintptr_t) "bad_skip", output, sizeof output), 0);
    CHECK(strstr(output, "ok 1 - bad_skip # SKIP to see that it does"));
    CHECK(!strstr(output, "not ok"));
}

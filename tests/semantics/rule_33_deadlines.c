/* SPDX-License-Identifier: MIT */
/* Rule 33: deadlines are absolute and monotonic, the effective one is the minimum over the ancestors; when the whole
 * process was stopped, all deadlines shift by that time. */
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include "semantics/children.h"

static bough_time expected;

static int compare(void *unused)
{
    (void)unused;
    CHECK_EQ(bough_deadline(), expected);
    BOUGH_BRANCH(later, .deadline = expected + BOUGH_SEC(1))
        CHECK_EQ(bough_deadline(), expected);
    BOUGH_BRANCH(earlier, .deadline = expected - BOUGH_SEC(1))
        CHECK_EQ(bough_deadline(), expected - BOUGH_SEC(1));
    CHECK_EQ(bough_deadline(), expected);
    return 0;
}

TEST(the_effective_deadline_is_the_minimum_over_the_ancestors)
{
    CHECK_EQ(bough_deadline(), 0);
    expected = bough_after(BOUGH_SEC(100));
    BOUGH_BRANCH(b, .deadline = expected) {
        compare(NULL);
        BOUGH_BRANCH(inner)
            add(inner, compare, bough_arg(NULL));
        CHECK_EQ(bough_last_result(), 0);
    }
    CHECK_EQ(bough_deadline(), 0);
}

TEST(of_deadline_and_timeout_the_earlier_counts)
{
    bough_time soon = bough_after(BOUGH_SEC(1000));
    BOUGH_BRANCH(b, .deadline = soon, .timeout = BOUGH_SEC(2000))
        CHECK_EQ(bough_deadline(), soon);
    BOUGH_BRANCH(b, .deadline = soon, .timeout = BOUGH_SEC(5))
        CHECK(bough_deadline() < soon);
    BOUGH_BRANCH(b, .timeout = INT64_MAX)
        CHECK_EQ(bough_deadline(), 0); /* never */
    CHECK_ERR(bough_branch_open(&(struct bough_branch_options){.deadline = -1}), EINVAL);
    CHECK_ERR(bough_branch_open(&(struct bough_branch_options){.timeout = -1}), EINVAL);
}

/* Fixed bug: the sum overflowed, and became a deadline in the past. */
TEST(a_deadline_that_would_overflow_never_passes)
{
    CHECK_EQ(bough_after(INT64_MAX), INT64_MAX);
    CHECK(bough_after(INT64_MAX - bough_now() - BOUGH_SEC(1000)) > 0);
    CHECK_EQ(bough_after(INT64_MIN), 1);
    BOUGH_BRANCH(b, .deadline = bough_after(INT64_MAX)) {
        CHECK_EQ(bough_deadline(), 0);
        CHECK_EQ(bough_usleep(1), 0);
    }
    CHECK_EQ(bough_last_result(), 0);
}

TEST(a_deadline_can_be_moved)
{
    BOUGH_BRANCH(b, .timeout = BOUGH_SEC(100)) {
        add(b, until_stopped, bough_arg(NULL));
        CHECK_EQ(bough_set_deadline(b, bough_after(BOUGH_MS(10))), 0);
        CHECK_EQ(until_stopped(NULL), ECANCELED);
    }
    CHECK_EQ(bough_last_result(), ETIMEDOUT);
    bough_time timeout = BOUGH_MS(50);
    bool in_time = false;
    for (; !in_time; timeout *= 4) { /* repeated with more time, if the deadline had passed before it was moved */
        bough_time at = bough_after(timeout);
        BOUGH_BRANCH(b, .deadline = at) {
            CHECK_EQ(bough_set_deadline(b, 0), 0);
            in_time = bough_now() < at;
            CHECK_EQ(bough_deadline(), 0);
            bough_event_flag never = {0};
            if (in_time)
                CHECK_ERR(bough_event_wait(&never, bough_after(3 * timeout)), ETIMEDOUT);
        }
        CHECK_EQ(bough_last_result(), 0);
    }
    BOUGH_BRANCH(b) {
        CHECK_EQ(bough_set_deadline(b, 1), 0); /* a deadline in the past */
        CHECK_ERR(bough_check(), ECANCELED);
    }
    CHECK_EQ(bough_last_result(), ETIMEDOUT);
}

static bough_branch *others;

static int move_others(void *unused)
{
    (void)unused;
    CHECK_ERR(bough_set_deadline(others, 1), EPERM);
    return 0;
}

TEST(only_the_owner_may_move_a_deadline)
{
    BOUGH_BRANCH(b) {
        others = b;
        add(b, move_others, bough_arg(NULL));
        CHECK_ERR(bough_set_deadline(b, -1), EINVAL);
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_ERR(bough_set_deadline(others, 1), ESRCH);
    CHECK_ERR(bough_set_deadline(bough_root(), 1), EPERM);
    CHECK_ERR(bough_set_deadline(NULL, 1), EINVAL);
}

TEST(many_deadlines_pass_in_order)
{
    enum { MANY = 200 };
    for (int i = 0; i < MANY; i++) {
        bough_time at = bough_after(BOUGH_US(100 + i * 37 % 1000));
        BOUGH_BRANCH(outer, .deadline = at + BOUGH_SEC(100))
            BOUGH_BRANCH(b, .deadline = at) {
                CHECK_EQ(until_stopped(NULL), ECANCELED);
                CHECK(bough_now() >= at);
            }
        CHECK_EQ(bough_last_result(), 0);
    }
}

/* ---- the whole process is stopped -------------------------------------------------------------------------------- */

/* Runs in a separate process: it opens a branch with 2.5 s left, is stopped for 3 s, and then has most of that time
 * left. */
static void be_stopped(void *unused)
{
    (void)unused;
    int64_t begun = t_now();
    bough_time from = bough_now();
    BOUGH_BRANCH(b, .timeout = BOUGH_MS(2500)) {
        raise(SIGSTOP);
        /* The library detects at least the time of the stop, less the half second between two checks. */
        t_until(t_now() - begun - (bough_now() - from) > BOUGH_MS(2400));
        if (until_stopped(NULL) != ECANCELED)
            _exit(1);
        if (t_now() - begun < BOUGH_MS(2500 + 2400))
            _exit(2);
    }
    _exit(bough_last_result() == ETIMEDOUT ? 0 : 3);
}

TEST_LIMIT(deadlines_shift_when_the_process_was_stopped, 40)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        be_stopped(NULL);
    }
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK(WIFSTOPPED(status));
    usleep(3000000);
    CHECK_EQ(kill(pid, SIGCONT), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EXITED(status, 0);
}

/* SPDX-License-Identifier: MIT */
/* Rule 47: if an interrupted call makes a client library return an error of the library, and the child or branch ends
 * by it, the child or branch counts as interrupted, not as failed. */
#include <bough.h>
#include <poll.h>
#include <unistd.h>
#include "harness.h"

/* A client library with special error codes, whose cleanup makes calls that may fail as well. */
enum { LOST_CONNECTION = 4242 };

static int client_request(int fd)
{
    char byte;
    if (read(fd, &byte, 1) == 1)
        return 0;
    if (write(-1, "quit", 4) < 0)
        return LOST_CONNECTION;
    return 0;
}

static _Atomic pid_t tid;

static int asks(void *unused)
{
    (void)unused;
    tid = t_tid();
    return client_request(t_silent());
}

static const struct bough_child_options foreign = {.foreign = 1};

static bough_thread *add_asking(bough_branch *b)
{
    tid = 0;
    bough_thread *child = bough_add_with(b, asks, bough_arg(NULL), &foreign);
    CHECK(child);
    t_until(tid != 0);
    t_until_blocked(tid);
    return child;
}

static void interpose(void)
{
    CHECK(bough_interpose((const char *const[]){"", NULL}, 0) > 0);
}

TEST(a_child_that_is_interrupted_alone_has_not_failed)
{
    interpose();
    BOUGH_BRANCH(b, .collect = 1) {
        bough_thread *child = add_asking(b);
        CHECK_EQ(bough_interrupt(child, "stop"), 0);
        CHECK_EQ(bough_join(child), 0);
        CHECK_EQ(bough_outcome(child, NULL), BOUGH_INTERRUPTED);
    }
    CHECK_EQ(bough_last_result(), 0);
}

TEST(a_branch_that_is_stopped_ends_with_0)
{
    interpose();
    BOUGH_BRANCH(b) {
        add_asking(b);
        CHECK_EQ(bough_interrupt(b, "stop"), 0);
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_last()->interrupted, 1);
}

TEST(a_deadline_is_reported_as_a_deadline)
{
    interpose();
    BOUGH_BRANCH(b, .timeout = BOUGH_MS(50)) {
        bough_add_with(b, asks, bough_arg(NULL), &foreign);
    }
    CHECK_EQ(bough_last_result(), ETIMEDOUT);
    CHECK(bough_last()->error == NULL);
}

TEST(siblings_that_a_failure_interrupts_have_not_failed)
{
    interpose();
    BOUGH_BRANCH(b) {
        add_asking(b);
        bough_fail(b, EPROTO, "the one failure");
    }
    CHECK_EQ(bough_last_result(), EPROTO);
    CHECK_EQ(bough_last()->tally.count[BOUGH_ERROR], 0);
    CHECK_EQ(bough_last()->error->count, 0);
}

/* ---- the other direction ----------------------------------------------------------------------------------------- */

static int fails_by_itself(void *closed)
{
    return client_request(bough_fd_of(closed));
}

TEST(an_error_without_an_interrupt_is_a_failure)
{
    int fds[2];
    interpose();
    CHECK_EQ(pipe(fds), 0);
    close(fds[1]);
    BOUGH_BRANCH(b) {
        bough_add_with(b, fails_by_itself, bough_fd(fds[0]), &foreign);
    }
    CHECK_EQ(bough_last_result(), LOST_CONNECTION);
}

static int clears_and_fails(void *closed)
{
    CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
    CHECK_EQ(client_request(t_silent()), LOST_CONNECTION);
    CHECK_EQ(bough_clear(NULL), 1);
    return client_request(bough_fd_of(closed));
}

TEST(an_error_after_the_interrupt_was_cleared_is_a_failure)
{
    int fds[2];
    interpose();
    CHECK_EQ(pipe(fds), 0);
    close(fds[1]);
    BOUGH_BRANCH(b) {
        bough_add_with(b, clears_and_fails, bough_fd(fds[0]), &foreign);
    }
    CHECK_EQ(bough_last_result(), LOST_CONNECTION);
}

static int says_that_it_failed(void *unused)
{
    int error = asks(unused);
    bough_fail(BOUGH_SELF, error, "the file is damaged");
    return error;
}

TEST(bough_fail_makes_an_error_a_failure)
{
    interpose();
    BOUGH_BRANCH(b) {
        tid = 0;
        bough_thread *child = bough_add_with(b, says_that_it_failed, bough_arg(NULL), &foreign);
        t_until(tid != 0);
        t_until_blocked(tid);
        CHECK_EQ(bough_interrupt(child, "stop"), 0);
    }
    CHECK_EQ(bough_last_result(), LOST_CONNECTION);
}

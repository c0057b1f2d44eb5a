/* SPDX-License-Identifier: MIT */
/* Rule 39: neither the warden nor the end of the process waits for code that may hang. */
#define _GNU_SOURCE
#include <fcntl.h>
#include "../signals/program.h"
#include "climber.h"

static int hangs(void *unused)
{
    (void)unused;
    while (!c_go)
        usleep(100000);
    return 0;
}

static void hang_up(int64_t exit_ns)
{
    struct bough_event event = {.kind = BOUGH_OPERATOR, .reason = "enough"};
    c_times_to_the_end(exit_ns);
    BOUGH_BRANCH(b) {
        bough_add(b, hangs, bough_arg(NULL));
        bough_post_event(b, &event);
    }
}

static void stuck(const struct bough_transition *transition, void *unused)
{
    (void)transition;
    (void)unused;
    for (;;)
        pause();
}

static void callback_hangs(void *unused)
{
    (void)unused;
    bough_on_transition(stuck, NULL);
    hang_up(LONG_EXIT_NS);
}

TEST(a_callback_that_hangs_delays_nothing)
{
    CHECK_EXITED(t_run_status(callback_hangs, NULL), BOUGH_EXIT_STATUS);
}

static void stuck_report(const char *line)
{
    (void)line;
    for (;;)
        pause();
}

static void report_hangs(void *unused)
{
    (void)unused;
    bough_set_report(stuck_report);
    hang_up(LONG_EXIT_NS);
}

TEST(a_log_that_hangs_delays_nothing)
{
    CHECK_EXITED(t_run_status(report_hangs, NULL), BOUGH_EXIT_STATUS);
}

static void tier_hangs(void *unused)
{
    (void)unused;
    for (;;)
        pause();
}

static void never_returns(void)
{
    for (;;)
        pause();
}

/* All code of the program hangs, so that only the kill ends it. */
static void all_hangs(void *path)
{
    bough_on_transition(stuck, NULL);
    bough_set_report(stuck_report);
    bough_exit_tier(0, tier_hangs, NULL);
    atexit(never_returns);
    CHECK_EQ(bough_last_words(path, -1, 0), 0);
    hang_up(SHORT_EXIT_NS);
}

TEST(the_last_words_are_written)
{
    char path[32], text[4096];
    int fd = memfd_create("words", 0); /* the program under test opens it by a path, like any file */
    CHECK(fd >= 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CHECK_KILLED(t_run_status(all_hangs, path), SIGKILL);
    ssize_t n = read(fd, text, sizeof text - 1);
    CHECK(n > 0);
    text[n] = '\0';
    CHECK(strstr(text, "enough"));
    close(fd);
}

/* The dump goes to a full pipe that is not read. */
static void words_to_a_full_pipe(void *unused)
{
    int fds[2];
    char byte = 0;
    (void)unused;
    CHECK_EQ(pipe2(fds, O_NONBLOCK), 0);
    while (write(fds[1], &byte, 1) == 1)
        continue;
    fcntl(fds[1], F_SETFL, 0);
    CHECK_EQ(bough_last_words(NULL, fds[1], 0), 0);
    bough_exit_tier(0, tier_hangs, NULL);
    atexit(never_returns);
    hang_up(SHORT_EXIT_NS);
}

TEST(the_end_does_not_wait_for_a_reader_of_the_last_words)
{
    CHECK_KILLED(t_run_status(words_to_a_full_pipe, NULL), SIGKILL);
}

TEST(invalid_arguments_are_refused)
{
    CHECK_ERR(bough_last_words("/nonexistent/path", -1, 0), ENOENT);
    CHECK_ERR(bough_last_words(NULL, -2, 0), EINVAL);
    CHECK_ERR(bough_last_words(NULL, 12345, 0), EBADF);
    CHECK_ERR(bough_last_words(NULL, -1, 2), EINVAL);
    CHECK_ERR(bough_exit_tier(0, NULL, NULL), EINVAL);
}

/* SPDX-License-Identifier: MIT */
/* Failures that are not read are reported when the thread ends; other failures are not. */
#include "semantics/children.h"

static int fail_inside(void *unused)
{
    (void)unused;
    BOUGH_BRANCH(inner)
        bough_fail(inner, EIO, "this failure is not read");
    return 0;
}

static void *ignore(void *unused)
{
    fail_inside(unused);
    return NULL;
}

static void *read_it(void *unused)
{
    fail_inside(unused);
    CHECK_EQ(bough_last_result(), EIO);
    return NULL;
}

TEST(an_unread_failure_of_an_adopted_thread_is_reported)
{
    struct t_thread thread;
    listen_to_reports();
    t_spawn(&thread, ignore, NULL);
    t_join(&thread);
    CHECK_EQ(reports_count_, 1);
    CHECK(reported("this failure is not read"));
    CHECK(reported("bough_last_result()")); /* the report names the function to call */
    t_spawn(&thread, read_it, NULL);
    t_join(&thread);
    CHECK_EQ(reports_count_, 1);
}

static void *ignore_two(void *unused)
{
    fail_inside(unused);
    BOUGH_BRANCH(second)
        bough_fail(second, EDOM, "nor this");
    return NULL;
}

TEST(several_unread_failures_are_all_reported)
{
    struct t_thread thread;
    listen_to_reports();
    t_spawn(&thread, ignore_two, NULL);
    t_join(&thread);
    CHECK(reported("this failure is not read"));
    CHECK(reported("nor this"));
}

static int ignore_a_thousand(void *unused)
{
    (void)unused;
    for (int i = 0; i < 1000; i++)
        BOUGH_BRANCH(inner)
            bough_fail(inner, EIO, "message %d", i);
    return 0;
}

TEST(an_unread_failure_of_a_child_goes_to_the_branch_and_is_not_reported)
{
    listen_to_reports();
    BOUGH_BRANCH(b)
        add(b, fail_inside, bough_arg(NULL));
    CHECK_EQ(bough_last_result(), EIO);
    CHECK_EQ(reports_count_, 0);
}

TEST(the_release_of_a_thread_reports_its_unread_failures)
{
    listen_to_reports();
    fail_inside(NULL);
    CHECK_EQ(bough_release(), 0);
    CHECK_EQ(reports_count_, 1);
}

static void end_with_it(void *unused)
{
    fail_inside(unused);
}

static void end_without(void *unused)
{
    fail_inside(unused);
    bough_last();
}

/* Fixed bug: main ends by exit(), which does not run its keys' destructors, and its failures were not reported. */
TEST(an_unread_failure_of_main_is_reported_at_exit)
{
    char text[1024];
    CHECK_EXITED(t_run_output(end_with_it, NULL, text, sizeof text), 0);
    CHECK(strstr(text, "bough: "));
    CHECK(strstr(text, "this failure is not read"));
    CHECK_EXITED(t_run_output(end_without, NULL, text, sizeof text), 0);
    CHECK(!strstr(text, "bough: "));
}

static void fork_and_end(void *unused)
{
    int status;
    fail_inside(unused);
    pid_t pid = fork();
    if (pid == 0)
        exit(0); /* the parent may still read its failures, so the child reports none of them */
    waitpid(pid, &status, 0);
    _exit(WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1);
}

TEST(a_forked_process_does_not_report_its_parents_failures)
{
    char text[1024];
    CHECK_EXITED(t_run_output(fork_and_end, NULL, text, sizeof text), 0);
    CHECK(!strstr(text, "bough: "));
}

/* Fixed bug: all of them were kept, and searched at each branch's end. */
TEST(the_last_64_unread_failures_are_kept_and_older_ones_dropped_with_a_report)
{
    listen_to_reports();
    BOUGH_BRANCH(b)
        add(b, ignore_a_thousand, bough_arg(NULL));
    const bough_error *e = bough_last()->error;
    CHECK_STR(e->message, "message 936");
    CHECK_EQ(e->count, 63);
    CHECK_STR(e->attached[62]->message, "message 999");
    CHECK_EQ(reports_count_, 10); /* a report at the 1st, 2nd, 4th ... 512th loss */
    CHECK(reported(
        "more than 64 unread failures: dropping the oldest (1 dropped so far), of the body in inner: Input/output error: "
        "message 0;"));
    CHECK(reported("more than 64 unread failures: dropping the oldest (512 dropped so far), of the body in inner: "
                   "Input/output error: message 511;"));
}

static void say_nothing(const char *line)
{
    (void)line;
}

TEST(the_report_function_can_be_set_and_restored)
{
    CHECK(!bough_set_report(say_nothing));
    CHECK(bough_set_report(NULL) == say_nothing);
    CHECK(!bough_set_report(NULL));
}

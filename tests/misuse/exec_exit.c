/* SPDX-License-Identifier: MIT */
/* exec and exit() where branches are open. */
#include "misuse/forks.h"

/* The wake signal is neither caught nor ignored in the new image. It is SIGURG, number 23: its bit is in the first of
 * the last six digits of a mask. */
static int exec_a_shell(void *unused)
{
    (void)unused;
    execl("/bin/sh", "sh", "-c", "grep -qE '^Sig(Ign|Cgt):.*[4567cdef].....$' /proc/$$/status && exit 7; exit 5",
          (char *)NULL);
    return errno;
}

static void exec_in_a_child(void *unused)
{
    (void)unused;
    BOUGH_BRANCH(b) {
        add(b, until_stopped, bough_arg(NULL));
        add(b, exec_a_shell, bough_arg(NULL));
    }
    _exit(1);
}

TEST(exec_in_a_child_replaces_the_process)
{
    CHECK_EXITED(t_run_status(exec_in_a_child, NULL), 5);
}

static int exit_with_9(void *unused)
{
    (void)unused;
    exit(9);
}

static void exit_in_a_child(void *unused)
{
    (void)unused;
    BOUGH_BRANCH(b) {
        add(b, until_stopped, bough_arg(NULL));
        add(b, exit_with_9, bough_arg(NULL));
    }
    _exit(1);
}

TEST(exit_in_a_child_ends_the_process)
{
    for (int i = 0; i < 20; i++)
        CHECK_EXITED(t_run_status(exit_in_a_child, NULL), 9);
}

static void exit_in_a_body(void *unused)
{
    (void)unused;
    BOUGH_BRANCH(b) {
        for (int i = 0; i < 20; i++)
            add(b, until_stopped, bough_arg(NULL));
        exit(8);
    }
}

TEST(exit_in_a_body_waits_for_no_child)
{
    for (int i = 0; i < 20; i++)
        CHECK_EXITED(t_run_status(exit_in_a_body, NULL), 8);
}

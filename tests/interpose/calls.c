/* SPDX-License-Identifier: MIT */
/* This program's own calls of libc play the foreign code's part. Rule 22. */
#include <bough.h>
#include <unistd.h>
#include "harness.h"

struct pipe_pair {
    int out, in;
};

static struct pipe_pair new_pipe(void)
{
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    return (struct pipe_pair){fds[0], fds[1]};
}

static _Atomic pid_t tid;

static int reads_in_a_region(void *argument)
{
    char c;
    int error = 0;
    tid = gettid();
    BOUGH_FOREIGN
    {
        if (read(bough_fd_of(argument), &c, 1) < 0)
            error = errno;
    }
    CHECK_EQ(error, ECANCELED);
    CHECK_ERR(bough_check(), ECANCELED); /* it stays */
    return ECANCELED;
}

static int reads_from_its_start(void *argument)
{
    char c;
    tid = gettid();
    CHECK_ERR(read(bough_fd_of(argument), &c, 1), ECANCELED);
    return ECANCELED;
}

static void interrupt_a_child(bough_fn *fn, unsigned foreign)
{
    struct pipe_pair p = new_pipe();
    tid = 0;
    struct bough_child_options options = {.foreign = foreign};
    BOUGH_BRANCH(b, .collect = 1) {
        bough_thread *child = bough_add_with(b, fn, bough_fd(p.out), &options);
        CHECK(child != NULL);
        t_until(tid != 0);
        t_until_blocked(tid);
        CHECK_EQ(bough_interrupt(child, "stop"), 0);
        CHECK_EQ(bough_join(child), 0);
        CHECK_EQ(bough_outcome(child, NULL), BOUGH_INTERRUPTED);
    }
    close(p.in);
}

TEST(a_call_in_a_region_is_cut)
{
    CHECK(bough_interpose((const char *const[]){"", NULL}, 0) > 0);
    interrupt_a_child(reads_in_a_region, 0);
}

TEST(a_child_can_take_part_from_its_start)
{
    CHECK(bough_interpose((const char *const[]){"", NULL}, 0) > 0);
    interrupt_a_child(reads_from_its_start, 1);
}

TEST(the_report_can_be_read)
{
    CHECK(bough_interpose(NULL, 0) > 0);
    CHECK_EQ(bough_interpose_report(1), 0);
    CHECK_EQ(bough_interpose_undo(), 0);
}

/* SPDX-License-Identifier: MIT */
/* Rule 37: a thread that ignores its interrupt is closed from another thread, where that is safe; tests/ladder has the
 * other cases. */
#define _GNU_SOURCE
#include <fcntl.h>
#include "climber.h"

static int fds[2];
static char order[8];
static _Atomic int closed;
static _Atomic int destroyed;

static void note(void *letter)
{
    order[closed++] = *(const char *)letter;
}

static void destroy(void *unused)
{
    (void)unused;
    destroyed++;
}

/* Swallows every failure of its calls. */
static int deaf(void *unused)
{
    static char a = 'a', b = 'b';
    char byte;
    (void)unused;
    bough_closer_fn(note, &a);
    bough_closer *c = bough_closer_fn(note, &a);
    bough_closer_fn(note, &b);
    CHECK_EQ(bough_closer_drop(c, 0), 0);
    for (c_works = 1;;)
        bough_read(fds[0], &byte, 1);
    return 0;
}

static volatile unsigned spun;

static int computes(void *unused)
{
    (void)unused;
    BOUGH_CLOSABLE {
        for (c_works = 1;;)
            spun++;
    }
    return 0;
}

/* Foreign code may hold a lock that others need, so the thread must not be frozen here. */
static int in_foreign_code(void *unused)
{
    (void)unused;
    for (c_works = 1; !c_go;)
        usleep(1000);
    return 0;
}

static bough_post close_child(bough_branch *b, bough_fn *fn)
{
    struct bough_ladder l = {.time = {0, STEP_NS, 0, 0, BOUGH_SEC(20)}, .ceiling = {[BOUGH_STOP] = BOUGH_RUNG_CLOSE}};
    bough_set_report(c_silent);
    bough_on_transition(c_note, NULL);
    CHECK_EQ(pipe2(fds, 0), 0);
    CHECK_EQ(bough_ladder_set(b, &l), 0);
    bough_thread *t = bough_add(b, fn, bough_resource_of(NULL, destroy));
    t_until(c_works);
    return bough_post_event(t, NULL);
}

/* In a separate process, because the frozen thread never ends. */
static void is_lost(void *child)
{
    bough_post post = {0, 0};
    BOUGH_BRANCH(b) {
        post = close_child(b, *(bough_fn **)child);
        bough_post_wait(post, 0); /* may be interrupted, because the child's loss is the branch's failure */
    }
    CHECK_EQ(bough_last()->tally.count[BOUGH_LOST], 1);
    CHECK_EQ(bough_last_result(), EOWNERDEAD);
    CHECK_EQ(bough_post_status(post), BOUGH_POST_LOST);
    CHECK_EQ(destroyed, 1);
    t_until(c_has(1, 4) && c_has(4, 0));
    _exit(0);
}

TEST(a_thread_that_swallows_failures_is_closed_in_its_call)
{
    bough_fn *child = deaf;
    CHECK_EXITED(t_run_status(is_lost, &child), 0);
}

static void closers_ran(void *unused)
{
    (void)unused;
    BOUGH_BRANCH(b) {
        close_child(b, deaf);
    }
    CHECK_STR(order, "ba");
    _exit(0);
}

TEST(closers_run_the_last_one_first)
{
    CHECK_EXITED(t_run_status(closers_ran, NULL), 0);
}

TEST(a_thread_in_a_closable_region_is_closed_anywhere)
{
    bough_fn *child = computes;
    CHECK_EXITED(t_run_status(is_lost, &child), 0);
}

TEST(a_thread_elsewhere_is_not_closed)
{
    BOUGH_BRANCH(b) {
        bough_post post = close_child(b, in_foreign_code);
        struct bough_progress progress = {0};
        t_until(bough_post_progress(post, &progress) == 0 && progress.overdue);
        CHECK_EQ(destroyed, 0);
        c_go = 1;
    }
    CHECK_EQ(bough_last()->tally.count[BOUGH_LOST], 0);
    CHECK_EQ(destroyed, 1);
    close(fds[0]);
    close(fds[1]);
}

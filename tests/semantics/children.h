/* SPDX-License-Identifier: MIT */
/* Children that the tests of branches share. */
#ifndef T_CHILDREN_H
#define T_CHILDREN_H

#include <bough.h>
#include "harness.h"

#define UNUSED __attribute__((unused))

/* The thread sanitizer does not follow a thread that is cancelled in a system call, or that runs its keys' destructors:
 * it reports races that do not exist. */
UNUSED static void need_cancellation(void)
{
    if (T_TSAN)
        SKIP("the thread sanitizer does not follow such a thread");
}

/* Blocks until it is interrupted. */
UNUSED static int until_stopped(void *unused)
{
    (void)unused;
    bough_event_flag never = {0};
    return bough_event_wait(&never, 0) == 0 ? 0 : errno;
}

UNUSED static int work(void *unused)
{
    (void)unused;
    return 0;
}

/* Fails with the number that is its argument. */
UNUSED static int fail_with(void *error)
{
    return (int)(intptr_t)error;
}

UNUSED static bough_resource number(int n)
{
    return bough_arg((void *)(intptr_t)n);
}

/* The child of an add that must fail. */
UNUSED static int never_started(void *unused)
{
    (void)unused;
    FAIL("this child should not have started");
}

UNUSED static int level_is_deferred(void *unused)
{
    (void)unused;
    return bough_level() == BOUGH_DEFERRED ? 0 : EPROTO;
}

UNUSED static int wait_for_gate(void *gate)
{
    t_gate_wait(gate);
    return 0;
}

/* A resource: destroyed once, or the test fails. */
struct thing {
    _Atomic int destroyed, used;
    _Atomic pid_t by;
    struct t_gate there;
};

UNUSED static void destroy_thing(void *value)
{
    struct thing *thing = value;
    CHECK_EQ(thing->destroyed++, 0);
    thing->by = t_tid();
}

UNUSED static bough_resource thing_of(struct thing *thing)
{
    return bough_resource_of(thing, destroy_thing);
}

/* Opens its thing's gate, then blocks until it is interrupted. */
UNUSED static int open_and_block(void *thing)
{
    t_gate_open(&((struct thing *)thing)->there);
    return until_stopped(NULL);
}

/* Adding fails with this error, and the resource is destroyed once, by the adder (rule 21). */
UNUSED static void check_cant_add(bough_branch *branch, bough_fn *fn, int error)
{
    struct thing thing = {0};
    CHECK_ERR(bough_add(branch, fn, thing_of(&thing)), error);
    CHECK_EQ(thing.destroyed, 1);
    CHECK_EQ(thing.by, t_tid());
}

/* A thread that interrupts the main thread, its argument, when main blocks. */
UNUSED static void *interrupt_blocked_main(void *main_thread)
{
    t_until_blocked(getpid());
    CHECK_EQ(bough_interrupt(main_thread, "test"), 0);
    return NULL;
}

UNUSED static void add(bough_branch *branch, bough_fn *fn, bough_resource resource)
{
    CHECK(bough_add(branch, fn, resource));
}

/* Keeps the library's reports, which otherwise go to standard error. */
static char reports_[1 << 13];
static _Atomic int reports_count_;
static pthread_mutex_t reports_lock_ = PTHREAD_MUTEX_INITIALIZER;

UNUSED static void keep_report_(const char *line)
{
    if (strstr(line, "has not acknowledged")) /* a thread had no processor for a while: the tests ignore that */
        return;
    reports_count_++;
    pthread_mutex_lock(&reports_lock_);
    size_t used = strlen(reports_);
    snprintf(reports_ + used, sizeof reports_ - used, "%s\n", line);
    pthread_mutex_unlock(&reports_lock_);
}

UNUSED static void listen_to_reports(void)
{
    reports_[0] = '\0';
    reports_count_ = 0;
    bough_set_report(keep_report_);
}

UNUSED static int reported(const char *text)
{
    pthread_mutex_lock(&reports_lock_);
    int found = strstr(reports_, text) != NULL;
    pthread_mutex_unlock(&reports_lock_);
    return found;
}

UNUSED static int fail_twice(void *unused)
{
    (void)unused;
    bough_fail(BOUGH_SELF, EIO, "one");
    bough_fail(BOUGH_SELF, EDOM, "two");
    return 0;
}

#endif

/* SPDX-License-Identifier: MIT */
/* Handlers, and how they can fail. */
#include "program.h"

static jmp_buf outside;
static sigjmp_buf cut;

/* Reaches points, and ignores the interrupt. */
static void meet_points(void)
{
    in_place();
    while (!may_stop()) {
        bough_check();
        rest(10);
    }
}

#define CHILD(name, region)       \
    static int name(void *unused) \
    {                             \
        (void)unused;             \
        region meet_points();     \
        return 0;                 \
    }

/* ---- rung 2 ------------------------------------------------------------------------------------------------------ */

static int sleeps(struct bough_incident *incident, void *unused)
{
    (void)unused;
    note("the handler of rung %d runs", incident->rung);
    be_deaf();
    return BOUGH_UNWIND;
}

/* The compiler must not see the fault. */
static void raise_a_fault(void)
{
    static int *volatile nowhere;
    *nowhere = 1;
}

static int crashes(struct bough_incident *incident, void *unused)
{
    (void)incident, (void)unused;
    raise_a_fault();
    return BOUGH_DISMISS;
}

static int jumps(struct bough_incident *incident, void *unused)
{
    (void)incident, (void)unused;
    longjmp(outside, 1);
}

static int promotes(struct bough_incident *incident, void *unused)
{
    (void)incident, (void)unused;
    return BOUGH_PROMOTE;
}

static int resumes(struct bough_incident *incident, void *unused)
{
    (void)unused;
    incident->resume_until = bough_after(BOUGH_SEC(600));
    return BOUGH_RESUME;
}

/* In a call of bough, which the handler's incident does not interrupt. */
static int waits(struct bough_incident *incident, void *unused)
{
    (void)incident, (void)unused;
    while (bough_sleep(600) == 0)
        continue;
    note("the handler was cut");
    return BOUGH_UNWIND;
}

static int dismisses(struct bough_incident *incident, void *unused)
{
    (void)incident, (void)unused;
    note("dismissed");
    return BOUGH_DISMISS;
}

/* A second event during the handler: the incident climbs, and the handler is not entered again. */
static int posts_again(struct bough_incident *incident, void *unused)
{
    static _Atomic int times;
    (void)unused;
    note("the handler posts for the %d. time", ++times);
    bough_post_event(incident->record.target, &(struct bough_event){.kind = kind(), .signo = SIGTERM});
    return BOUGH_UNWIND;
}

static int unwinds(struct bough_incident *incident, void *unused)
{
    (void)incident, (void)unused;
    note("the handler says that the thread unwinds");
    return BOUGH_UNWIND;
}

CHILD(has_one_that_sleeps, BOUGH_HANDLE(sleeps, NULL))
CHILD(has_one_that_crashes, BOUGH_HANDLE(crashes, NULL))
CHILD(has_one_that_promotes, BOUGH_HANDLE(promotes, NULL))
CHILD(has_one_that_resumes, BOUGH_HANDLE(resumes, NULL))
CHILD(has_one_that_waits, BOUGH_HANDLE(waits, NULL))
CHILD(has_one_that_posts_again, BOUGH_HANDLE(posts_again, NULL))
CHILD(has_one_that_unwinds, BOUGH_HANDLE(unwinds, NULL))

static int has_one_that_jumps(void *unused)
{
    (void)unused;
    if (setjmp(outside) == 0)
        BOUGH_HANDLE(jumps, NULL)
            meet_points();
    meet_points();
    return 0;
}

WAY(handler_sleeps)
{
    bough_signals(0);
    with_child(has_one_that_sleeps);
}

WAY(handler_crashes)
{
    bough_signals(0);
    with_child(has_one_that_crashes);
}

WAY(handler_longjmps)
{
    bough_signals(0);
    with_child(has_one_that_jumps);
}

WAY(handler_promotes)
{
    bough_signals(0);
    with_child(has_one_that_promotes);
}

WAY(handler_resumes_for_ever)
{
    bough_signals(0);
    with_child(has_one_that_resumes);
}

WAY(handler_posts_again)
{
    bough_signals(0);
    with_child(has_one_that_posts_again);
}

WAY(handler_waits)
{
    bough_signals(0);
    with_child(has_one_that_waits);
}

WAY(handler_unwinds_but_the_thread_does_not)
{
    bough_signals(0);
    with_child(has_one_that_unwinds);
}

/* Only a handler of main may dismiss an interrupt of the root. */
WAY(handler_dismisses)
{
    bough_signals(0);
    BOUGH_HANDLE(dismisses, NULL) {
        begin(BOUGH_ROOT);
        while (bough_sleep(1) == 0)
            if (bough_post_status((bough_post){0}) != BOUGH_POST_GONE)
                break;
    }
}

/* The thread ends in the handler; the unwinder passes through the library. */
static int ends_the_thread(struct bough_incident *incident, void *unused)
{
    (void)incident, (void)unused;
    note("the handler ends the thread");
    pthread_exit(NULL);
}

CHILD(has_one_that_ends_the_thread, BOUGH_HANDLE(ends_the_thread, NULL))

WAY(handler_ends_the_thread)
{
    bough_signals(0);
    with_child(has_one_that_ends_the_thread);
}

#ifdef WITH_CPP
void throw_it(void);

static int throws(struct bough_incident *incident, void *unused)
{
    (void)incident, (void)unused;
    note("the handler throws");
    throw_it();
    return BOUGH_UNWIND;
}

CHILD(has_one_that_throws, BOUGH_HANDLE(throws, NULL))

/* throwing.cpp has a catch around it. */
int catch_it(int (*function)(void *), void *argument);

static int catches(void *unused)
{
    int caught = catch_it(has_one_that_throws, unused);
    note(caught ? "it was caught" : "it was not thrown");
    meet_points();
    return 0;
}
#else
static int catches(void *unused)
{
    (void)unused;
    skip("there is no C++ compiler");
}
#endif

WAY(handler_throws)
{
    bough_signals(0);
    with_child(catches);
}

/* ---- rung 3 ------------------------------------------------------------------------------------------------------ */

static int returns(struct bough_incident *incident, void *unused)
{
    (void)incident, (void)unused;
    return 0;
}

static int leaves(struct bough_incident *incident, void *unused)
{
    (void)unused;
    note("the handler of rung %d leaves", incident->rung);
    siglongjmp(cut, 1);
}

CHILD(has_a_final_one_that_returns, BOUGH_HANDLE_FINAL(returns, NULL))
CHILD(has_a_final_one_that_sleeps, BOUGH_HANDLE_FINAL(sleeps, NULL))

static int has_both_that_sleep(void *unused)
{
    BOUGH_HANDLE_FINAL(sleeps, NULL)
        has_one_that_sleeps(unused);
    return 0;
}

static int has_a_final_one_that_leaves(void *unused)
{
    struct bough_region region;
    (void)unused;
    if (sigsetjmp(cut, 1) == 0) {
        bough_handler_begin(&region, leaves, NULL, BOUGH_HANDLER_FINAL, __FILE__, __LINE__);
        meet_points();
    }
    return ECANCELED;
}

/* Computes, and never reaches a point. */
static int has_one_on_top(void *unused)
{
    struct bough_region region;
    static volatile unsigned long work;
    (void)unused;
    if (sigsetjmp(cut, 1) == 0) {
        bough_handler_begin(&region, leaves, NULL, BOUGH_HANDLER_FINAL | BOUGH_HANDLER_ASYNC, __FILE__, __LINE__);
        in_place();
        for (;;)
            work++;
    }
    return ECANCELED;
}

WAY(final_handler_returns)
{
    bough_signals(0);
    with_child(has_a_final_one_that_returns);
}

WAY(final_handler_sleeps)
{
    bough_signals(0);
    with_child(has_a_final_one_that_sleeps);
}

WAY(final_handler_leaves)
{
    bough_signals(0);
    with_child(has_a_final_one_that_leaves);
}

WAY(final_handler_on_top_of_a_loop)
{
    bough_signals(0);
    with_child(has_one_on_top);
}

WAY(every_rung_hangs)
{
    bough_signals(0);
    atexit(hang);
    with_child(has_both_that_sleep);
}

/* SPDX-License-Identifier: MIT */
/* Threads that never reach a point, or ignore the failure of a point. */
#include "program.h"
#include <poll.h>

static volatile unsigned long sum;

static int computes(void *unused)
{
    (void)unused;
    in_place();
    while (!may_stop())
        sum++;
    return 0;
}

WAY(compute_loop)
{
    bough_signals(0);
    with_child(computes);
}

WAY(compute_loop_in_main)
{
    bough_signals(0);
    begin(BOUGH_ROOT);
    computes(NULL);
}

WAY(branch_that_climbs)
{
    struct bough_ladder ladder = {.ceiling = {[BOUGH_STOP] = BOUGH_RUNG_KILL}};
    BOUGH_BRANCH(work) {
        MUST(bough_ladder_set(work, &ladder) == 0);
        MUST(bough_add(work, computes, bough_arg(NULL)));
        wait_until_in_place(1);
        begin(work);
    }
}

/* ---- levels ------------------------------------------------------------------------------------------------------ */

WAY(disabled_for_ever)
{
    bough_signals(0);
    with_child_that(&(struct bough_child_options){.disabled = 1}, deaf);
}

static int is_disabled_in_calls(void *unused)
{
    (void)unused;
    in_place();
    for (;;)
        bough_sleep(60);
    return 0;
}

WAY(disabled_in_calls)
{
    bough_signals(0);
    with_child_that(&(struct bough_child_options){.disabled = 1}, is_disabled_in_calls);
}

static int goes_from_section_to_section(void *unused)
{
    (void)unused;
    in_place();
    while (!may_stop())
        BOUGH_CRITICAL(BOUGH_SEC(1))
            rest(10);
    return 0;
}

WAY(sections_back_to_back)
{
    bough_signals(0);
    with_child(goes_from_section_to_section);
}

static int is_in_a_section(void *unused)
{
    (void)unused;
    BOUGH_CRITICAL(BOUGH_SEC(600))
        deaf(NULL);
    return 0;
}

WAY(section_for_ever)
{
    bough_signals(0);
    with_child(is_in_a_section);
}

WAY(section_and_an_exit_that_hangs)
{
    bough_signals(0);
    atexit(hang);
    with_child(is_in_a_section);
}

/* ---- cleanup ----------------------------------------------------------------------------------------------------- */

static int cleans_up_for_ever(void *unused)
{
    (void)unused;
    in_place();
    while (bough_sleep(60) == 0)
        continue;
    BOUGH_CLEANUP(BOUGH_SEC(600))
        be_deaf();
    return 0;
}

WAY(cleanup_that_blocks)
{
    bough_signals(0);
    with_child(cleans_up_for_ever);
}

static void blocks(void *unused)
{
    (void)unused;
    note("the destructor runs");
    be_deaf();
}

static int stops(void *unused)
{
    (void)unused;
    in_place();
    return bough_sleep(60) ? errno : 0;
}

WAY(destructor_that_blocks)
{
    bough_signals(0);
    BOUGH_BRANCH(work) {
        MUST(bough_add(work, stops, bough_resource_of(work, blocks)));
        wait_until_in_place(1);
        begin(work);
    }
}

/* ---- errors that are swallowed ----------------------------------------------------------------------------------- */

static int polls_on(void *unused)
{
    (void)unused;
    struct pollfd none = {.fd = -1};
    in_place();
    while (!may_stop())
        poll(&none, 1, 20);
    return 0;
}

WAY(foreign_poll_loop)
{
    bough_signals(0);
    with_child(polls_on);
}

/* Each call fails at once: a busy loop. */
static int swallows(void *unused)
{
    (void)unused;
    in_place();
    while (!may_stop())
        bough_sleep(1);
    return 0;
}

WAY(swallows_every_error)
{
    bough_signals(0);
    with_child(swallows);
}

/* ---- children of children ---------------------------------------------------------------------------------------- */

static int starts_children(void *unused)
{
    static _Atomic int depth;
    (void)unused;
    if (++depth == 4)
        in_place();
    while (!may_stop())
        BOUGH_BRANCH(more) {
            bough_add(more, depth < 4 ? starts_children : deaf, bough_arg(NULL));
            if (bough_interrupted())
                rest(20);
        }
    return 0;
}

WAY(child_that_starts_children)
{
    bough_signals(0);
    with_child(starts_children);
}

/* ---- threads that stop, beside threads that do not --------------------------------------------------------------- */

WAY(heeds)
{
    bough_signals(0);
    with_child(stops);
}

WAY(two_incidents)
{
    struct bough_event event = {.kind = BOUGH_OPERATOR, .reason = "both"};
    BOUGH_BRANCH(work) {
        bough_thread *one = bough_add(work, deaf, bough_arg(NULL)), *two = bough_add(work, deaf, bough_arg(NULL));
        MUST(one && two);
        wait_until_in_place(2);
        begin(work);
        bough_post_event(one, &event);
        bough_post_event(two, &event);
    }
}

/* Five hundred times, a thread ends at about the time at which its flag's time is over. */
static int ends_at(void *when)
{
    in_place();
    while (bough_now() < *(bough_time *)when)
        continue;
    return 0;
}

static void end_at_the_same_instant(int number)
{
    static _Atomic int ended;
    static bough_time when;
    struct bough_ladder ladder = {.time = {0, BOUGH_MS(2), 0, 0, 0, BOUGH_SEC(20)},
                                  .ceiling = {[BOUGH_OPERATOR] = BOUGH_RUNG_CLOSE}};
    BOUGH_BRANCH(work) {
        MUST(bough_ladder_set(work, &ladder) == 0);
        when = bough_after(BOUGH_MS(2) + BOUGH_US(number - 250));
        bough_thread *child = bough_add(work, ends_at, bough_arg(&when));
        MUST(child);
        bough_post post = bough_post_event(work, &(struct bough_event){.kind = BOUGH_OPERATOR});
        bough_join(child);
        ended += bough_post_status(post) <= BOUGH_POST_DELIVERED;
        bough_clear(work);
    }
    if (number == 499)
        note("%d of 500 were there to the end", ended);
}

WAY(ends_at_the_same_instant)
{
    begin(bough_self());
    bough_clear(bough_self());
    for (int i = 0; i < 500; i++)
        end_at_the_same_instant(i);
}

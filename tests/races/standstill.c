/* SPDX-License-Identifier: MIT */
/* Rule 33: the times that the ticker counts as a stop of the process. A sleep in a hook is such a stop for the ticker,
 * because it gets no processor meanwhile. */
#include "hooks.h"
#include <time.h>
#include "base/clock.h"
#include "state/tree.h"
#include "wake/ticker.h"

static int64_t behind(void)
{
    return bo_load_relaxed(&bo_arena.head->stood_still);
}

/* ---- the ticker's work ------------------------------------------------------------------------------------------- */

/* Fixed bug: when the ticker worked for more than a second on thousands of incidents, it counted that as a stop of the
 * process, and moved all deadlines. */
enum { WORK_MS = 1300 };
static _Atomic uint32_t looks;
static struct t_gate worked;

static int64_t time_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return BO_SEC(t.tv_sec) + t.tv_nsec;
}

static void work_once(void)
{
    if (looks++ > 0)
        return;
    int64_t end = time_of(CLOCK_THREAD_CPUTIME_ID) + BO_MS(WORK_MS);
    while (time_of(CLOCK_THREAD_CPUTIME_ID) < end)
        ;
    t_gate_open(&worked);
}

/* The ticker reads the clock at the end of its work, and then checks what is due. A time in which it had no processor
 * still counts as a stop. */
TEST_LIMIT(the_ticker_does_not_take_its_work_for_a_stop_of_the_process, 60)
{
    NEED_HOOKS();
    int64_t begin = bo_clock();
    bo_hook_ticker_looks = work_once; /* before the ticker runs */
    CHECK_EQ(bo_ticker_need(), 0);
    bo_ticker_look(&bo_branch_at(BO_ROOT)->t);
    t_gate_wait(&worked);
    bo_ticker_look(&bo_branch_at(BO_ROOT)->t);
    t_until(looks > 1);
    CHECK(behind() <= bo_clock() - begin - BO_MS(WORK_MS));
}

/* ---- stops during the ticker's work ------------------------------------------------------------------------------ */

enum { STOP_MS = 3000, COUNTED_MS = STOP_MS - 600 }; /* up to half a second of a stop is not counted */
static _Atomic bool is_held, holds, stopped;
static _Atomic int64_t behind_at_next;

static void nap(long milliseconds)
{
    nanosleep(&(struct timespec){milliseconds / 1000, milliseconds % 1000 * 1000000}, NULL);
}

static void stop_the_ticker(void)
{
    nap(STOP_MS);
    stopped = true;
}

/* The ticker waits at the first target, until both blocks are on its list. It is stopped at the second target, and the
 * third is the one whose deadline passes during the stop. */
static void stop_at_the_second_look(void)
{
    uint32_t look = looks++;
    if (look == 0) {
        holds = true;
        while (is_held)
            nap(1);
    } else if (look == 1) {
        stop_the_ticker();
    } else if (look == 2) {
        behind_at_next = behind();
    }
}

/* Fixed bug: the stop was noticed only after the ticker had looked at all targets, and the deadline had passed. */
TEST_LIMIT(a_stop_is_counted_before_the_next_target_is_looked_at, 60)
{
    NEED_HOOKS();
    CHECK(bough_self());
    is_held = true;
    bo_hook_ticker_looks = stop_at_the_second_look; /* before the ticker runs */
    CHECK_EQ(bo_ticker_need(), 0);
    bo_ticker_look(&bo_branch_at(BO_ROOT)->t);
    t_until(holds);
    BOUGH_BRANCH(b, .timeout = BOUGH_SEC(1000)) {
        BOUGH_BRANCH(c, .timeout = BOUGH_SEC(1000)) {
            is_held = false;
            t_until(looks > 2);
        }
    }
    CHECK(stopped);
    CHECK(behind_at_next >= BO_MS(COUNTED_MS));
}

static void stop_once(void)
{
    if (!stopped)
        stop_the_ticker();
}

/* Fixed bug: a stop between a look at the clock and the plan for the next one was lost. */
TEST_LIMIT(a_stop_before_the_ticker_sleeps_is_counted, 60)
{
    NEED_HOOKS();
    CHECK(bough_self());
    CHECK_EQ(bo_ticker_need(), 0);
    BOUGH_BRANCH(b, .timeout = BOUGH_SEC(1000)) {
        __atomic_store_n(&bo_hook_pace_tick, stop_once, __ATOMIC_SEQ_CST);
        bo_ticker_attend();
        t_until(stopped);
        t_until(behind() >= BO_MS(COUNTED_MS));
    }
}

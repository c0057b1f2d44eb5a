/* SPDX-License-Identifier: MIT */
/*
 * A thread's turn: before an exception is raised asynchronously, the thread has some time to reach a point (rule 14).
 * That time is measured by the kernel's clock of its processor time: other threads that have the GIL or the processor
 * do not shorten it, and the turn of a thread that computes ends before 50 ms have passed.
 *
 * The clock is read when the interrupt wakes the async thread, before the async thread waits for the GIL, because the
 * interrupted thread runs meanwhile.
 */
#include "async/async.h"
#include "api/module.h"

#include <time.h>

enum { TURN = 2, AT_MOST = 50 }; /* ms: of processor time, and in all */

static unsigned long turns_by_run, turns_by_time; /* for tests */

/* The number that pthread_getcpuclockid() computes, which needs the pthread_t of a thread that surely runs. */
int32_t bp_turn_clock(const struct bp_thread *t)
{
    enum { ONE_THREAD = 4, PROCESSOR_TIME = 2 };
    unsigned tid = (unsigned)t->tstate->native_thread_id;
    return (int32_t)(~tid << 3 | ONE_THREAD | PROCESSOR_TIME);
}

int64_t bp_turn_read(int32_t clock)
{
    struct timespec time;
    if (clock_gettime(clock, &time) != 0)
        return 0;
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

void bp_turn_due(struct bp_thread *t, int64_t had_run)
{
    t->turn.had_run = had_run;
}

void bp_turn_begins(struct bp_thread *t)
{
    t->due.since = bough_now();
    t->turn.from = t->turn.had_run ? t->turn.had_run : bp_turn_read(bp_turn_clock(t));
    t->turn.had_run = 0;
    t->turn.over = false;
}

bool bp_turn_is_over(struct bp_thread *t)
{
    if (t->turn.over)
        return true;
    int64_t now = t->turn.from ? bp_turn_read(bp_turn_clock(t)) : 0;
    bool has_run = now && now - t->turn.from >= BOUGH_MS(TURN);
    t->turn.over = has_run || bough_now() >= t->due.since + BOUGH_MS(AT_MOST);
    turns_by_run += has_run;
    turns_by_time += t->turn.over && !has_run;
    return t->turn.over;
}

static PyObject *counts(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return Py_BuildValue("(kk)", turns_by_run, turns_by_time);
}

PyMethodDef bp_turn_methods[] = {
    {"turn_counts", counts, METH_NOARGS,
     PyDoc_STR("turn_counts(): how many turns ended because the thread had run, and how many by time alone.")},
    {0},
};

/* SPDX-License-Identifier: MIT */
/*
 * Threads that stay in C code, from CPython 3.15 on: there PyErr_CheckSignals() raises the exception that
 * PyThreadState_SetAsyncExc() has armed. So if that code checks for signals, the exception need not wait until the call
 * returns.
 *
 * From 3.13 on a thread that has released the interpreter lock may check its eval breaker one instruction later, which
 * may be outside of a `try`. So this is only for a thread that has been in the same call for a while, and whose
 * instructions are monitored: if it continues without having raised, monitor.c disarms the exception at its next
 * instruction.
 */
#include "thread/thread.h"
#include "async/async.h"

enum { STAYS = 200 }; /* ms: a loop reaches an instruction sooner, and is monitored then */

static bool looks_for_armed;

/* Called by the async thread, outside of Python code. Tests the interpreter's behaviour, not its version. */
void bp_c_code_probe(void)
{
    if (PY_VERSION_HEX < 0x030D0000)
        return;
    unsigned long me = PyThread_get_thread_ident();
    PyThreadState_SetAsyncExc(me, PyExc_BaseException);
    looks_for_armed = PyErr_CheckSignals() != 0;
    PyErr_Clear();
    if (!looks_for_armed)
        PyThreadState_SetAsyncExc(me, NULL);
}

bool bp_stays_in_c(struct bp_thread *t)
{
    if (!looks_for_armed)
        return false;
    struct bp_place now = bp_place(t);
    if (now.frame != t->stays.place.frame || now.instruction != t->stays.place.instruction) {
        t->stays.place = now;
        t->stays.since = bough_now();
    }
    return now.frame && bough_now() - t->stays.since >= BOUGH_MS(STAYS);
}

bool bp_signals_raise(void)
{
    return looks_for_armed;
}

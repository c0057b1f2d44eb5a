/* SPDX-License-Identifier: MIT */
/*
 * Threads that stay in C code. From CPython 3.15 on, PyErr_CheckSignals() raises the exception that
 * PyThreadState_SetAsyncExc() has armed. So if the C code checks for signals, the exception need not wait until the
 * call returns.
 *
 * From 3.13 on a thread that has released the GIL may check its eval breaker one instruction later, which may be
 * outside of a `try`. So the exception is armed only for a thread that has been in the same call for a while, and whose
 * instructions are monitored: if the thread continues without having raised the exception, monitor.c disarms it at the
 * thread's next instruction.
 */
#include "thread/thread.h"
#include "async/async.h"

enum { STAYS = 200 }; /* ms; a loop executes its next instruction sooner, and monitoring reports that */

static bool check_raises; /* does PyErr_CheckSignals() raise an armed exception? */

/* Called by the async thread, outside of Python code. Tests the interpreter's behaviour, not its version. */
void bp_c_code_probe(void)
{
    if (PY_VERSION_HEX < 0x030D0000)
        return;
    unsigned long me = PyThread_get_thread_ident();
    PyThreadState_SetAsyncExc(me, PyExc_BaseException);
    check_raises = PyErr_CheckSignals() != 0;
    PyErr_Clear();
    if (!check_raises)
        PyThreadState_SetAsyncExc(me, NULL);
}

bool bp_stays_in_c(struct bp_thread *t)
{
    if (!check_raises)
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
    return check_raises;
}

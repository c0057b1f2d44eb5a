/* SPDX-License-Identifier: MIT */
/*
 * Stand-ins for functions of the interpreter in extension modules. They detect interrupted calls, and exceptions that C
 * code drops.
 *
 * C code may call a Python function (an SQL function, a callback) and drop the interrupt's exception that the function
 * raises. Then the call of that C code counts as interrupted, and the exception is armed again (rule 44).
 */
#include "base/base.h"
#include "thread/thread.h"
#include "calls/calls.h"
#include "calls/cause.h"
#include "raise/raise.h"
#include "interpose/interpose.h"
#include "async/async.h"

#include <errno.h>
#include <time.h>

/* ---- releasing and reacquiring the GIL --------------------------------------------------------------------------- */

/* A callback of on_interrupt() that is running may end the call that begins here. */
PyThreadState *bp_save_thread(void)
{
    if (bp_me && bp_me->callbacks.innermost && bp_callback_runs(bp_me))
        bp_cause_maybe_here(bp_me);
    return PyEval_SaveThread();
}

static bough_time monotonic(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (bough_time)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Keeps errno, which extension modules may read right after the call. */
void bp_restore_thread(PyThreadState *ts)
{
    bough_time since = bough_tracing() ? monotonic() : 0;
    PyEval_RestoreThread(ts);
    if (since)
        bough_trace_lock(since);
    if (bp_me && bp_me->cut.unplaced)
        bp_cause_place(bp_me);
}

void bp_acquire_thread(PyThreadState *ts)
{
    PyEval_AcquireThread(ts);
    if (bp_me && bp_me->cut.unplaced)
        bp_cause_place(bp_me);
}

PyGILState_STATE bp_gilstate_ensure(void)
{
    PyGILState_STATE state = PyGILState_Ensure();
    if (bp_me && bp_me->cut.unplaced)
        bp_cause_place(bp_me);
    return state;
}

/* ---- C code drops an exception ----------------------------------------------------------------------------------- */

static void interrupted_here(struct bp_thread *t, const struct bough_record *why)
{
    t->cut.why = *why;
    t->cut.place = bp_place(t);
    t->cut.is_set = true;
    bp_cause_here(t, why);
    struct bp_site *s = bp_site_here(t);
    if (s)
        s->dropped = true;
}

/* Clears the exception that is set, if it is the interrupt's or caused by it. The call of the C code that drops it
 * counts as interrupted: an error that this code raises instead is no failure. */
static bool dropped(struct bp_thread *t)
{
    struct bough_record why;
    PyObject *exception = bp_taken_exception();
    bool raised = bp_was_raised_here(t, exception) || bp_is_stop(exception);
    bool pending = bough_reason(&why) == 0;
    bool again = raised ? bp_arm_again(t, exception) : pending && bp_is_caused(t, exception);
    if (!again)
        PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(exception)), exception, PyException_GetTraceback(exception));
    else if (Py_DECREF(exception), bough_reason(&why) == 0)
        interrupted_here(t, &why);
    return again;
}

/* Is an exception set that may be an interrupt's, or caused by one? */
static bool may_drop(const struct bp_thread *t)
{
    return t && (t->exc.raised || bp_sites) && PyErr_Occurred();
}

void bp_clear_error(void)
{
    if (may_drop(bp_me))
        dropped(bp_me);
    PyErr_Clear();
}

/* PyErr_PrintEx() ends the process if the exception is a SystemExit. */
void bp_print_error(int set_variables)
{
    if (!may_drop(bp_me) || !dropped(bp_me))
        PyErr_PrintEx(set_variables);
}

void bp_print_error_as_ever(void)
{
    bp_print_error(1);
}

void bp_write_unraisable(PyObject *where)
{
    if (!may_drop(bp_me) || !dropped(bp_me))
        PyErr_WriteUnraisable(where);
}

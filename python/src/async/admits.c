/* SPDX-License-Identifier: MIT */
/* May an asynchronous exception come in where a thread stands? By its regions, and by the place of its bytecode
 * (_async_safe.py). */
#include "base/state.h"

/* `armed`: the exception comes with the next look at the eval breaker, not right here. */
static bool place_admits(PyFrameObject *frame, bool armed)
{
    PyObject *answer = PyObject_CallFunctionObjArgs(bp.may_raise_in, frame, armed ? Py_True : Py_False, NULL);
    bool yes = answer == Py_True;
    if (!answer)
        PyErr_WriteUnraisable(bp.may_raise_in);
    Py_XDECREF(answer);
    return yes;
}

/* By the thread itself. */
bool bp_place_admits_here(const struct bp_thread *t)
{
    PyFrameObject *frame = (PyFrameObject *)Py_XNewRef((PyObject *)PyEval_GetFrame());
    bool yes = frame && bp.may_raise_in && bp_admits(t) && place_admits(frame, false);
    Py_XDECREF(frame);
    return yes;
}

/* Asking may give the interpreter lock away, and then the thread runs on: what was found counts only where it still
 * stands at the same instruction of the same frame. From here to the arming nobody gets the lock. */
static bool still_there(struct bp_thread *t, PyFrameObject *frame, int instruction)
{
    if (!bp_thread_lives(t))
        return false;
    PyFrameObject *now = bp_thread_frame(t);
    bool same = now == frame && PyFrame_GetLasti(frame) == instruction;
    Py_XDECREF(now);
    return same;
}

/* By levels, and by the place its bytecode is at: not in a debugger's trace function, or a profiler's, which the
 * interpreter takes away when it fails. What can't be asked lets nothing in. `t` may be gone when this comes back
 * false. */
bool bp_may_come_in(struct bp_thread *t)
{
    if (!bp_admits(t) || !bp.may_raise_in || !bp_thread_lives(t) || !bp_ident_names(t) || t->tstate->tracing)
        return false;
    PyFrameObject *frame = bp_thread_frame(t);
    if (!frame)
        return false;
    int instruction = PyFrame_GetLasti(frame);
    unsigned changes = bp.changes;
    bool yes = place_admits(frame, true) && changes == bp.changes && still_there(t, frame, instruction) && bp_admits(t);
    Py_DECREF(frame);
    return yes;
}

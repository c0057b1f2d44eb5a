/* SPDX-License-Identifier: MIT */
/* May an asynchronous exception be raised where a thread is? That depends on its regions, and on the place of its
 * bytecode (_async_safe.py). */
#include "thread/thread.h"
#include "regions/regions.h"
#include "async/async.h"

/* `armed`: the exception is raised at the next check of the eval breaker, not at the present instruction. `in_item` is
 * passed because C code runs a pool's calls: the worker's frame does not show whether the worker executes one. */
static bool place_admits(const struct bp_thread *t, PyFrameObject *frame, bool armed)
{
    PyObject *answer = PyObject_CallFunctionObjArgs(bp.may_raise_in, frame, armed ? Py_True : Py_False,
                                                    t->in_item ? Py_True : Py_False, NULL);
    bool yes = answer == Py_True;
    if (!answer)
        PyErr_WriteUnraisable(bp.may_raise_in);
    Py_XDECREF(answer);
    return yes;
}

bool bp_place_admits_here(const struct bp_thread *t)
{
    PyFrameObject *frame = (PyFrameObject *)Py_XNewRef((PyObject *)PyEval_GetFrame());
    bool yes = frame && bp.may_raise_in && bp_admits(t) && place_admits(t, frame, false);
    Py_XDECREF(frame);
    return yes;
}

/* place_admits() may release the GIL, and then the thread continues: the answer is valid only if the thread is still at
 * the same instruction of the same frame. From this check to the arming no other thread gets the GIL. */
static bool still_there(struct bp_thread *t, PyFrameObject *frame, int instruction)
{
    if (!bp_thread_lives(t))
        return false;
    PyFrameObject *now = bp_thread_frame(t);
    bool same = now == frame && PyFrame_GetLasti(frame) == instruction;
    Py_XDECREF(now);
    return same;
}

/* Tests the thread's levels, and the place of its bytecode. The answer is false if the test is not possible, and in a
 * trace function of a debugger or profiler, because the interpreter removes a trace function that fails. `t` may have
 * been freed when this returns false. */
bool bp_may_come_in(struct bp_thread *t)
{
    if (!bp_admits(t) || !bp.may_raise_in || !bp_thread_lives(t) || !bp_ident_names(t) || t->tstate->tracing)
        return false;
    PyFrameObject *frame = bp_thread_frame(t);
    if (!frame)
        return false;
    int instruction = PyFrame_GetLasti(frame);
    unsigned changes = bp.changes;
    bool yes =
        place_admits(t, frame, true) && changes == bp.changes && still_there(t, frame, instruction) && bp_admits(t);
    Py_DECREF(frame);
    return yes;
}

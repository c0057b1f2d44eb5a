/* SPDX-License-Identifier: MIT */
/*
 * Errors that an interrupt has caused (rules 26 to 28).
 *
 * A client library answers an interrupted call with its own exception: psycopg2.OperationalError, pycurl.error. If such
 * an exception leaves a child, a work item, a thread's run() or a branch block, it has to count as the interrupt, while
 * a real error remains an error. The place distinguishes the two:
 *
 *      bp_call_interrupted()       the call is interrupted, without the GIL: unplaced = true
 *      PyEval_RestoreThread()      the extension module has taken the GIL again: the frame and its instruction are
 *        |                         recorded as a `bp_site` (site.c). If the module never released the GIL,
 *        |                         bp_call_interrupted() records them
 *      the error                   passes this frame at this instruction, as its traceback shows
 *      the instruction succeeds    the site is dropped (watch.c)
 *      the frame is freed          the site is dropped, so no later frame at the same address is mistaken for it
 *      the interrupt is cleared    the site is dropped
 *      the boundary                an error whose traceback, or that of one of its causes or contexts, passes a site
 *                                  becomes the interrupt's exception
 *
 * An exception that cleanup code raises after a ThreadExit has the ThreadExit as its context: it is a real error (rule
 * 26).
 */
#include "thread/thread.h"
#include "calls/cause.h"
#include "raise/raise.h"
#include "api/module.h"

enum { LINKS_MOST = 1000 };

static bool is_exit(PyObject *exception)
{
    return bp.thread_exit && PyObject_TypeCheck(exception, (PyTypeObject *)bp.thread_exit);
}

bool bp_is_stop(PyObject *exception)
{
    if (is_exit(exception))
        return true;
    if (!PyObject_TypeCheck(exception, (PyTypeObject *)PyExc_SystemExit))
        return false;
    PyObject *terminates = PyObject_GetAttrString(exception, "_bough_terminates");
    bool yes = terminates && PyObject_IsTrue(terminates) > 0;
    PyErr_Clear();
    Py_XDECREF(terminates);
    return yes;
}

static const struct bp_site *passed_site(const struct bp_thread *t, PyObject *exception)
{
    PyObject *trace = PyException_GetTraceback(exception);
    const struct bp_site *s = NULL;
    while (trace && trace != Py_None && !s) {
        PyTracebackObject *tb = (PyTracebackObject *)trace;
        s = bp_site_find(t, tb->tb_frame, tb->tb_lasti);
        trace = Py_XNewRef((PyObject *)tb->tb_next);
        Py_DECREF(tb);
    }
    Py_XDECREF(trace);
    return s;
}

/* Has a C function, run as a child or work item, raised the exception, so that it has passed no frame yet? */
static bool comes_from_here(PyObject *exception)
{
    PyObject *trace = PyException_GetTraceback(exception);
    Py_XDECREF(trace);
    return !trace;
}

/* Is the record still pending? `pending` is the innermost pending record; any other that was not cleared is pending as
 * well. */
static bool is_pending(const struct bough_record *why, const struct bough_record *pending)
{
    bool same = why->target == pending->target && why->kind == pending->kind;
    return why->kind == BOUGH_KINDS || !same || why->since == pending->since;
}

/* With `raise ... from exit` code names the cause explicitly. Is the exit's interrupt the pending one? */
static bool is_of_pending(PyObject *exit, const struct bough_record *why)
{
    PyObject *record = PyObject_GetAttrString(exit, "record"), *target = NULL, *since = NULL;
    if (record && record != Py_None) {
        target = PyObject_GetAttrString(record, "target");
        since = PyObject_GetAttrString(record, "since");
    }
    bool yes = target && since && PyLong_AsVoidPtr(target) == (const void *)why->target &&
               PyLong_AsLongLong(since) == why->since;
    PyErr_Clear();
    Py_XDECREF(target);
    Py_XDECREF(since);
    Py_XDECREF(record);
    return yes;
}

/* Steals `exception`, which may be NULL. */
static void remember(PyObject *list, PyObject *exception)
{
    bool known = !exception || PyList_GET_SIZE(list) >= LINKS_MOST;
    for (Py_ssize_t i = 0; !known && i < PyList_GET_SIZE(list); i++)
        known = PyList_GET_ITEM(list, i) == exception;
    if (!known && PyList_Append(list, exception) != 0)
        PyErr_Clear();
    Py_XDECREF(exception);
}

/* Examines the exception, its causes and its contexts, but not beyond an interrupt's exception that is only the
 * context: an exception raised while the interrupt's was handled is an error of the cleanup. Replaces `*why`, the
 * pending record, by the record that is the cause. */
static bool is_caused(const struct bp_thread *t, PyObject *exception, struct bough_record *why)
{
    PyObject *list = PyList_New(0);
    bool yes = false;
    if (!list)
        return PyErr_Clear(), false;
    const struct bough_record pending = *why;
    remember(list, Py_NewRef(exception));
    for (Py_ssize_t i = 0; !yes && i < PyList_GET_SIZE(list); i++) {
        PyObject *one = PyList_GET_ITEM(list, i), *cause = PyException_GetCause(one);
        PyObject *context = PyException_GetContext(one);
        const struct bp_site *s = i == 0 && comes_from_here(one) ? bp_site_here(t) : passed_site(t, one);
        if (s && is_pending(&s->why, &pending))
            *why = bp_is_unknown(s) ? pending : s->why, yes = true;
        yes |= cause && is_exit(cause) && is_of_pending(cause, &pending);
        if (context && (bp_is_stop(context) || bp_was_raised_here(t, context)))
            Py_CLEAR(context);
        if (cause && is_exit(cause))
            Py_CLEAR(cause);
        remember(list, cause);
        remember(list, context);
    }
    Py_DECREF(list);
    return yes;
}

enum verdict { A_FAILURE, A_STOP, CAUSED };

/* Only errors become the interrupt's exception: not a Ctrl-C, an exit or the close of a generator, even if raised while
 * an error is handled. */
static bool is_error(PyObject *exception)
{
    return PyObject_TypeCheck(exception, (PyTypeObject *)PyExc_Exception);
}

/* An exception group is caused by the interrupt if all of its members are. */
static enum verdict judge_error(const struct bp_thread *t, PyObject *exception, struct bough_record *why)
{
    if (bp_is_stop(exception))
        return A_STOP;
    if (!PyObject_TypeCheck(exception, (PyTypeObject *)PyExc_BaseExceptionGroup))
        return is_error(exception) && is_caused(t, exception, why) ? CAUSED : A_FAILURE;
    PyObject *members = PyObject_GetAttrString(exception, "exceptions");
    enum verdict all = members && PyTuple_Check(members) ? A_STOP : A_FAILURE;
    for (Py_ssize_t i = 0; all != A_FAILURE && i < PyTuple_GET_SIZE(members); i++) {
        enum verdict one = judge_error(t, PyTuple_GET_ITEM(members, i), why);
        all = one == A_STOP ? all : one;
    }
    PyErr_Clear();
    Py_XDECREF(members);
    return all == A_FAILURE && is_error(exception) && is_caused(t, exception, why) ? CAUSED : all;
}

bool bp_is_caused(const struct bp_thread *t, PyObject *exception)
{
    struct bough_record why;
    return bough_reason(&why) == 0 && judge_error(t, exception, &why) == CAUSED;
}

PyObject *bp_as_interrupt(struct bp_thread *t, PyObject *exception)
{
    struct bough_record why;
    if (!t || bough_reason(&why) != 0 || judge_error(t, exception, &why) != CAUSED)
        return Py_NewRef(exception);
    t->cut.is_set = false; /* the call's error is replaced here, so no later error is */
    PyObject *interrupt = bp_exception_for(t, &why);
    if (!interrupt || interrupt == exception) {
        PyErr_Clear();
        Py_XDECREF(interrupt);
        return Py_NewRef(exception);
    }
    PyException_SetCause(interrupt, Py_NewRef(exception));
    return interrupt;
}

static PyObject *as_interrupt(PyObject *module, PyObject *exception)
{
    (void)module;
    if (!PyExceptionInstance_Check(exception))
        return PyErr_Format(PyExc_TypeError, "expected an exception instance, got %R", exception), NULL;
    return bp_as_interrupt(bp_self(), exception);
}

PyMethodDef bp_judge_methods[] = {
    {"as_interrupt", as_interrupt, METH_O,
     PyDoc_STR("as_interrupt(exception): if the pending interrupt has caused it, the interrupt's exception with "
               "`exception` as its cause; else `exception`.")},
    {0},
};

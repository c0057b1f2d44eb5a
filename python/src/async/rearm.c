/* SPDX-License-Identifier: MIT */
/* An exception that code has swallowed is armed again (rule 44). */
#include "thread/thread.h"
#include "raise/raise.h"
#include "async/async.h"
#include "api/module.h"

static bool is_pending_exit(PyObject *exception)
{
    return bp.thread_exit && PyObject_TypeCheck(exception, (PyTypeObject *)bp.thread_exit) && bough_interrupted();
}

/* If the swallowed exception was an interrupt's, makes it due again: an instance that raise_exc() has posted is posted
 * again, a ThreadExit's record is still pending. Returns false for any other exception. */
static bool make_due(struct bp_thread *t, PyObject *exception)
{
    bool posted = PyExceptionInstance_Check(exception) && bp_was_raised_here(t, exception);
    if (!posted && !is_pending_exit(exception))
        return false;
    bp_forget_raised(t);
    if (posted && !t->exc.posted) {
        PyException_SetTraceback(exception, Py_None);
        t->exc.posted = Py_NewRef(exception);
        bp_post_exception(t);
    }
    return true;
}

/* The async thread is needed because in asynchronous regions the exception is raised without a point, too. */
bool bp_arm_again(struct bp_thread *t, PyObject *exception)
{
    if (!make_due(t, exception))
        return false;
    if (bp_async_exc_start() == 0)
        bp_async_exc_need(t);
    else
        PyErr_Clear(); /* if the async thread can't be started, interruption points still raise it */
    return true;
}

static PyObject *rearm(PyObject *module, PyObject *exception)
{
    (void)module;
    struct bp_thread *t = bp_self();
    if (!t)
        return NULL;
    bool again = bp_arm_again(t, exception);
    if (again)
        bough_foreign_again();
    return PyBool_FromLong(again);
}

static PyObject *leave_due(PyObject *module, PyObject *exception)
{
    (void)module;
    struct bp_thread *t = bp_self();
    return t ? PyBool_FromLong(make_due(t, exception)) : NULL;
}

PyMethodDef bp_rearm_methods[] = {
    {"rearm", rearm, METH_O,
     PyDoc_STR(
         "rearm(exception): raise a swallowed exception at the next point, if it was an interrupt's; else False.")},
    {"leave_due", leave_due, METH_O,
     PyDoc_STR(
         "leave_due(exception): let take_due() return a swallowed exception, if it was an interrupt's; else False.")},
    {0},
};

/* SPDX-License-Identifier: MIT */
/* Queries about the calling thread's interrupt, and clearing it. */
#include "base/base.h"
#include "thread/thread.h"
#include "calls/calls.h"
#include "raise/raise.h"
#include "api/module.h"

/* Returns the object that `make` creates from the pending record, or None. */
static PyObject *of_reason(PyObject *(*make)(const struct bough_record *))
{
    struct bough_record why;
    struct bp_thread *t = bp_self();
    if (!t)
        return NULL;
    bp_nudge_arrives(t);
    if (bough_reason(&why) != 0)
        Py_RETURN_NONE;
    return make(&why);
}

static PyObject *reason(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return of_reason(bp_record_object);
}

/* Returns the exception object, whether a point would raise it now or not. An exception posted by raise_exc() stays
 * posted. */
static PyObject *exception_of_reason(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return of_reason(bp_thread_exit);
}

/* Also clears the root's interrupts, if the caller is at the root: a handled Ctrl-C is over (rule 32). */
static PyObject *clear_interrupt(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    struct bp_thread *t = bp_self();
    if (!t)
        return NULL;
    bool any = t->exc.posted != NULL;
    Py_CLEAR(t->exc.posted);
    bp_disarm(t);
    t->cut.is_set = false;
    int cleared = bough_clear(NULL);
    if (cleared < 0)
        return bp_error("cannot clear an interrupt that is final");
    bp_cause_forget_target(t->handle);
    struct bough_record why;
    if (bough_reason(&why) == 0 && why.target == BOUGH_ROOT && bough_clear(BOUGH_ROOT) > 0) {
        bp_cause_forget_target(BOUGH_ROOT);
        cleared++;
    }
    bp_forget_raised(t);
    t->grace.until = 0;
    bp_cause_known(t);
    return PyBool_FromLong(any || cleared > 0);
}

PyMethodDef bp_reason_methods[] = {
    {"reason", reason, METH_NOARGS,
     PyDoc_STR("reason()\n--\n\nThe Record of the calling thread's interrupt (the thread that asked, the reason, the "
               "age), or None.")},
    {"exception_of_reason", exception_of_reason, METH_NOARGS,
     PyDoc_STR("exception_of_reason(): a ThreadExit with the record that reason() returns, or None.")},
    {"clear_interrupt", clear_interrupt, METH_NOARGS,
     PyDoc_STR(
         "clear_interrupt()\n--\n\nForget the calling thread's interrupts. Returns whether there were any. What was "
         "posted to a branch around it stays.")},
    {0},
};

/* SPDX-License-Identifier: MIT */
/*
 * From a record to an exception.
 *
 * An exception that was posted by raise_exc() is raised as the same instance, which consumes the record (rules 2, 44).
 * Any other record is raised as a ThreadExit that contains it, and stays until it is cleared (rule 2).
 *
 * Errors of interrupted calls become such exceptions in replaced.c.
 */
#include "base/base.h"
#include "thread/thread.h"
#include "calls/calls.h"
#include "raise/raise.h"
#include "api/module.h"

PyObject *bp_thread_exit(const struct bough_record *why)
{
    PyObject *class = bp.thread_exit ? Py_NewRef(bp.thread_exit) : bp_load("bough._exceptions", "ThreadExit");
    if (!class)
        return NULL;
    PyObject *record = bp_record_object(why), *exit = record ? PyObject_CallNoArgs(class) : NULL;
    Py_DECREF(class);
    if (exit && PyObject_SetAttrString(exit, "record", record) != 0)
        Py_CLEAR(exit);
    Py_XDECREF(record);
    return exit;
}

/* Takes the posted instance together with its record. */
static PyObject *take_posted(struct bp_thread *t)
{
    bp_cause_forget_kind(t, BOUGH_EXCEPTION);
    PyObject *exception = t->exc.posted;
    t->exc.posted = NULL;
    bp_mark_raised(t, exception);
    bough_clear_kind(NULL, BOUGH_EXCEPTION);
    bp_disarm(t);
    return exception;
}

static PyObject *exception_for(struct bp_thread *t, const struct bough_record *why)
{
    PyObject *final = t->exc.final;
    bough_paced(); /* this thread has the GIL, so the next one may be woken */
    t->exc.final = NULL;
    struct bough_record real = *why;
    t->exc.raised = true;
    t->grace.until = bough_after(BOUGH_DEFAULT_GRACE);
    bp_cause_raised(t);
    if (bp_is_nudge(t, why)) {
        bp_nudge_for(t, &real);
        why = &real;
    }
    if (final)
        return final;
    if (why->kind == BOUGH_EXCEPTION && t->exc.posted)
        return take_posted(t);
    /* The interrupt is raised here, so the async thread must not raise it again where it is caught, but only after the
     * grace period. */
    if (t->armed.is_set && !t->exc.posted)
        bp_hold(t);
    t->monitor.awaited &= t->exc.posted != NULL;
    bp_note_raised(t, why);
    return bp_thread_exit(why);
}

PyObject *bp_exception_for(struct bp_thread *t, const struct bough_record *why)
{
    PyObject *exception = exception_for(t, why);
    if (exception && t->exc.in_finalizer)
        Py_XSETREF(t->exc.raised_in_finalizer, Py_NewRef(exception));
    return exception;
}

void bp_raise(struct bp_thread *t, const struct bough_record *why)
{
    PyObject *exception = bp_exception_for(t, why);
    if (!exception)
        return;
    PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    Py_DECREF(exception);
}

int bp_meet(struct bp_thread *t)
{
    t->cut.is_set = false;
    bough_paced();
    if (!bough_interrupted())
        return 0;
    bp_raise(t, &t->cut.why);
    return -1;
}

static PyObject *register_class(PyObject *module, PyObject *thread_exit_class)
{
    (void)module;
    Py_XSETREF(bp.thread_exit, Py_NewRef(thread_exit_class));
    Py_RETURN_NONE;
}

PyMethodDef bp_exception_methods[] = {
    {"register", register_class, METH_O, PyDoc_STR("register(ThreadExit): the class that _exceptions.py defines.")},
    {0},
};

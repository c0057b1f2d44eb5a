/* SPDX-License-Identifier: MIT */
/*
 * Work items of pools of other code: one call on a worker, which does not end with it.
 *
 * Each runs in a separate branch, on the worker's thread. Cancelling the item interrupts that branch, so the interrupt
 * never stays with the worker (rule 45). The branch's handle is in the future, as `_bough_item`, from before the future
 * is marked as running until after the call. A handle is valid for one branch only, so a late cancel has no effect.
 */
#include "api/pool_item.h"

#include <errno.h>

/* Drops interrupts that were posted to the worker between two items, or too late. */
static void shed(struct bp_thread *t)
{
    bp_drop_posted(t);
    bough_clear(NULL);
    bp_cause_forget(t);
    t->cut = t->raised = false;
}

static int publish(PyObject *future, const bough_branch *branch)
{
    PyObject *handle = branch ? PyLong_FromVoidPtr((void *)(uintptr_t)branch) : Py_NewRef(Py_None);
    int error = handle ? PyObject_SetAttrString(future, "_bough_item", handle) : -1;
    Py_XDECREF(handle);
    return error;
}

struct bp_item bp_item_begin(struct bp_thread *t, const char *name)
{
    const struct bough_branch_options options = {.label = name};
    shed(t);
    return (struct bp_item){t, bough_branch_open(&options), t->regions};
}

/* Converts the exception that is set to the one for the future, while the interrupt is still pending. */
void bp_item_failed(struct bp_thread *t)
{
    PyObject *exception = bp_taken_exception();
    PyObject *interrupt = bp_as_interrupt(t, exception);
    PyErr_SetObject((PyObject *)Py_TYPE(interrupt), interrupt);
    Py_DECREF(interrupt);
    Py_DECREF(exception);
}

/* The branch has no children, so its end waits for a poster at most. It keeps the GIL, because giving it back would
 * cost the worker its turn after each item. */
static void end_branch(bough_branch *branch)
{
    struct bough_record why;
    if (bough_reason(&why) != 0) {
        bough_branch_end(branch);
        bough_last(); /* the future reports failures */
        return;
    }
    Py_BEGIN_ALLOW_THREADS
    bough_branch_end(branch);
    bough_last();
    Py_END_ALLOW_THREADS
}

/* The exception that is set stays. */
void bp_item_end(const struct bp_item *i)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    while (i->thread->regions && i->thread->regions != i->around)
        if (bp_region_end(i->thread, i->thread->regions->kind) != 0) {
            PyErr_Clear();
            break;
        }
    if (i->branch)
        end_branch(i->branch);
    shed(i->thread);
    PyErr_Restore(type, value, trace);
}

/* The exception that is set stays. From here on a cancel has no effect. */
static void withdraw(PyObject *future)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    if (publish(future, NULL) != 0)
        PyErr_WriteUnraisable(future);
    PyErr_Restore(type, value, trace);
}

/* Returns whether the function is to be called: the future may have been cancelled. -1 with an exception. */
static int set_running(PyObject *future)
{
    PyObject *answer = PyObject_CallMethod(future, "set_running_or_notify_cancel", NULL);
    int yes = answer ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    return yes;
}

/* (result,), or None: it was not called. */
static PyObject *call_item(PyObject *module, PyObject *args)
{
    PyObject *future, *function, *positional, *keywords, *result = NULL;
    const char *name = "item"; /* `args` keeps it */
    (void)module;
    if (!PyArg_ParseTuple(args, "OOO!O!|s:call_item", &future, &function, &PyTuple_Type, &positional, &PyDict_Type,
                          &keywords, &name))
        return NULL;
    struct bp_thread *t = bp_self();
    if (!t)
        return NULL;
    struct bp_item item = bp_item_begin(t, name);
    int run = publish(future, item.branch) == 0 ? set_running(future) : -1;
    if (run > 0 && bp_taking_part_begin(t) == 0)
        result = PyObject_Call(function, positional, keywords);
    if (run > 0 && !result)
        bp_item_failed(t);
    withdraw(future);
    bp_item_end(&item);
    if (run == 0)
        Py_RETURN_NONE;
    PyObject *tuple = result ? PyTuple_Pack(1, result) : NULL;
    Py_XDECREF(result);
    return tuple;
}

PyMethodDef bp_pool_item_methods[] = {
    {"call_item", call_item, METH_VARARGS,
     PyDoc_STR(
         "call_item(future, function, args, kwargs, name=\"item\"): in a branch of that name, if the future is to run. "
         "(result,) or None.")},
    {0},
};

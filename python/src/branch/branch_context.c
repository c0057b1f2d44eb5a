/* SPDX-License-Identifier: MIT */
/*
 * __enter__ and __exit__ of a branch, in C, which has no bytecode. In main, a Ctrl-C may be raised at any bytecode,
 * even the first one of an __exit__ in Python, and then the children would not be joined.
 *
 * A branch in which nothing fails is entered and left here. If something went wrong, _leave(error, new) of _branch.py
 * ends the branch: an exception that leaves _leave() while the branch is open is passed to _leave() again, as one more
 * failure. If _leave() fails each time, because of an error in its code, this file ends the branch without _leave().
 */
#include "base/base.h"
#include "regions/regions.h"
#include "raise/raise.h"
#include "branch/branch.h"

#include <errno.h>

/* ---- __exit__ ---------------------------------------------------------------------------------------------------- */

enum { TRIES = 100 };

static int end_anyway(struct bp_branch_object *o)
{
    bough_interrupt(o->branch->handle, "the end of its block failed");
    return bp_branch_leave_regions(o->branch) >= 0 && bp_branch_end(o->branch) == 0 ? 0 : -1;
}

/* The exception that is set stays. */
static void end_in_c(struct bp_branch_object *o)
{
    PyObject *error = bp_taken_exception();
    if (end_anyway(o) == 0)
        o->open = false;
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_DECREF(error);
}

static bool is_some(const PyObject *object)
{
    return object && object != Py_None;
}

static bool has_some(const PyObject *list_or_set)
{
    return list_or_set && PyObject_Length((PyObject *)(uintptr_t)list_or_set) > 0;
}

/* Has nothing failed so far, and may the calling thread end the branch? */
static bool block_goes_well(const struct bp_branch_object *o)
{
    return o->open && bp_me && o->opened_by == bp_me && bp_me->branches == o && !has_some(o->errors) &&
           !is_some(o->left_by);
}

/* Has nothing failed in the branch? A scope whose block has reached its end has succeeded, even if its deadline passed
 * after that. */
static bool went_well(const struct bp_branch_object *o)
{
    if (o->scope)
        return !has_some(o->errors);
    return o->branch->result != ETIMEDOUT && !o->timed_out && !is_some(o->from_outside) && !has_some(o->errors) &&
           !has_some(o->children);
}

/* In main a signal may have come during the wait, and main may reach no further interruption point. */
static PyObject *answer_of_end(void)
{
    if (bp_unhandled_signal() && bp_me && bp_check(bp_me) != 0)
        return NULL;
    Py_RETURN_FALSE;
}

/* An interrupt by a signal stays pending, and also interrupts the children: so the wait continues (rule 24). */
static int wait_for_children(struct bp_branch *b)
{
    while (bp_branch_wait(b) != 0) {
        if (!bp.thread_exit || !PyErr_ExceptionMatches(bp.thread_exit))
            return -1;
        PyErr_Clear();
    }
    return 0;
}

/* Does what _leave(None, None) does. */
static PyObject *leave_well(struct bp_branch_object *o)
{
    struct bp_branch *b = o->branch;
    if (wait_for_children(b) != 0 || bp_branch_leave_regions(b) < 0 || bp_branch_end(b) != 0)
        return NULL;
    o->interrupted = b->interrupted || o->stopped;
    o->open = false;
    bp_branch_unlist(o);
    if (went_well(o))
        return answer_of_end();
    return PyObject_CallMethod((PyObject *)o, "_has_ended", "Oi", Py_None, b->result);
}

PyObject *bp_branch_leave(struct bp_branch_object *o, PyObject *error)
{
    PyObject *self = (PyObject *)o;
    bp_scope_ends(o);
    PyObject *result = error == Py_None && block_goes_well(o) ? leave_well(o)
                                                              : PyObject_CallMethod(self, "_leave", "OO", error, error);
    for (int tries = 1; !result && o->open; tries++) {
        if (tries == TRIES) {
            end_in_c(o);
            break;
        }
        PyObject *new = bp_taken_exception();
        result = PyObject_CallMethod(self, "_leave", "OO", error, new);
        Py_DECREF(new);
    }
    if (!result)
        bp_hide_own_frames();
    return result;
}

/* The interpreter passes (type, error, traceback). */
static PyObject *exit_branch(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 3)
        return PyErr_Format(PyExc_TypeError, "__exit__() takes exactly 3 arguments (%zd given)", count), NULL;
    return bp_branch_leave((struct bp_branch_object *)self, args[1]);
}

/* ---- __enter__ --------------------------------------------------------------------------------------------------- */

static int opt_in_first(void)
{
    static PyObject *function;
    if (!function && !(function = bp_load("bough._patch_stdlib", "opt_in")))
        return -1;
    PyObject *result = PyObject_CallNoArgs(function);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* The deadline after so many seconds; 0, which means no deadline, if it is too far away. */
static bough_time after(double seconds)
{
    return seconds > 1e9 ? 0 : bough_now() + (bough_time)(seconds * 1e9);
}

/* The block's deadline on the library's clock; 0: none. -1 with an exception. */
static bough_time deadline_of(struct bp_branch_object *o)
{
    bough_time deadline = 0, timed = 0;
    if (is_some(o->deadline)) {
        PyObject *at = PyObject_CallMethod((PyObject *)o, "_deadline_on_bough_clock", NULL);
        deadline = at ? PyLong_AsLongLong(at) : -1;
        Py_XDECREF(at);
    }
    if (is_some(o->timeout))
        timed = after(PyFloat_AsDouble(o->timeout));
    if (PyErr_Occurred())
        return -1;
    return deadline && timed ? (deadline < timed ? deadline : timed) : deadline ? deadline : timed;
}

static int open_block(struct bp_branch_object *o)
{
    const char *label;
    if (o->branch)
        return (void)PyErr_Format(PyExc_RuntimeError, "%R can be entered only once: make a new one for each block", o),
               -1;
    if (opt_in_first() != 0)
        return -1;
    bough_time deadline = deadline_of(o);
    PyObject *text = deadline >= 0 ? bp_for_library(o->name, &label) : NULL;
    if (!text)
        return -1;
    o->ends_at = deadline;
    int error = bp_branch_open(o, label, deadline);
    Py_DECREF(text);
    return error == 0 && o->scope ? bp_scope_begins(o) : error;
}

int bp_branch_enter(struct bp_branch_object *o)
{
    bool was_open = o->open;
    if (open_block(o) == 0)
        return 0;
    if (was_open || !o->open)
        return -1;
    PyObject *error = bp_taken_exception(), *result = bp_branch_leave(o, error);
    if (result)
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_XDECREF(result);
    Py_DECREF(error);
    return -1;
}

static PyObject *block_enter(PyObject *self, PyObject *none)
{
    struct bp_branch_object *o = (struct bp_branch_object *)self;
    (void)none;
    if ((o->scope && bp_scope_may_enter(o) != 0) || bp_branch_enter(o) != 0)
        return bp_hide_own_frames(), NULL;
    return Py_NewRef(self);
}

/* These have to be method descriptors. With an instancemethod around a function, `with` of Python 3.14 and newer closes
 * the stack slot of a `self` that it has not filled, and a debug build aborts there. */
PyMethodDef bp_branch_adds[] = {
    {"add", (PyCFunction)(void (*)(void))bp_branch_add, METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR(
         "add($self, fn, /, *args, name=None, closing=(), **kwargs)\n--\n\n"
         "Start fn(*args, **kwargs) in a child thread and return a Child. Only the thread that entered the branch, or "
         "one of its descendants, may call this.\n\n"
         "closing: objects to close at the child's end, however it ends, unless the child takes them over "
         "(Child.take()).\n"
         "If the branch is interrupted, no child is started: the objects are closed, and ThreadExit is raised.")},
    {0},
};

PyMethodDef bp_block_with[] = {
    {"__enter__", block_enter, METH_NOARGS, PyDoc_STR("__enter__($self, /)\n--\n\nOpen the block.")},
    {"__exit__", (PyCFunction)(void (*)(void))exit_branch, METH_FASTCALL,
     PyDoc_STR(
         "__exit__($self, type, error, traceback, /)\n--\n\nEnd the block: join the children, raise what failed.")},
    {0},
};

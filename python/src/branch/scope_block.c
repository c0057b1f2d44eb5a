/* SPDX-License-Identifier: MIT */
/* The steps that a scope adds to a block when the block is entered, while it is open, and when it is left. */
#include "base/base.h"
#include "thread/thread.h"
#include "raise/raise.h"
#include "async/async.h"
#include "branch/branch.h"
#include "api/module.h"

int bp_scope_may_enter(struct bp_branch_object *o)
{
    if (!(bp_caller_flags() & (CO_COROUTINE | CO_ASYNC_GENERATOR | CO_ITERABLE_COROUTINE)))
        return 0;
    o->used = 1; /* no warning in addition to the error */
    PyErr_Format(
        PyExc_RuntimeError,
        "%R limits a thread, and this is a coroutine: its thread also runs other coroutines. Use asyncio.timeout(), or "
        "trio's or anyio's %U(); for a call that blocks, run in a thread a function that contains this block",
        o, o->name);
    return -1;
}

static int cancel_now(struct bp_branch_object *o, PyObject *reason)
{
    const char *text = reason && reason != Py_None ? PyUnicode_AsUTF8(reason) : NULL;
    if (PyErr_Occurred())
        return -1;
    bough_interrupt(o->branch->handle, text); /* fails if the branch has ended, which is harmless */
    return 0;
}

static bool has_passed(const struct bp_branch_object *o)
{
    return o->ends_at && bough_now() >= o->ends_at;
}

int bp_scope_begins(struct bp_branch_object *o)
{
    int before = 0;
    o->used = 1;
    if (o->cancelled && cancel_now(o, o->reason) != 0)
        return -1;
    o->cancelled |= has_passed(o); /* now, because changing the deadline later does not withdraw the interrupt */
    if (!o->asynchronous)
        return 0;
    if ((before = bp_set_asynchronous(bp_me, true)) < 0)
        return -1;
    o->was_asynchronous = (char)before;
    o->sets_asynchronous = 1;
    return 0;
}

void bp_scope_ends(struct bp_branch_object *o)
{
    if (!o->scope || !o->open || !bp_me || o->opened_by != bp_me)
        return;
    o->cancelled |= has_passed(o);
    if (o->sets_asynchronous && bp_set_asynchronous(bp_me, o->was_asynchronous) < 0)
        PyErr_Clear(); /* fails only without an event descriptor, which the thread has */
    o->sets_asynchronous = 0;
}

void bp_scope_dropped(struct bp_branch_object *o)
{
    PyObject *type, *value, *trace;
    if (!o->scope || o->used)
        return;
    o->used = 1;
    PyErr_Fetch(&type, &value, &trace);
    if (PyErr_WarnFormat(PyExc_RuntimeWarning, 1,
                         "%R was not entered, and has limited nothing: write 'with bough.%U(...):' around the block", o,
                         o->name) != 0)
        PyErr_WriteUnraisable((PyObject *)o);
    PyErr_Restore(type, value, trace);
}

/* ---- methods ----------------------------------------------------------------------------------------------------- */

/* Any thread may call this before, in or after the block. Because of the GIL, either the scope sees `cancelled` when it
 * is entered, or it is open here and is interrupted. */
static PyObject *cancel_scope(PyObject *module, PyObject *args)
{
    PyObject *object, *reason;
    (void)module;
    if (!PyArg_ParseTuple(args, "O!O:cancel_scope", bp_block_type, &object, &reason))
        return NULL;
    struct bp_branch_object *o = (struct bp_branch_object *)object;
    if (o->branch && !o->open)
        Py_RETURN_NONE;
    if (!o->cancelled)
        Py_XSETREF(o->reason, Py_NewRef(reason));
    o->cancelled = 1;
    if (o->open && cancel_now(o, reason) != 0)
        return NULL;
    Py_RETURN_NONE;
}

/* The exception of an interrupt from further out that is due and was not raised yet; None: there is none. When the
 * interrupt of a block ends the block, the blocks around it whose time is over have to end as well. */
static PyObject *interrupt_from_outside(PyObject *module, PyObject *none)
{
    struct bough_record why;
    struct bp_thread *t = bp_self();
    (void)module, (void)none;
    if (!t)
        return NULL;
    if (bough_check() == 0 || bough_reason(&why) != 0 || bp_raised_until(t, &why) > bough_now())
        Py_RETURN_NONE;
    return bp_exception_for(t, &why);
}

PyMethodDef bp_scope_block_methods[] = {
    {"cancel_scope", cancel_scope, METH_VARARGS, PyDoc_STR("cancel_scope(scope, reason)")},
    {"interrupt_from_outside", interrupt_from_outside, METH_NOARGS,
     PyDoc_STR("interrupt_from_outside(): the exception of an interrupt that is due and was not raised yet, or None.")},
    {0},
};

/* SPDX-License-Identifier: MIT */
/*
 * on_interrupt(): in its block the callback ends the thread's call, so bough does not interrupt the call as well.
 *
 *      the block begins            from here on only raise_exc()'s interrupts end the thread's calls
 *      an interrupt becomes due    another thread runs the callback (_threads.py). The instruction that the thread
 *        |                         executes meanwhile counts as interrupted, and so does that of the block's code: an
 *        |                         error that they raise because of the callback is no failure
 *      the call ends
 *      or the deadline passes,     calls are interrupted again. A `nudge`, a record of raise_exc()'s kind without an
 *      or the callback fails       exception, ends the call that is blocked now
 *      the block ends              the settings are as before the block
 *
 * Blocks nest. Calls are interrupted again when the deadlines of all callbacks have passed.
 */
#include "thread/thread.h"
#include "calls/callback.h"
#include "calls/calls.h"
#include "raise/raise.h"
#include "api/module.h"

/* Is an interrupt still pending that was raised a short time ago? Then this block is part of the cleanup, and its
 * callback does not run for that interrupt. */
static bool is_cleanup(const struct bp_thread *t)
{
    return bough_now() < t->grace.until && bough_interrupted();
}

/* Raises an interrupt that is pending already and was not raised lately, and would otherwise end the block's first
 * call. The identity is appended to a list and not returned, because a signal's exception may come before the caller
 * has stored what is returned. */
static PyObject *callback_begin(PyObject *module, PyObject *args)
{
    static uint64_t last;
    PyObject *frame, *list;
    (void)module;
    struct bp_thread *t = bp_self();
    if (!t || !PyArg_ParseTuple(args, "OO!:callback_begin", &frame, &PyList_Type, &list) ||
        ((t->kinds & ~(unsigned)BP_EXCEPTION_ONLY) && bough_now() >= t->grace.until && bp_check(t) != 0))
        return NULL;
    struct bp_callback *c = PyMem_RawCalloc(1, sizeof *c);
    if (!c)
        return PyErr_NoMemory();
    PyObject *identity = Py_BuildValue("(KK)", (unsigned long long)t->id, (unsigned long long)++last);
    if (!identity || PyList_Append(list, identity) != 0) {
        Py_XDECREF(identity);
        PyMem_RawFree(c);
        return NULL;
    }
    Py_DECREF(identity);
    *c = (struct bp_callback){
        .outer = t->callbacks.innermost, .frame = (PyFrameObject *)frame, .id = last, .late = is_cleanup(t)};
    t->callbacks.innermost = c;
    bp_callbacks_follow(t);
    Py_RETURN_NONE;
}

/* Takes the identity out of the list. Does nothing if that was done already. */
static PyObject *callback_end(PyObject *module, PyObject *args)
{
    unsigned long long thread, id;
    PyObject *list, *error;
    (void)module;
    if (!PyArg_ParseTuple(args, "O!O:callback_end", &PyList_Type, &list, &error))
        return NULL;
    if (PyList_GET_SIZE(list) == 0)
        Py_RETURN_NONE;
    struct bp_thread *t = bp_self();
    if (!t || !PyArg_ParseTuple(PyList_GET_ITEM(list, 0), "KK", &thread, &id))
        return NULL;
    struct bp_callback **at = &t->callbacks.innermost, *c;
    while (*at && (*at)->id != id)
        at = &(*at)->outer;
    if (!(c = *at))
        return PyErr_SetString(PyExc_RuntimeError, "the block must be exited by the thread that entered it"), NULL;
    *at = c->outer;
    PyMem_RawFree(c);
    if (PyList_SetSlice(list, 0, 1, NULL) != 0)
        PyErr_Clear(); /* removing an item allocates nothing */
    bool ended_by_it = PyExceptionInstance_Check(error) && bp_is_caused(t, error);
    bp_cause_known(t);
    if (t->callbacks.nudged)
        bp_nudge_arrives(t);
    else
        bp_callbacks_follow(t);
    if (ended_by_it) { /* marks the record as delivered: the code after this is its cleanup (rule 22) */
        (void)bough_check();
        (void)bough_foreign_check(NULL);
    }
    Py_RETURN_NONE;
}

/* Called by the thread that runs the callback, before the callback and after it. */
static PyObject *callback_runs(PyObject *module, PyObject *args)
{
    unsigned long long thread, id;
    int runs;
    (void)module;
    if (!PyArg_ParseTuple(args, "(KK)p:callback_runs", &thread, &id, &runs))
        return NULL;
    struct bp_thread *t = bp_thread_find(thread);
    struct bp_callback *c = bp_callback_of(t, id);
    if (!c)
        Py_RETURN_FALSE;
    c->running += runs ? 1 : -1;
    t->grace.until = bough_after(BOUGH_DEFAULT_GRACE);
    bp_cause_running(t);
    Py_RETURN_TRUE;
}

static PyObject *callback_is_late(PyObject *module, PyObject *args)
{
    unsigned long long thread, id;
    (void)module;
    if (!PyArg_ParseTuple(args, "(KK):callback_is_late", &thread, &id))
        return NULL;
    struct bp_thread *t = bp_thread_find(thread);
    struct bp_callback *c = bp_callback_of(t, id);
    if (!c)
        Py_RETURN_FALSE;
    c->late = true;
    if (bp_callbacks_end_calls(t) || !(t->kinds & ~(unsigned)BP_EXCEPTION_ONLY) || t->exc.posted)
        Py_RETURN_TRUE;
    static const struct bough_event nudge = {
        .kind = BOUGH_EXCEPTION, .flags = BOUGH_ALONE, .reason = "the callback of on_interrupt() has ended nothing"};
    t->callbacks.nudged = true;
    bough_post_event(t->handle, &nudge);
    Py_RETURN_TRUE;
}

PyMethodDef bp_callback_methods[] = {
    {"callback_begin", callback_begin, METH_VARARGS,
     PyDoc_STR("callback_begin(frame, list): begin a block of on_interrupt(). Appends its identity, for the other "
               "functions, to the list.")},
    {"callback_end", callback_end, METH_VARARGS,
     PyDoc_STR("callback_end(list, error): by the block's thread, with the exception that left the block, or None.")},
    {"callback_runs", callback_runs, METH_VARARGS,
     PyDoc_STR("callback_runs(block, runs): the block's callback is about to be called, or has returned.")},
    {"callback_is_late", callback_is_late, METH_VARARGS,
     PyDoc_STR("callback_is_late(block): interrupt calls in the block from here on. False: the block has ended.")},
    {0},
};

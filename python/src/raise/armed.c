/* SPDX-License-Identifier: MIT */
/* Withdraws an armed exception (delivery.c) that is not wanted any more. */
#include "raise/raise.h"

PyObject *bp_carrier;

/* A function without any effect. */
static PyObject *nothing;

/* A signal's handler has raised this exception meanwhile: raise it again when main next checks its eval breaker. */
static int raise_again(void *exception)
{
    PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    Py_DECREF((PyObject *)exception);
    return -1;
}

static void drop_or_raise_again(void)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    bool foreign = type && type != bp_carrier && type != PyExc_BaseException;
    if (foreign)
        PyErr_NormalizeException(&type, &value, &trace);
    if (foreign && value && Py_AddPendingCall(raise_again, value) == 0)
        value = NULL;
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(trace);
}

/*
 * Called by the thread itself. PyThreadState_SetAsyncExc(ident, NULL) would withdraw the exception, but up to 3.12
 * leave the interpreter's flags for it set: every thread would then take the slow path at each call and loop, and in
 * 3.11 a function that is traced or profiled would spin at its start. So the exception is raised in a function
 * where it has no effect.
 */
void bp_carrier_withdraw(struct bp_thread *t)
{
    PyObject *type, *value, *trace;
    if (t != bp_me || !t->tstate->async_exc)
        return;
    PyErr_Fetch(&type, &value, &trace);
    t->armed.withdrawing = true;
    /* An exception may be armed again meanwhile. */
    for (int tries = 0; t->tstate->async_exc && tries < 10; tries++) {
        PyObject *result = PyObject_CallNoArgs(nothing);
        if (!result)
            drop_or_raise_again();
        Py_XDECREF(result);
    }
    t->armed.withdrawing = false;
    PyErr_Restore(type, value, trace);
}

int bp_withdraw_init(void)
{
    PyObject *code = Py_CompileString("lambda: None", "bough", Py_eval_input);
    PyObject *globals = code ? PyDict_New() : NULL;
    if (globals && !nothing)
        nothing = PyEval_EvalCode(code, globals, globals);
    Py_XDECREF(globals);
    Py_XDECREF(code);
    return nothing ? 0 : -1;
}

void bp_disarm(struct bp_thread *t)
{
    if (t->armed.is_set)
        bp_carrier_withdraw(t);
    t->armed.is_set = t->monitor.awaited = false;
    t->due.since = 0;
}

void bp_drop_posted(struct bp_thread *t)
{
    if (!t->exc.posted && !t->armed.is_set)
        return;
    Py_CLEAR(t->exc.posted);
    bough_clear_kind(NULL, BOUGH_EXCEPTION);
    bp_disarm(t);
}

void bp_hold(struct bp_thread *t)
{
    bp_carrier_withdraw(t);
    t->armed.is_set = false;
}

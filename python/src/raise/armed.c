/* SPDX-License-Identifier: MIT */
/* An exception that is armed (delivery.c): how it is withdrawn when it is not wanted any more. */
#include "base/state.h"

PyObject *bp_carrier;

/* A function without any effect. */
static PyObject *nothing;

/* The handler of a signal has raised this meanwhile: it comes again at main's next look at its eval breaker. */
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
 * By the thread itself. PyThreadState_SetAsyncExc(ident, NULL) would take the exception back, and leave the
 * interpreter's flags for it set, up to 3.12: every thread then takes the slow path at each call and loop, and in 3.11
 * a function that is traced or profiled spins where it begins. So the exception is raised where it does no harm.
 */
void bp_carrier_withdraw(struct bp_thread *t)
{
    PyObject *type, *value, *trace;
    if (t != bp_me || !t->tstate->async_exc)
        return;
    PyErr_Fetch(&type, &value, &trace);
    t->withdrawing = true;
    for (int tries = 0; t->tstate->async_exc && tries < 10;
         tries++) { /* more than one, if it was armed again meanwhile */
        PyObject *result = PyObject_CallNoArgs(nothing);
        if (!result)
            drop_or_raise_again();
        Py_XDECREF(result);
    }
    t->withdrawing = false;
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
    if (t->armed)
        bp_carrier_withdraw(t);
    t->armed = t->awaited = false;
    t->due_since = 0;
}

void bp_drop_posted(struct bp_thread *t)
{
    if (!t->exception && !t->armed)
        return;
    Py_CLEAR(t->exception);
    bough_clear_kind(NULL, BOUGH_EXCEPTION);
    bp_disarm(t);
}

void bp_hold(struct bp_thread *t)
{
    bp_carrier_withdraw(t);
    t->armed = false;
}

/* SPDX-License-Identifier: MIT */
/* The kinds of interrupts that end a thread's blocking calls. */
#include "base/base.h"
#include "thread/thread.h"
#include "calls/calls.h"
#include "api/module.h"
#include "upcalls.h"

int bp_set_kinds(struct bp_thread *t, unsigned kinds)
{
    unsigned now = bp_callbacks_end_calls(t) ? kinds & BP_EXCEPTION_ONLY : kinds;
    struct bough_foreign ways = {.kinds = now,
                                 .grace = t->grace.length,
                                 .on_cut = bp_call_interrupted,
                                 .argument = t,
                                 .choose = bp_choose_error,
                                 .paced = 1};
    if (bough_foreign_set(now ? &ways : NULL) != 0)
        return (void)bp_error("cannot make this thread interruptible"), -1;
    t->kinds = kinds;
    return 0;
}

static PyObject *takes_part(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    unsigned kinds = bough_foreign() && bp_me ? bp_me->kinds : 0;
    return PyLong_FromLong(!kinds ? 0 : kinds == BP_EXCEPTION_ONLY ? 1 : 2);
}

/* Called within a region that is opted in already. */
static PyObject *set_taking_part(PyObject *module, PyObject *all)
{
    struct bp_thread *t = bp_self();
    int yes = PyObject_IsTrue(all);
    (void)module;
    if (!t || yes < 0 || bp_set_kinds(t, yes ? BP_ALL_KINDS : BP_EXCEPTION_ONLY) != 0)
        return NULL;
    Py_RETURN_NONE;
}

/* For tests, in which 5 s would take too long. */
static PyObject *set_grace(PyObject *module, PyObject *seconds)
{
    struct bp_thread *t = bp_self();
    double s = PyFloat_AsDouble(seconds);
    (void)module;
    if (!t || PyErr_Occurred())
        return NULL;
    t->grace.length = (int64_t)(s * 1e9);
    if (bp_set_kinds(t, t->kinds) != 0)
        return NULL;
    Py_RETURN_NONE;
}

PyMethodDef bp_kind_methods[] = {
    {"takes_part", takes_part, METH_NOARGS,
     PyDoc_STR(
         "takes_part(): which interrupts end the calling thread's blocking calls: 0 none, 1 raise_exc()'s, 2 all.")},
    {"set_taking_part", set_taking_part, METH_O,
     PyDoc_STR(
         "set_taking_part(all): do all interrupts end the calling thread's blocking calls, or only raise_exc()'s?")},
    {"set_grace", set_grace, METH_O,
     PyDoc_STR(
         "set_grace(seconds): after an interrupt the calling thread's calls are not interrupted for so long; 0: 5 s.")},
    {0},
};

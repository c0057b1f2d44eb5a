/* SPDX-License-Identifier: MIT */
/*
 * Calls functions that execute code in another interpreter of the process (a subinterpreter). bough's data belongs to
 * the main interpreter: its exceptions, its record objects, and the GIL that protects them. So while a thread is in
 * another interpreter, bough does not treat it as a known thread, and its blocking calls are not interrupted. An
 * interrupt that is posted meanwhile stays pending, and is raised when the call has returned.
 *
 * _patch_modules.py replaces the functions that enter another interpreter. C code that swaps thread states without
 * these functions is not recognised.
 */
#include "base/base.h"
#include "api/module.h"

enum { NO_LIMIT = 1 << 29 }; /* seconds */

static PyObject *call_away(PyObject *module, PyObject *args)
{
    PyObject *function, *positional, *keywords;
    struct bough_region region;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO!O!:call_away", &function, &PyTuple_Type, &positional, &PyDict_Type, &keywords))
        return NULL;
    struct bp_thread *t = bp_me;
    if (!t)
        return PyObject_Call(function, positional, keywords);
    int line;
    const char *file = bp_caller(&line);
    if (bough_critical_begin(&region, BOUGH_SEC(NO_LIMIT), file, line) != 0)
        return bp_error("cannot use bough in another interpreter of this process");
    bp_me = NULL;
    PyObject *result = PyObject_Call(function, positional, keywords);
    bp_me = t;
    bough_region_end(&region);
    return result;
}

PyMethodDef bp_interpreter_methods[] = {
    {"call_away", call_away, METH_VARARGS,
     PyDoc_STR("call_away(function, args, kwargs): call a function that executes code in another interpreter.")},
    {0},
};

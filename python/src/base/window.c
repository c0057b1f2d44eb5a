/* SPDX-License-Identifier: MIT */
/* Hooks in race windows: each calls a test's function, so that the test can make the race happen. */
#include "base/base.h"
#include "api/module.h"

static PyObject *in_window; /* NULL except in tests */

int bp_window(const char *name)
{
    PyObject *callable = Py_XNewRef(in_window);
    PyObject *result = callable ? PyObject_CallFunction(callable, "s", name) : NULL;
    int failed = callable && !result ? -1 : 0;
    Py_XDECREF(result);
    Py_XDECREF(callable);
    return failed;
}

void bp_window_passed(const char *name)
{
    if (bp_window(name) != 0)
        PyErr_WriteUnraisable(in_window);
}

static PyObject *set_window(PyObject *module, PyObject *callable)
{
    (void)module;
    Py_XSETREF(in_window, callable == Py_None ? NULL : Py_NewRef(callable));
    Py_RETURN_NONE;
}

PyMethodDef bp_window_methods[] = {
    {"set_window", set_window, METH_O,
     PyDoc_STR("set_window(callable): for tests: bough calls it, with a name, in each race window. None: no longer.")},
    {0},
};

/* SPDX-License-Identifier: MIT */
/* Sets the errors of the package's functions, completes their messages, and fetches the exception that is set. */
#include "base/base.h"

#include <errno.h>
#include <string.h>

PyObject *bp_error(const char *what)
{
    PyErr_Format(errno == ENOMEM ? PyExc_MemoryError : PyExc_RuntimeError, "%s (%s)", what, strerror(errno));
    return NULL;
}

void bp_not_alive(const char *format, ...)
{
    PyObject *class = bp_load("bough._exceptions", "NotAliveError");
    va_list arguments;
    va_start(arguments, format);
    if (class)
        PyErr_FormatV(class, format, arguments);
    va_end(arguments);
    Py_XDECREF(class);
}

void bp_explain_misfit(PyObject *misfit, PyObject *function)
{
    PyObject *type, *value, *trace;
    if (!PyErr_ExceptionMatches(PyExc_TypeError))
        return;
    PyErr_Fetch(&type, &value, &trace);
    if (!trace) {
        PyErr_NormalizeException(&type, &value, &trace);
        PyObject *result = PyObject_CallFunctionObjArgs(misfit, function, value, NULL);
        if (!result)
            PyErr_Clear();
        Py_XDECREF(result);
    }
    PyErr_Restore(type, value, trace);
}

PyObject *bp_misfit(const char *name)
{
    PyObject *misfit = bp_load("bough._own", "misfit"), *function = misfit ? bp_load("bough", name) : NULL;
    if (function)
        bp_explain_misfit(misfit, function);
    Py_XDECREF(misfit);
    Py_XDECREF(function);
    return NULL;
}

PyObject *bp_taken_exception(void)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    if (!type)
        return NULL;
    PyErr_NormalizeException(&type, &value, &trace);
    if (trace)
        PyException_SetTraceback(value, trace);
    Py_DECREF(type);
    Py_XDECREF(trace);
    return value;
}

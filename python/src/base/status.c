/* SPDX-License-Identifier: MIT */
/*
 * The exit status of a process that an uncaught interrupt ends, because an interrupt is no success. This is C code: the
 * interpreter reads the status after main has ended, when a signal would interrupt Python code, and the interpreter
 * would then print the exception's text, for example "SIGTERM", instead of exiting with the status.
 */
#include "api/module.h"

/* If the status is text, the interpreter prints it to stderr and exits with 1. */
static PyObject *status_of_record(PyObject *record, PyObject *kind)
{
    PyObject *status = NULL, *signo = PyObject_GetAttrString(record, "signo"),
             *reason = PyObject_GetAttrString(record, "reason");
    if (signo && reason) {
        if (PyUnicode_Check(kind) && PyUnicode_CompareWithASCIIString(kind, "signal") == 0)
            status = PyLong_FromLong(128 + PyLong_AsLong(signo));
        else
            status = PyUnicode_FromFormat("bough: the main thread was interrupted (%S): %S", kind,
                                          PyObject_IsTrue(reason) == 1 ? reason : kind);
    }
    Py_XDECREF(signo);
    Py_XDECREF(reason);
    return status;
}

static PyObject *exit_status(PyObject *module, PyObject *error)
{
    (void)module;
    if (!PyObject_TypeCheck(error, (PyTypeObject *)PyExc_SystemExit)) {
        PyErr_Format(PyExc_TypeError, "exit_status() takes a SystemExit, got %R", error);
        return NULL;
    }
    PyObject *given = ((PySystemExitObject *)error)->code, *arguments = ((PyBaseExceptionObject *)error)->args;
    if ((given && given != Py_None) || (arguments && PyObject_Size(arguments) > 0))
        return Py_NewRef(given ? given : Py_None);
    PyObject *record = PyObject_GetAttrString(error, "record");
    if (!record || record == Py_None)
        return record;
    PyObject *kind = PyObject_GetAttrString(record, "kind"), *status = kind ? status_of_record(record, kind) : NULL;
    Py_XDECREF(kind);
    Py_DECREF(record);
    return status;
}

PyMethodDef bp_status_methods[] = {
    {"exit_status", exit_status, METH_O, PyDoc_STR("exit_status(error): the `code` of a ThreadExit.")},
    {0},
};

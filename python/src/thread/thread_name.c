/* SPDX-License-Identifier: MIT */
/* Finds the name that threading has for a thread that bough did not start. Runs no Python code. */
#include "thread/thread.h"

#include <stdio.h>

/* A borrowed reference to threading's dictionary of its threads, by ident. NULL: the program does not use threading, or
 * the interpreter is ending. */
static PyObject *threads(void)
{
    PyObject *modules = PySys_GetObject("modules");
    PyObject *threading = modules && PyDict_Check(modules) ? PyDict_GetItemString(modules, "threading") : NULL;
    PyObject *active =
        threading && PyModule_Check(threading) ? PyDict_GetItemString(PyModule_GetDict(threading), "_active") : NULL;
    return active && PyDict_Check(active) ? active : NULL;
}

/* A new reference to the name. NULL: threading does not know the thread, or an error is set. */
static PyObject *text_of(unsigned long ident)
{
    static PyObject *key;
    PyObject *all = threads(), *number = all ? PyLong_FromUnsignedLong(ident) : NULL;
    PyObject *thread = number ? PyDict_GetItemWithError(all, number) : NULL;
    if (!key)
        key = PyUnicode_InternFromString("_name");
    PyObject *text = thread && key ? PyObject_GenericGetAttr(thread, key) : NULL;
    Py_XDECREF(number);
    return text;
}

void bp_thread_name(unsigned long ident, char *name, size_t size)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyObject *text = text_of(ident);
    const char *utf8 = text && PyUnicode_Check(text) ? PyUnicode_AsUTF8(text) : NULL;
    snprintf(name, size, "%s", utf8 ? utf8 : "");
    Py_XDECREF(text);
    PyErr_Restore(type, value, trace);
}

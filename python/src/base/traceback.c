/* SPDX-License-Identifier: MIT */
/*
 * Tracebacks without the package's frames. An exception that leaves a block, or that a wrong argument has raised, may
 * have been raised by the package's Python code, whose frames do not help a user. They are the outermost ones when C
 * code gets the exception: a child's frames, further in, stay.
 */
#include "base/base.h"

#include <frameobject.h>

static bool is_own_frame(PyObject *folder, PyTracebackObject *trace)
{
    PyCodeObject *code = PyFrame_GetCode(trace->tb_frame);
    Py_ssize_t own = PyUnicode_Tailmatch(code->co_filename, folder, 0, PY_SSIZE_T_MAX, -1);
    Py_DECREF(code);
    if (own < 0)
        PyErr_Clear();
    return own > 0;
}

void bp_hide_own_frames(void)
{
    static PyObject *folder;
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    if (!folder && !(folder = bp_load("bough._own", "HIDDEN")))
        PyErr_Clear();
    PyObject *rest = trace;
    while (folder && rest && PyTraceBack_Check(rest) && is_own_frame(folder, (PyTracebackObject *)rest))
        rest = (PyObject *)((PyTracebackObject *)rest)->tb_next;
    if (rest != trace) {
        Py_XINCREF(rest);
        Py_SETREF(trace, rest);
        if (value && PyExceptionInstance_Check(value))
            PyException_SetTraceback(value, trace ? trace : Py_None);
    }
    PyErr_Restore(type, value, trace);
}

/* SPDX-License-Identifier: MIT */
/*
 * Removes the package's frames from tracebacks. An exception that leaves a block, or that reports a wrong argument, may
 * have been raised by the package's Python code, whose frames do not help a user. When C code gets the exception, the
 * package's frames are the outermost ones. Frames further in, such as those of a child's function, stay.
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

/* SPDX-License-Identifier: MIT */
/* Starts and stops recordings of this process. */
#include "base/base.h"
#include "api/module.h"

static PyObject *trace_start(PyObject *module, PyObject *args)
{
    struct bough_trace_options o = {0};
    PyObject *file;
    long long size, threshold;
    int private;
    (void)module;
    if (!PyArg_ParseTuple(args, "O&LLp:trace_start", PyUnicode_FSConverter, &file, &size, &threshold, &private))
        return NULL;
    o.file = PyBytes_AS_STRING(file);
    o.size = (size_t)size;
    o.threshold = threshold;
    o.flags = (private ? BOUGH_TRACE_NO_ARGUMENTS : 0u) | (threshold ? 0u : BOUGH_TRACE_ALL);
    if (bough_trace_start(&o) != 0)
        PyErr_SetFromErrnoWithFilename(PyExc_OSError, o.file);
    Py_DECREF(file);
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

static PyObject *trace_stop(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return PyBool_FromLong(bough_trace_stop() == 0);
}

PyMethodDef bp_trace_methods[] = {
    {"trace_start", trace_start, METH_VARARGS,
     PyDoc_STR("trace_start(file, size, threshold, private): begin a recording.")},
    {"trace_stop", trace_stop, METH_NOARGS, PyDoc_STR("trace_stop(): end the recording. Whether there was one.")},
    {NULL, NULL, 0, NULL},
};

/* SPDX-License-Identifier: MIT */
/* bough._bough: a placeholder. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <bough.h>

static PyObject *library_version(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    return PyUnicode_FromString(bough_version());
}

static PyMethodDef methods[] = {
    {"library_version", library_version, METH_NOARGS, PyDoc_STR("The version of libbough.")},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "bough._bough",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__bough(void);
PyMODINIT_FUNC PyInit__bough(void)
{
    return PyModuleDef_Init(&module);
}

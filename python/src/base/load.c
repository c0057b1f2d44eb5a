/* SPDX-License-Identifier: MIT */
/* Loading the package's files. */
#include "base/base.h"

/* In a critical section: an interrupt of the caller may be due already, and would make a call in the import fail. A
 * thread that has not used bough has no need of that, and a critical section would add the thread to the tree, without
 * a name. */
PyObject *bp_load(const char *file, const char *name)
{
    struct bough_region region;
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    bool inside = (bp_me || bough_foreign()) && bough_critical_begin(&region, 0, __FILE__, __LINE__) == 0;
    PyObject *module = PyImport_ImportModule(file), *found = module ? PyObject_GetAttrString(module, name) : NULL;
    Py_XDECREF(module);
    if (inside)
        bough_region_end(&region);
    if (found)
        PyErr_Restore(type, value, trace);
    else
        Py_XDECREF(type), Py_XDECREF(value), Py_XDECREF(trace);
    return found;
}

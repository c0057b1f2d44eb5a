/* SPDX-License-Identifier: MIT */
/* Collects the contents of bough.report(): the interposed functions of this process, slot by slot, and lock methods. */
#include "base/base.h"
#include "locks/locks.h"
#include "api/module.h"

static const char *const states[] = {"interposed", "hooked", "skipped"};

static void visit(void *context, const struct bough_slot *slot)
{
    PyObject *list = context;
    PyObject *object = slot->object ? bp_text(slot->object) : Py_NewRef(Py_None);
    PyObject *item = Py_BuildValue("(Nzsz)", object, slot->symbol, states[slot->state], slot->why);
    if (!item || PyList_Append(list, item) != 0)
        PyErr_Clear(); /* the report has one line less */
    Py_XDECREF(item);
}

static PyObject *slots(PyObject *module, PyObject *none)
{
    PyObject *list = PyList_New(0);
    (void)module, (void)none;
    if (list)
        bough_interposed(visit, list);
    return list;
}

static PyObject *lock_methods(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return bp_locks_report();
}

static PyObject *version(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return PyUnicode_FromString(bough_version());
}

static PyObject *opted_in(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return PyBool_FromLong(bp.opted_in);
}

PyMethodDef bp_report_methods[] = {
    {"slots", slots, METH_NOARGS, PyDoc_STR("slots(): [(object, symbol, state, why)]")},
    {"lock_methods", lock_methods, METH_NOARGS, PyDoc_STR("lock_methods(): [(name, whether it is wrapped)]")},
    {"library_version", version, METH_NOARGS, PyDoc_STR("library_version()\n--\n\nThe version of libbough.")},
    {"opted_in", opted_in, METH_NOARGS,
     PyDoc_STR("opted_in(): whether functions are interposed and methods wrapped now.")},
    {0},
};

/* SPDX-License-Identifier: MIT */
/*
 * Errors that become the interrupt's exception.
 *
 * An interrupted call of the interpreter's blocking functions fails with BP_CUT. For that the function raises an
 * OSError, or the exception that its module has for a failed call. Such an object is first allocated, by its type's
 * tp_alloc. bough's tp_alloc sets the interrupt's exception instead. So the package needs no list of blocking
 * functions.
 *
 * C code may also swallow the error of an interrupted call. A later error belongs to another call and is left alone.
 * The place of the Python code, its frame and instruction, distinguishes the two: one instruction calls no second C
 * function before the first one's error has been reported.
 *
 * C code may also retry indefinitely, checking for signals in between as PEP 475 requires. So PyErr_CheckSignals(),
 * called by extension modules, raises as well (waits.c).
 */
#include "thread/thread.h"
#include "raise/raise.h"
#include "api/module.h"

#include <string.h>

/* Types of the errors that failed calls raise. All have the generic tp_alloc; a type with another tp_alloc is
 * not changed. */
enum { REPLACED_MOST = 24 };
static PyTypeObject *replaced[REPLACED_MOST];
static int replaced_count;

/* Up to 3.11 these objects may be made only where they are caught, in an outer frame. An object that is made after the
 * interrupt has ended is another error's. */
static bool is_made_late(const PyTypeObject *type)
{
    return PY_VERSION_HEX < 0x030C0000 &&
           (type == (PyTypeObject *)PyExc_EOFError || strcmp(type->tp_name, "herror") == 0);
}

static PyObject *alloc_or_raise(PyTypeObject *type, Py_ssize_t items)
{
    struct bp_thread *t = bp_me;
    if (!t || !t->cut.is_set)
        return PyType_GenericAlloc(type, items);
    t->cut.is_set = false;
    if (bp_is_cut_place(t) || (is_made_late(type) && bough_interrupted())) {
        bp_raise(t, &t->cut.why);
        return NULL;
    }
    bough_paced();
    bough_foreign_again(); /* no call has failed because of the interrupt: the next one fails */
    return PyType_GenericAlloc(type, items);
}

static bool replace(PyTypeObject *type)
{
    if (type->tp_alloc == alloc_or_raise)
        return true;
    if (type->tp_alloc != PyType_GenericAlloc || replaced_count == REPLACED_MOST)
        return false;
    type->tp_alloc = alloc_or_raise;
    Py_INCREF(type);
    replaced[replaced_count++] = type;
    return true;
}

int bp_replace_errors(bool on)
{
    if (on) {
        replace((PyTypeObject *)PyExc_OSError);
        replace((PyTypeObject *)PyExc_EOFError);
        return 0;
    }
    while (replaced_count) {
        PyTypeObject *type = replaced[--replaced_count];
        type->tp_alloc = PyType_GenericAlloc;
        Py_DECREF(type);
    }
    return 0;
}

static PyObject *replace_error(PyObject *module, PyObject *type)
{
    (void)module;
    if (!PyType_Check(type) || !PyType_IsSubtype((PyTypeObject *)type, (PyTypeObject *)PyExc_Exception))
        return PyErr_Format(PyExc_TypeError, "expected an exception class, got %R", type), NULL;
    return PyBool_FromLong(replace((PyTypeObject *)type));
}

static PyObject *replaced_errors(PyObject *module, PyObject *none)
{
    PyObject *names = PyList_New(0);
    (void)module, (void)none;
    for (int i = 0; names && i < replaced_count; i++) {
        PyObject *name = PyUnicode_FromString(replaced[i]->tp_name);
        if (!name || PyList_Append(names, name) != 0)
            Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

PyMethodDef bp_replaced_methods[] = {
    {"replace_error", replace_error, METH_O,
     PyDoc_STR(
         "replace_error(class): replace errors of this class from interrupted calls. False: that is not possible.")},
    {"replaced_errors", replaced_errors, METH_NOARGS,
     PyDoc_STR("replaced_errors(): the names of the classes whose errors are replaced.")},
    {0},
};

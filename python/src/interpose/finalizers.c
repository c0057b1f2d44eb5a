/* SPDX-License-Identifier: MIT */
/*
 * The finalizer of a file closes it, and writes what is still in its buffer. Up to 3.12 the interpreter silently drops
 * the error of that close(). If an interrupt has ended the write, the interrupt's exception is armed again (rule 44).
 *
 * A class gets its finalizer when it is made, so bough changes all classes of files that exist already. Classes that
 * are made in Python get the finalizer from the attribute __del__ of _IOBase.
 */
#include "raise/raise.h"
#include "interpose/interpose.h"
#include "async/async.h"

#if PY_VERSION_HEX < 0x030D0000

static destructor interpreters_finalizer;

/* Consumes the reference `raised`. An error that is set stays set. */
static void arm_again(struct bp_thread *t, PyObject *raised)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    if (bp_arm_again(t, raised))
        bough_foreign_again();
    Py_DECREF(raised);
    PyErr_Restore(type, value, trace);
}

/* Saves the state of an outer finalizer, because the finalizer of a file may free another file. */
static void finalize_file(PyObject *file)
{
    struct bp_thread *t = bp_me;
    if (!t || !t->kinds) {
        interpreters_finalizer(file);
        return;
    }
    PyObject *outer = t->exc.raised_in_finalizer;
    bool in_finalizer = t->exc.in_finalizer;
    t->exc.raised_in_finalizer = NULL;
    t->exc.in_finalizer = true;
    interpreters_finalizer(file);
    PyObject *raised = t->exc.raised_in_finalizer;
    t->exc.raised_in_finalizer = outer;
    t->exc.in_finalizer = in_finalizer;
    if (raised)
        arm_again(t, raised);
}

/* Changes the class and its subclasses. Returns -1 with an exception. */
static int set_finalizer(PyTypeObject *type, destructor from, destructor to)
{
    PyObject *below = PyObject_CallMethod((PyObject *)&PyType_Type, "__subclasses__", "O", type);
    if (!below)
        return -1;
    if (type->tp_finalize == from)
        type->tp_finalize = to;
    int error = 0;
    for (Py_ssize_t i = 0; error == 0 && i < PyList_GET_SIZE(below); i++)
        error = set_finalizer((PyTypeObject *)PyList_GET_ITEM(below, i), from, to);
    Py_DECREF(below);
    return error;
}

static int set_attribute(PyObject *base, destructor to)
{
    PyObject *del = PyObject_GetAttrString(base, "__del__");
    if (del && Py_IS_TYPE(del, &PyWrapperDescr_Type))
        ((PyWrapperDescrObject *)del)->d_wrapped = (void *)(uintptr_t)to;
    Py_XDECREF(del);
    return del ? 0 : -1;
}

static int set_finalizers(PyObject *base, destructor from, destructor to)
{
    return set_attribute(base, to) == 0 ? set_finalizer((PyTypeObject *)base, from, to) : -1;
}

int bp_replace_finalizers(bool on)
{
    PyObject *module = PyImport_ImportModule("_io"), *base = module ? PyObject_GetAttrString(module, "_IOBase") : NULL;
    Py_XDECREF(module);
    if (!base)
        return -1;
    if (!interpreters_finalizer)
        interpreters_finalizer = ((PyTypeObject *)base)->tp_finalize;
    int error = on ? set_finalizers(base, interpreters_finalizer, finalize_file)
                   : set_finalizers(base, finalize_file, interpreters_finalizer);
    Py_DECREF(base);
    return error;
}

#else

int bp_replace_finalizers(bool on)
{
    (void)on;
    return 0;
}

#endif

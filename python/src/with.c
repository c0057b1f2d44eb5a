/* SPDX-License-Identifier: MIT */
/*
 * __enter__ and __exit__ of Python's class, by its _enter() and _leave(error, new). In main, any bytecode may be where a
 * Ctrl-C comes out, the first of __exit__ too, and then nobody would join the children. In C there is none: what comes
 * out of _leave() while the branch is open is given to _leave() again, as one more failure. If that does not end, _leave() fails by
 * an error of its code: then the branch is ended here, without it.
 */
#include "branch.h"

static bool is_open(PyObject *self)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyObject *capsule = PyObject_GetAttrString(self, "_capsule");
    bool open = capsule && capsule != Py_None;
    Py_XDECREF(capsule);
    PyErr_Restore(type, value, trace);
    return open;
}

enum { TRIES = 100 };

static void end_in_c(PyObject *self)
{
    PyObject *error = bp_taken_exception(), *capsule = PyObject_GetAttrString(self, "_capsule");
    if (capsule && bp_branch_end_anyway(capsule) == 0)
        PyObject_SetAttrString(self, "_capsule", Py_None);
    Py_XDECREF(capsule);
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_DECREF(error);
}

static PyObject *leave(PyObject *self, PyObject *error)
{
    PyObject *result = PyObject_CallMethod(self, "_leave", "OO", error, error);
    for (int tries = 1; !result && is_open(self); tries++) {
        if (tries == TRIES) {
            end_in_c(self);
            break;
        }
        PyObject *new = bp_taken_exception();
        result = PyObject_CallMethod(self, "_leave", "OO", error, new);
        Py_DECREF(new);
    }
    return result;
}

/* (type, error, traceback), as the interpreter calls it. */
static PyObject *exit_branch(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 3)
        return PyErr_Format(PyExc_TypeError, "__exit__() takes exactly 3 arguments (%zd given)", count), NULL;
    return leave(self, args[1]);
}

static PyObject *enter_branch(PyObject *self, PyObject *none)
{
    PyObject *result = PyObject_CallMethod(self, "_enter", NULL);
    (void)none;
    if (result || !is_open(self))
        return result;
    PyObject *error = bp_taken_exception();
    result = leave(self, error);
    if (result)
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_XDECREF(result);
    Py_DECREF(error);
    return NULL;
}

static PyMethodDef methods[] = {
    {"__enter__", enter_branch, METH_NOARGS, PyDoc_STR("__enter__($self, /)\n--\n\nOpens the block.")},
    {"__exit__", (PyCFunction)(void (*)(void))exit_branch, METH_FASTCALL,
     PyDoc_STR(
         "__exit__($self, type, error, traceback, /)\n--\n\nEnds the block: joins the children, raises what went wrong.")},
};

/* Method descriptors, as a class written in C has them. An instancemethod around a function does not do: `with` of Python 3.14
 * and newer closes the place of a `self` that it did not fill, and a debug build aborts there. */
static PyObject *with_methods(PyObject *module, PyObject *class)
{
    (void)module;
    if (!PyType_Check(class))
        return PyErr_Format(PyExc_TypeError, "with_methods() must be given a class, not %R", class), NULL;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        PyObject *method = PyDescr_NewMethod((PyTypeObject *)class, &methods[i]);
        if (!method || PyObject_SetAttrString(class, methods[i].ml_name, method) != 0)
            return Py_XDECREF(method), NULL;
        Py_DECREF(method);
    }
    return Py_NewRef(class);
}

PyMethodDef bp_with_methods[] = {
    {"with_methods", with_methods, METH_O,
     PyDoc_STR(
         "with_methods(class): gives it __enter__ and __exit__, by its _enter() and _leave(error, new); a decorator.")},
    {0},
};

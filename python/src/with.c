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

static PyObject *exit_branch(PyObject *module, PyObject *args)
{
    PyObject *self, *type, *error, *trace;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOOO:__exit__", &self, &type, &error, &trace))
        return NULL;
    return leave(self, error);
}

static PyObject *enter_branch(PyObject *module, PyObject *self)
{
    PyObject *result = PyObject_CallMethod(self, "_enter", NULL);
    (void)module;
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

static PyMethodDef enter_method = {"__enter__", enter_branch, METH_O, NULL};
static PyMethodDef exit_method = {"__exit__", exit_branch, METH_VARARGS, NULL};

/* A function that becomes a method when it lies in a class, as those of Python do. */
static PyObject *method(PyObject *module, PyMethodDef *def)
{
    PyObject *function = PyCFunction_New(def, module), *made = function ? PyInstanceMethod_New(function) : NULL;
    Py_XDECREF(function);
    return made;
}

static PyObject *with_methods(PyObject *module, PyObject *none)
{
    (void)none;
    PyObject *enter = method(module, &enter_method), *exit = method(module, &exit_method);
    PyObject *both = enter && exit ? PyTuple_Pack(2, enter, exit) : NULL;
    Py_XDECREF(enter);
    Py_XDECREF(exit);
    return both;
}

PyMethodDef bp_with_methods[] = {
    {"with_methods", with_methods, METH_NOARGS,
     PyDoc_STR("with_methods(): __enter__ and __exit__ for a class with _enter() and _leave(error, new).")},
    {0},
};

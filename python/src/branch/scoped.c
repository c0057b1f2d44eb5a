/* SPDX-License-Identifier: MIT */
/*
 * A function decorated with a scope: each call is a block of a new scope with the same limit. In C, so that tracebacks
 * show only the function and its caller.
 */
#include "base/base.h"
#include "branch/branch.h"
#include "api/module.h"

#include <stddef.h>
#include <structmember.h>

struct scoped {
    PyObject_HEAD
    struct bp_branch_object *scope; /* never entered: each call makes a scope with the same limit */
    PyObject *function, *name;      /* `name` is the name of the scopes */
    PyObject *dict;                 /* __name__, __doc__, __wrapped__ and so on */
};

/* The function's result; None if the scope has ended the call. */
static PyObject *result_of(struct bp_branch_object *o, PyObject *result)
{
    PyObject *error = result ? Py_NewRef(Py_None) : bp_taken_exception();
    PyObject *swallowed = bp_branch_leave(o, error);
    int yes = swallowed ? PyObject_IsTrue(swallowed) : -1;
    Py_XDECREF(swallowed);
    if (yes < 0) {
        Py_CLEAR(result);
    } else if (!result && yes) {
        result = Py_NewRef(Py_None);
    } else if (!result) { /* restored, so that its context does not change */
        PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(error)), Py_NewRef(error), PyException_GetTraceback(error));
    }
    Py_DECREF(error);
    return result;
}

static PyObject *scoped_call(PyObject *self, PyObject *args, PyObject *keywords)
{
    const struct scoped *s = (struct scoped *)self;
    struct bp_branch_object *o = bp_scope_again(s->scope, s->name);
    if (!o)
        return NULL;
    o->used = 1;
    PyObject *result = NULL;
    if (bp_branch_enter(o) == 0)
        result = result_of(o, PyObject_Call(s->function, args, keywords));
    Py_DECREF(o);
    return result;
}

static PyObject *scoped_get(PyObject *self, PyObject *object, PyObject *type)
{
    (void)type;
    return object && object != Py_None ? PyMethod_New(self, object) : Py_NewRef(self);
}

/* For pickle: the qualified name, by which the function is found in its module. */
static PyObject *scoped_reduce(PyObject *self, PyObject *none)
{
    (void)none;
    return PyObject_GetAttrString(self, "__qualname__");
}

static PyObject *scoped_repr(PyObject *self)
{
    const struct scoped *s = (struct scoped *)self;
    return PyUnicode_FromFormat("<%R, each call in %R>", s->function, s->scope);
}

static int scoped_traverse(PyObject *self, visitproc visit, void *arg)
{
    const struct scoped *s = (struct scoped *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(s->scope);
    Py_VISIT(s->function);
    Py_VISIT(s->name);
    Py_VISIT(s->dict);
    return 0;
}

static int scoped_clear(PyObject *self)
{
    struct scoped *s = (struct scoped *)self;
    Py_CLEAR(s->scope);
    Py_CLEAR(s->function);
    Py_CLEAR(s->name);
    Py_CLEAR(s->dict);
    return 0;
}

static void scoped_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    scoped_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef scoped_methods[] = {
    {"__reduce__", scoped_reduce, METH_NOARGS, NULL},
    {0},
};

static PyMemberDef scoped_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(struct scoped, dict), READONLY, NULL},
    {0},
};

static PyGetSetDef scoped_attributes[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {0},
};

static PyType_Slot scoped_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("A function whose calls have a time limit.")},
    {Py_tp_call, (void *)scoped_call},
    {Py_tp_descr_get, (void *)scoped_get},
    {Py_tp_repr, (void *)scoped_repr},
    {Py_tp_traverse, (void *)scoped_traverse},
    {Py_tp_clear, (void *)scoped_clear},
    {Py_tp_dealloc, (void *)scoped_dealloc},
    {Py_tp_methods, scoped_methods},
    {Py_tp_members, scoped_members},
    {Py_tp_getset, scoped_attributes},
    {0, NULL},
};

static PyType_Spec scoped_spec = {
    .name = "bough._bough.Scoped",
    .basicsize = sizeof(struct scoped),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = scoped_slots,
};

static PyObject *scoped(PyObject *module, PyObject *args)
{
    static PyTypeObject *type;
    PyObject *scope, *function, *name;
    (void)module;
    if (!PyArg_ParseTuple(args, "O!OU:scoped", bp_block_type, &scope, &function, &name))
        return NULL;
    if (!type && !(type = (PyTypeObject *)PyType_FromSpec(&scoped_spec)))
        return NULL;
    struct scoped *s = (struct scoped *)type->tp_alloc(type, 0);
    if (!s)
        return NULL;
    s->scope = (struct bp_branch_object *)Py_NewRef(scope);
    s->scope->used = 1;
    s->function = Py_NewRef(function);
    s->name = Py_NewRef(name);
    return (PyObject *)s;
}

PyMethodDef bp_scoped_methods[] = {
    {"scoped", scoped, METH_VARARGS,
     PyDoc_STR("scoped(scope, function, name): wrap the function: each call runs in a new scope like `scope`.")},
    {0},
};

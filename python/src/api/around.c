/* SPDX-License-Identifier: MIT */
/*
 * Wraps a function in another one that has no Python frame. warnings.warn() names the line a given number of frames
 * further out (stacklevel), and the import system recognises its frames by their files. So an additional frame would
 * make a warning name a line of bough.
 */
#include "base/base.h"
#include "regions/regions.h"
#include "api/module.h"

#include <stddef.h>
#include <structmember.h>

struct around {
    PyObject_HEAD
    vectorcallfunc vectorcall; /* NULL: something is done before, around or after the original */
    PyObject *original;
    PyObject *misfit;     /* for bp_explain_misfit(); NULL */
    PyObject *before;     /* called without arguments; NULL */
    PyObject *after;      /* called with the call's arguments, if the original has succeeded; NULL */
    bool uninterruptible; /* in an opted-in thread the original runs in a critical section */
    PyObject *dict;       /* __name__, __doc__, __wrapped__ and so on */
};

static PyObject *call_uninterruptible(const struct around *a, PyObject *args, PyObject *keywords)
{
    struct bp_thread *t = bough_foreign() ? bp_me : NULL;
    if (!t || !t->kinds)
        return PyObject_Call(a->original, args, keywords);
    if (bp_critical_begin(t) != 0)
        return NULL;
    PyObject *result = PyObject_Call(a->original, args, keywords), *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace); /* PyErr_SetObject() would replace the error's context */
    int ended = bp_region_end(t, BP_CRITICAL);
    if (ended == 0)
        return PyErr_Restore(type, error, trace), result;
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    return Py_XDECREF(result), NULL;
}

static PyObject *around_vectorcall(PyObject *self, PyObject *const *args, size_t count, PyObject *names)
{
    const struct around *a = (struct around *)self;
    PyObject *result = PyObject_Vectorcall(a->original, args, count, names);
    if (!result) {
        if (a->misfit)
            bp_explain_misfit(a->misfit, a->original);
        bp_hide_own_frames();
    }
    return result;
}

static PyObject *around_call(PyObject *self, PyObject *args, PyObject *keywords)
{
    const struct around *a = (struct around *)self;
    PyObject *begun = a->before ? PyObject_CallNoArgs(a->before) : Py_NewRef(Py_None);
    if (!begun)
        return bp_hide_own_frames(), NULL;
    Py_DECREF(begun);
    PyObject *result =
        a->uninterruptible ? call_uninterruptible(a, args, keywords) : PyObject_Call(a->original, args, keywords);
    PyObject *ended = result && a->after ? PyObject_Call(a->after, args, keywords) : Py_XNewRef(result);
    if (!ended)
        Py_CLEAR(result);
    Py_XDECREF(ended);
    if (!result)
        bp_hide_own_frames();
    return result;
}

static PyObject *around_get(PyObject *self, PyObject *object, PyObject *type)
{
    (void)type;
    return object && object != Py_None ? PyMethod_New(self, object) : Py_NewRef(self);
}

static void around_dealloc(PyObject *self)
{
    struct around *a = (struct around *)self;
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(a->original);
    Py_XDECREF(a->misfit);
    Py_XDECREF(a->before);
    Py_XDECREF(a->after);
    Py_XDECREF(a->dict);
    type->tp_free(self);
    Py_DECREF(type);
}

/* For pickle: the qualified name, by which the function is found in its module. */
static PyObject *around_reduce(PyObject *self, PyObject *none)
{
    (void)none;
    return PyObject_GetAttrString(self, "__qualname__");
}

static PyMethodDef around_object_methods[] = {
    {"__reduce__", around_reduce, METH_NOARGS, NULL},
    {0},
};

static PyMemberDef around_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(struct around, dict), READONLY, NULL},
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(struct around, vectorcall), READONLY, NULL},
    {0},
};

static PyGetSetDef around_attributes[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {0},
};

static PyType_Slot around_slots[] = {
    {Py_tp_doc, (void *)PyDoc_STR("A function that wraps another one.")},
    {Py_tp_call, (void *)around_call},
    {Py_tp_descr_get, (void *)around_get},
    {Py_tp_dealloc, (void *)around_dealloc},
    {Py_tp_methods, around_object_methods},
    {Py_tp_members, around_members},
    {Py_tp_getset, around_attributes},
    {0, NULL},
};

static PyType_Spec around_spec = {
    .name = "bough._bough.Around",
    .basicsize = sizeof(struct around),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_HAVE_VECTORCALL |
             Py_TPFLAGS_METHOD_DESCRIPTOR,
    .slots = around_slots,
};

static PyObject *around(PyObject *module, PyObject *args, PyObject *keywords)
{
    static char *names[] = {(char *)"original",        (char *)"before", (char *)"after",
                            (char *)"uninterruptible", (char *)"misfit", NULL};
    static PyTypeObject *type;
    PyObject *original, *before = NULL, *after = NULL, *misfit = NULL;
    int uninterruptible = 0;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|$OOpO:around", names, &original, &before, &after,
                                     &uninterruptible, &misfit))
        return NULL;
    if (!type && !(type = (PyTypeObject *)PyType_FromSpec(&around_spec)))
        return NULL;
    struct around *a = (struct around *)type->tp_alloc(type, 0);
    if (!a)
        return NULL;
    a->vectorcall = before || after || uninterruptible ? NULL : around_vectorcall;
    a->original = Py_NewRef(original);
    a->misfit = Py_XNewRef(misfit);
    a->before = Py_XNewRef(before);
    a->after = Py_XNewRef(after);
    a->uninterruptible = uninterruptible;
    return (PyObject *)a;
}

PyMethodDef bp_around_methods[] = {
    {"around", (PyCFunction)(void (*)(void))around, METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR(
         "around(original, *, before=None, after=None, uninterruptible=False, misfit=None): wrap it without a frame.")},
    {0},
};

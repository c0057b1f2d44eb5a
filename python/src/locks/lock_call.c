/* SPDX-License-Identifier: MIT */
/* Calls a replaced method of the interpreter, by each calling convention that the interpreter has for C methods. */
#include "locks/locks.h"

static PyObject *call_with_tuple(const struct bp_method *m, PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    PyObject *tuple = PyTuple_New(count), *result = NULL;
    if (!tuple)
        return NULL;
    for (Py_ssize_t i = 0; i < count; i++)
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(args[i]));
    if (m->flags & METH_KEYWORDS)
        result = AS(keywords_fn, m->original)(self, tuple, NULL);
    else
        result = m->original(self, tuple);
    Py_DECREF(tuple);
    return result;
}

/* With the names of keyword arguments, for the conventions that have them. */
PyObject *bp_call_original_vector(const struct bp_lock *l, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    const struct bp_method *m = l->method;
    switch (m->flags & ~(METH_CLASS | METH_STATIC | METH_COEXIST)) {
    case METH_FASTCALL:
        return AS(fast_fn, m->original)(l->self, args, count);
    case METH_FASTCALL | METH_KEYWORDS:
        return AS(fast_keywords_fn, m->original)(l->self, args, count, names);
    case METH_METHOD | METH_FASTCALL | METH_KEYWORDS:
        return AS(method_fn, m->original)(l->self, l->type ? l->type : m->type, args, (size_t)count, names);
    case METH_NOARGS:
        return m->original(l->self, NULL);
    default:
        return call_with_tuple(m, l->self, args, count);
    }
}

PyObject *bp_call_original(const struct bp_lock *l, PyObject *const *args, Py_ssize_t count)
{
    return bp_call_original_vector(l, args, count, NULL);
}

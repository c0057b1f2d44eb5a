/* SPDX-License-Identifier: MIT */
/* Calls a replaced method of the interpreter, by each calling convention that the interpreter has for C methods. */
#include "locks/locks.h"

static PyObject *keywords_of(PyObject *const *values, PyObject *names)
{
    PyObject *keywords = PyDict_New();
    for (Py_ssize_t i = 0; keywords && i < PyTuple_GET_SIZE(names); i++)
        if (PyDict_SetItem(keywords, PyTuple_GET_ITEM(names, i), values[i]) != 0)
            Py_CLEAR(keywords);
    return keywords;
}

static PyObject *call_with_tuple(const struct bp_method *m, PyObject *self, PyObject *const *args, Py_ssize_t count,
                                 PyObject *names)
{
    bool has_keywords = (m->flags & METH_KEYWORDS) && names;
    PyObject *tuple = PyTuple_New(count), *result = NULL, *keywords = NULL;
    for (Py_ssize_t i = 0; tuple && i < count; i++)
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(args[i]));
    if (tuple && (!has_keywords || (keywords = keywords_of(args + count, names))))
        result =
            m->flags & METH_KEYWORDS ? AS(keywords_fn, m->original)(self, tuple, keywords) : m->original(self, tuple);
    Py_XDECREF(keywords);
    Py_XDECREF(tuple);
    return result;
}

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
        return call_with_tuple(m, l->self, args, count, names);
    }
}

PyObject *bp_call_original(const struct bp_lock *l, PyObject *const *args, Py_ssize_t count)
{
    return bp_call_original_vector(l, args, count, NULL);
}

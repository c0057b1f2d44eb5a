/* SPDX-License-Identifier: MIT */
/* Between what waits for a lock (locks.c) and the functions that stand in for the interpreter's methods
 * (lock_methods.c). */
#ifndef BP_LOCKS_H
#define BP_LOCKS_H

#include "base/state.h"

/* A method of the interpreter that waits. */
struct bp_method {
    PyMethodDef *def;   /* the interpreter's; NULL: never wrapped. It stays: a thread may be in a wrapper for long */
    PyTypeObject *type; /* that has it; there may be others, if its module was imported twice */
    PyCFunction original;
    int flags; /* how it is called: METH_VARARGS ... */
    bool wrapped;
};

/* What is waited for, and by which method. */
struct bp_lock {
    const struct bp_method *method;
    PyObject *self;
    PyTypeObject *type; /* whose method was called, where METH_METHOD passes it; NULL: the method's */
};

/* ---- lock_call.c -------------------------------------------------------------------------------------- */

typedef PyObject *fast_fn(PyObject *, PyObject *const *, Py_ssize_t);
typedef PyObject *fast_keywords_fn(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
typedef PyObject *method_fn(PyObject *, PyTypeObject *, PyObject *const *, size_t, PyObject *);

typedef PyObject *keywords_fn(PyObject *, PyObject *, PyObject *);

#define AS(type, function) ((type *)(void (*)(void))(function))

/* The original, with the names of keyword arguments, where its way of being called has them. */
PyObject *bp_call_original_vector(const struct bp_lock *l, PyObject *const *args, Py_ssize_t count, PyObject *names);
/* The original, with positional arguments, whatever way it is called by. */
PyObject *bp_call_original(const struct bp_lock *l, PyObject *const *args, Py_ssize_t count);

/* ---- locks.c ------------------------------------------------------------------------------------------ */

int bp_locks_init(void);
/* The calling thread called the method with these arguments; `wait_name` is the name of the one that says whether to
 * wait. Returns what the caller gets. NULL without an error: call the original with the same arguments. */
PyObject *bp_wait(const struct bp_lock *l, const char *wait_name, PyObject *const *args, Py_ssize_t count,
                  PyObject *names);
/* The same for a call without arguments, of which `result` is what a try without waiting has returned. Takes over
 * `result`. */
PyObject *bp_wait_on(const struct bp_lock *l, PyObject *result);

#endif

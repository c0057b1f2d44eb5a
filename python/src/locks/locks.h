/* SPDX-License-Identifier: MIT */
/* The interface between the wait for a lock (locks.c) and the stand-ins for the interpreter's methods
 * (lock_methods.c). */
#ifndef BP_LOCKS_H
#define BP_LOCKS_H

#include "base/state.h"

/* A method of the interpreter that waits. */
struct bp_method {
    PyMethodDef *def;   /* the interpreter's; NULL: never wrapped. Not cleared: a thread may be in a wrapper for long */
    PyTypeObject *type; /* its type; there may be others, if its module was imported twice */
    PyCFunction original;
    int flags; /* how it is called: METH_VARARGS ... */
    bool wrapped;
    PyMethodDef quick;        /* the same method in a quicker calling convention; not set where it has one */
    PyObject *descriptors[2]; /* in the type's dictionary: the interpreter's, and that of `quick` */
};

/* The lock, and the method that waits for it. */
struct bp_lock {
    const struct bp_method *method;
    PyObject *self;
    PyTypeObject *type; /* the class that METH_METHOD passes; NULL: the method's type */
};

/* ---- lock_call.c -------------------------------------------------------------------------------------- */

typedef PyObject *fast_fn(PyObject *, PyObject *const *, Py_ssize_t);
typedef PyObject *fast_keywords_fn(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
typedef PyObject *method_fn(PyObject *, PyTypeObject *, PyObject *const *, size_t, PyObject *);

typedef PyObject *keywords_fn(PyObject *, PyObject *, PyObject *);

#define AS(type, function) ((type *)(void (*)(void))(function))

/* Call the original with the names of keyword arguments, if its calling convention has keyword arguments. */
PyObject *bp_call_original_vector(const struct bp_lock *l, PyObject *const *args, Py_ssize_t count, PyObject *names);
/* Call the original with positional arguments, by any calling convention. */
PyObject *bp_call_original(const struct bp_lock *l, PyObject *const *args, Py_ssize_t count);

/* ---- locks.c ------------------------------------------------------------------------------------------ */

int bp_locks_init(void);
/* The calling thread called the method with these arguments; `wait_name` is the name of the argument that chooses
 * whether to wait. Returns the caller's result. NULL without an error: call the original with the same arguments. */
PyObject *bp_wait(const struct bp_lock *l, const char *wait_name, PyObject *const *args, Py_ssize_t count,
                  PyObject *names);
/* As bp_wait(), for a call without arguments. `result`: the result of the attempt without waiting, which is
 * consumed. */
PyObject *bp_wait_on(const struct bp_lock *l, PyObject *result);

/* ---- lock_methods.c ------------------------------------------------------------------------------------------- */

int bp_wrap_locks(void);
void bp_unwrap_locks(void);
/* For the report: a list of (name, whether it is wrapped). */
PyObject *bp_locks_report(void);

#endif

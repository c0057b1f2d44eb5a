/* SPDX-License-Identifier: MIT */
/* Between what waits for a lock (locks.c) and the functions that stand in for the interpreter's methods (lock_methods.c). */
#ifndef BP_LOCKS_H
#define BP_LOCKS_H

#include "state.h"

/* A method of the interpreter's that waits. */
struct bp_method {
    PyMethodDef *def; /* the interpreter's; NULL: never wrapped. It stays: a thread may be in a wrapper for long */
    PyCFunction original;
    bool wrapped;
};

/* ---- lock_methods.c ----------------------------------------------------------------------------------- */

/* The original, with positional arguments, whatever way it is called by. */
PyObject *bp_call_original(const struct bp_method *m, PyObject *self, PyObject *const *args, Py_ssize_t count);

/* ---- locks.c ------------------------------------------------------------------------------------------ */

int bp_locks_init(void);
/* The calling thread waits by this method, and may be cut; `wait_name` is what the argument is called that says whether to
 * wait. NULL without an error: it is none of ours, call the original with what it was called with. */
PyObject *bp_wait(const struct bp_method *m, const char *wait_name, PyObject *self, PyObject *const *args,
                  Py_ssize_t count, PyObject *names);

#endif

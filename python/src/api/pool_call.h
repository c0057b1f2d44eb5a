/* SPDX-License-Identifier: MIT */
/* A call that another thread may interrupt, as a pool's work item; and the future of such a call. */
#ifndef BP_POOL_CALL_H
#define BP_POOL_CALL_H

#include "base/state.h"

struct bp_call {
    PyObject_HEAD
    PyObject *function, *args, *keywords; /* NULL: it has begun, or never will; `keywords`: or it has none */
    PyObject *name;                       /* of its branch; NULL: "item" */
    PyObject *running;                    /* the set of its executor's calls that run; NULL */
    PyObject *asked;                      /* why it was interrupted; NULL */
    PyObject *future;                     /* of a work item that has not begun; NULL */
    PyObject *weak;
    void *handle; /* of its branch, while it runs */
    bool over;
};

struct bp_call *bp_call_new(PyObject *function, PyObject *args, PyObject *keywords);
bool bp_is_call(PyObject *object);

/* "_bough_call", which a future has while its call runs; and the names of a future's methods. */
extern PyObject *bp_name_call, *bp_name_set_running, *bp_name_set_result;

/* ---- pool_future.c ---- */

/* A Future of the package's. */
PyObject *bp_future_new(void);

#endif

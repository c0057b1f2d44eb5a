/* SPDX-License-Identifier: MIT */
/* A call that another thread may interrupt, as a pool's work item; and the future of such a call. */
#ifndef BP_POOL_CALL_H
#define BP_POOL_CALL_H

#include "base/state.h"

struct bp_call {
    PyObject_HEAD
    PyObject *function, *args, *keywords; /* NULL: the call has begun, or never will; `keywords`: or there are none */
    PyObject *name;                       /* of the call's branch; NULL: "item" */
    PyObject *running;                    /* the set of the executor's running calls; NULL */
    PyObject *asked;                      /* why the call was interrupted; NULL */
    PyObject *future;                     /* the future of a work item that has not begun; NULL */
    PyObject *weak;
    void *handle; /* of the call's branch, while the call runs; NULL */
    bool over;
};

struct bp_call *bp_call_new(PyObject *function, PyObject *args, PyObject *keywords);
bool bp_is_call(PyObject *object);

/* "_bough_call", the attribute that a future has while its call runs; and the names of a future's methods. */
extern PyObject *bp_name_call, *bp_name_set_running, *bp_name_set_result;

/* ---- pool_future.c ----------------------------------------------------------------------------------------------- */

/* A new bough.Future. NULL with an exception. */
PyObject *bp_future_new(void);

#endif

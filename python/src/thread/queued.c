/* SPDX-License-Identifier: MIT */
/* Queues the interrupts for a thread that the library does not know yet, and posts them when the library knows the
 * thread (rule 16). */
#include "thread/thread.h"

/* Does not use a list object: in 3.11, creating one may run finalizers, during which other threads may run. */
int bp_queue(struct bp_thread *t, PyObject *reason)
{
    struct bp_queued *q = PyMem_RawMalloc(sizeof *q);
    if (!q)
        return (void)PyErr_NoMemory(), -1;
    *q = (struct bp_queued){NULL, Py_NewRef(reason)};
    if (t->queue.first)
        t->queue.last->next = q;
    else
        t->queue.first = q;
    t->queue.last = q;
    return 0;
}

static PyObject *take_queued(struct bp_thread *t)
{
    struct bp_queued *q = t->queue.first;
    PyObject *reason = q->reason;
    t->queue.first = q->next;
    PyMem_RawFree(q);
    return reason;
}

void bp_post_queued(struct bp_thread *t)
{
    while (t->queue.first) {
        PyObject *reason = take_queued(t);
        const char *text = reason == Py_None ? NULL : PyUnicode_AsUTF8(reason);
        if (!text)
            PyErr_Clear();
        bough_interrupt(t->handle, text);
        Py_DECREF(reason);
    }
    if (t->exc.posted)
        bp_post_exception(t);
}

void bp_queued_drop(struct bp_thread *t)
{
    while (t->queue.first)
        Py_DECREF(take_queued(t));
}

/* SPDX-License-Identifier: MIT */
/* The interrupts of a thread that runs an event loop: functions for _loops.py. */
#include "base/base.h"
#include "thread/thread.h"
#include "calls/calls.h"
#include "regions/regions.h"
#include "raise/raise.h"
#include "api/module.h"

static PyObject *event_fd(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    int fd = bp_self() ? bough_event_fd() : -1;
    if (fd >= 0)
        return PyLong_FromLong(fd);
    return PyErr_Occurred() ? NULL : bp_error("cannot create this thread's event descriptor");
}

static bool was_raised_lately(const struct bp_thread *t, const struct bough_record *why)
{
    return bough_now() < bp_raised_until(t, why);
}

/* Is an exception posted by raise_exc() admitted here? bough_reason() may not return its record, but one further in,
 * of a kind that does not end this thread's calls. */
static bool is_posted_and_admitted(const struct bp_thread *t)
{
    return t->exc.posted && (t->kinds & BP_EXCEPTION_ONLY) && bough_foreign() && bp_admits(t);
}

static PyObject *take_due(PyObject *module, PyObject *none)
{
    struct bp_thread *t = bp_self();
    struct bough_record why;
    (void)module, (void)none;
    if (!t)
        return NULL;
    if (is_posted_and_admitted(t)) {
        why = (struct bough_record){.kind = BOUGH_EXCEPTION};
        return bp_exception_for(t, &why);
    }
    bool ends_calls = bough_foreign() && bough_reason(&why) == 0 && (t->kinds & 1u << why.kind) != 0;
    if (!ends_calls || was_raised_lately(t, &why) || bp_check(t) == 0)
        Py_RETURN_NONE;
    return bp_taken_exception();
}

PyMethodDef bp_loop_methods[] = {
    {"event_fd", event_fd, METH_NOARGS,
     PyDoc_STR(
         "event_fd(): a descriptor that is readable while an interrupt is due for the calling thread. It belongs to the "
         "library: do not read or close it.")},
    {"take_due", take_due, METH_NOARGS,
     PyDoc_STR(
         "take_due(): the exception that check_interrupt() would raise, if the interrupt ends the calling thread's "
         "blocking calls and was not raised in the last 5 s. Else None.")},
    {0},
};

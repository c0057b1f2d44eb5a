/* SPDX-License-Identifier: MIT */
/*
 * In 3.11 a thread's trace function reports each instruction of marked frames: to watch.c, for the places of
 * interrupted calls, and to monitor.c, for exceptions that wait to be raised. bough sets its trace function only while
 * one of these files needs it.
 *
 * A trace function that was set before (by a debugger or a coverage tool) is still called. If there is one, frames are
 * not marked for an exception, because that function would get unexpected events after bough's is removed. Then only
 * the starts of lines are checked.
 */
#include "thread/thread.h"
#include "calls/calls.h"
#include "calls/cause.h"
#include "upcalls.h"

#if PY_VERSION_HEX < 0x030C0000

#define Py_BUILD_CORE_MODULE 1
#include <internal/pycore_frame.h>

static int trace_function(PyObject *self, PyFrameObject *frame, int what, PyObject *arg);

static bool is_trace_wanted(const struct bp_thread *t)
{
    return t->monitor.awaited || bp_watch_is_on(t);
}

/* Called by any thread: thread `t` is traced as soon as it has the GIL again. */
void bp_trace(struct bp_thread *t)
{
    PyThreadState *ts = t->tstate;
    if (ts->c_tracefunc == trace_function)
        return;
    t->monitor.traced_before = ts->c_tracefunc;
    ts->c_tracefunc = trace_function;
    ts->cframe->use_tracing = 255;
}

/* Restores the former trace function, unless a debugger has set one meanwhile. */
void bp_trace_if_wanted(struct bp_thread *t)
{
    PyThreadState *ts = t->tstate;
    if (ts->c_tracefunc != trace_function || is_trace_wanted(t))
        return;
    ts->c_tracefunc = t->monitor.traced_before;
    t->monitor.traced_before = NULL;
    ts->cframe->use_tracing = ts->c_tracefunc || ts->c_profilefunc ? 255 : 0;
}

static void mark(PyFrameObject *frame, bool on)
{
    if (on || !bp_watch_is_of(frame))
        frame->f_trace_opcodes = on;
}

void bp_trace_mark(PyFrameObject *frame)
{
    frame->f_trace_opcodes = bp_watch_is_of(frame);
}

/* Marks all of a thread's frames, from this one outwards. Consumes the reference `frame`. */
static void mark_all(PyFrameObject *frame, bool on)
{
    int collects = PyGC_Disable();
    while (frame) {
        PyFrameObject *outer = PyFrame_GetBack(frame);
        mark(frame, on);
        Py_DECREF(frame);
        frame = outer;
    }
    if (collects)
        PyGC_Enable();
}

void bp_trace_frames(struct bp_thread *t)
{
    bp_trace(t);
    if (!t->monitor.traced_before)
        mark_all(bp_thread_frame(t), true);
}

static int await_in(const struct bp_thread *t, PyFrameObject *frame, int what)
{
    if (!t->monitor.traced_before)
        mark(frame, what != PyTrace_RETURN); /* a suspended generator's frame stays unmarked */
    return what == PyTrace_OPCODE || (what == PyTrace_LINE && t->monitor.traced_before) ? bp_monitor_step() : 0;
}

static void watch_in(PyFrameObject *frame, int what, bool before)
{
    if (what == PyTrace_OPCODE)
        bp_watch_opcode(frame);
    else if (what == PyTrace_RETURN)
        bp_watch_return(frame);
    if (!before)
        bp_trace_mark(frame);
}

static int trace_function(PyObject *self, PyFrameObject *frame, int what, PyObject *arg)
{
    struct bp_thread *t = bp_thread_known();
    if (!t)
        return 0;
    Py_tracefunc before = t->monitor.traced_before;
    bool watched = bp_watch_is_of(frame);
    if (watched)
        watch_in(frame, what, before != NULL);
    if (before && !(watched && what == PyTrace_OPCODE) && before(self, frame, what, arg) != 0)
        return -1;
    if (t->monitor.awaited)
        return await_in(t, frame, what);
    if (!before && !is_trace_wanted(t))
        mark_all((PyFrameObject *)Py_NewRef((PyObject *)frame), false);
    bp_trace_if_wanted(t);
    return 0;
}

/* Nothing to do: the trace function itself checks whether it is needed. */
void bp_watch_code(PyCodeObject *code)
{
    (void)code;
}

void bp_watch_end(const struct bp_site *s)
{
    bp_trace_mark(s->frame);
    if (bp_me == s->thread)
        bp_trace_if_wanted(s->thread);
}

#endif

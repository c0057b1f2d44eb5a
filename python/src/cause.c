/* SPDX-License-Identifier: MIT */
/*
 * Errors that an interrupt has caused (rules 26 to 28).
 *
 * A client library answers an interrupted call with its own exception: psycopg2.OperationalError, pycurl.error. Where that
 * leaves a child, a work item, a thread's run() or a branch block it is to count as the interrupt, and a real error is to
 * stay one. What tells them apart is the place:
 *
 *      on_interrupted()            the call is interrupted, without the interpreter lock: unplaced = true
 *      PyEval_RestoreThread()      ...called by the extension module, which has the lock again: the frame and its
 *        |                         instruction are noted, a `bp_site` (site.c). If the module never gave the lock away,
 *        |                         on_interrupted() does that itself
 *      the error                   passes this frame at this instruction: its traceback says so
 *      the instruction succeeds    the site is dropped (watch.c)
 *      the frame is freed          the same, so no later frame at the same address is taken for it
 *      the interrupt is cleared    the same
 *      the boundary                an error whose traceback, or that of one of its causes or contexts, passes a site
 *                                  becomes the interrupt's exception
 *
 * What was raised after a ThreadExit, by cleanup code, has a ThreadExit as its context: that is no such error (rule 26).
 */
#include "cause.h"

#include <errno.h>

enum { LINKS_MOST = 1000 };

/* ---- interrupts that are over ---------------------------------------------------------------------------------------- */

static bool is_of_thread(const struct bp_site *s, const void *thread)
{
    return s->thread == thread;
}

static bool is_of_target(const struct bp_site *s, const void *target)
{
    return (const void *)s->why.target == target;
}

void bp_cause_forget(struct bp_thread *t)
{
    t->unplaced = false;
    bp_sites_drop(is_of_thread, t);
}

void bp_cause_forget_target(bough_target target)
{
    bp_sites_drop(is_of_target, (const void *)target);
}

void bp_cause_forget_kind(const struct bp_thread *t, enum bough_kind kind)
{
    for (struct bp_site *s = bp_sites; s;)
        s = s->thread == t && s->why.kind == kind ? bp_site_drop(s) : s->next;
}

/* ---- a call was interrupted ----------------------------------------------------------------------------------------- */

static void add_and_watch(struct bp_thread *t, PyFrameObject *frame, int instruction, const struct bough_record *why)
{
    struct bp_site *s = bp_site_add(t, frame, instruction, why);
    if (s && frame)
        bp_watch_begin(s);
}

void bp_cause_here(struct bp_thread *t, const struct bough_record *why)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    int collects = PyGC_Disable(); /* up to 3.11 a new frame object may run finalizers: not in the middle of C code */
    PyFrameObject *frame = PyEval_GetFrame();
    if (collects)
        PyGC_Enable();
    add_and_watch(t, frame, frame ? PyFrame_GetLasti(frame) : 0, why);
    PyErr_Restore(type, value, trace);
}

void bp_cause_place(struct bp_thread *t)
{
    int saved = errno;
    t->unplaced = false;
    if (bp_is_nudge(t, &t->why))
        bp_nudge_for(t, &t->why);
    t->told_until = bough_after(BOUGH_DEFAULT_GRACE);
    if (PyThreadState_Get() == t->tstate && bp_is_cut_place(t))
        bp_cause_here(t, &t->why);
    errno = saved;
}

void bp_cause_cut(struct bp_thread *t)
{
    t->unplaced = true;
    if (PyGILState_Check())
        bp_cause_place(t);
}

/* The interrupt's exception is raised right here: no error of the call is to be expected. */
void bp_cause_raised(struct bp_thread *t)
{
    t->unplaced = false;
    if (!bp_sites || !bp_me || bp_me != t)
        return;
    struct bp_site *s = bp_site_here(t);
    if (s)
        bp_site_drop(s);
}

static const struct bough_record unknown = {.kind = BOUGH_KINDS};

static bool is_unknown(const struct bp_site *s)
{
    return s->why.kind == BOUGH_KINDS;
}

void bp_cause_maybe_here(struct bp_thread *t)
{
    bp_cause_here(t, &unknown);
}

/* Where a frame stands. */
struct spot {
    PyFrameObject *frame; /* owned */
    int instruction;
};

enum { SPOTS = 8 };

static void note_spot(struct spot *spot, PyFrameObject *frame)
{
    *spot = (struct spot){(PyFrameObject *)Py_NewRef((PyObject *)frame), PyFrame_GetLasti(frame)};
}

/* The thread's innermost frame, and those of the code of its blocks: the call that the callback ends may return, and the client
 * raise the server's answer somewhere else. No other thread runs meanwhile: up to 3.11 a new frame object may run finalizers,
 * and those let them. */
static int find_spots(const struct bp_thread *t, struct spot *spots)
{
    int collects = PyGC_Disable(), count = 0;
    PyFrameObject *frame = PyThreadState_GetFrame(t->tstate);
    while (frame && count < SPOTS) {
        if (count == 0 || bp_callback_is_of(t, frame))
            note_spot(&spots[count++], frame);
        PyFrameObject *outer = PyFrame_GetBack(frame);
        Py_DECREF(frame);
        frame = outer;
    }
    Py_XDECREF(frame);
    if (collects)
        PyGC_Enable();
    return count;
}

/* In 3.11 the code of a block is not watched: the thread's trace function would be called for all that the block calls. There it
 * counts until the frame has ended, also if it has succeeded and is executed again. */
static void add_spot(struct bp_thread *t, const struct spot *spot, bool innermost)
{
    if (innermost || PY_VERSION_HEX >= 0x030C0000)
        add_and_watch(t, spot->frame, spot->instruction, &unknown);
    else
        bp_site_add(t, spot->frame, spot->instruction, &unknown);
}

void bp_cause_running(struct bp_thread *t)
{
    struct spot spots[SPOTS];
    uint64_t id = t->id;
    int count = find_spots(t, spots);
    for (int i = 0; i < count; i++) {
        if (bp_thread_find(id) == t) /* it may have ended since, as soon as other threads run */
            add_spot(t, &spots[i], i == 0);
        Py_DECREF(spots[i].frame);
    }
}

void bp_cause_known(const struct bp_thread *t)
{
    struct bough_record why;
    bool pending = bough_reason(&why) == 0;
    for (struct bp_site *s = bp_sites; s;) {
        bool waits = s->thread == t && is_unknown(s);
        if (waits && pending)
            s->why = why;
        s = waits && !pending ? bp_site_drop(s) : s->next;
    }
}

/* ---- is it the interrupt's? ------------------------------------------------------------------------------------------ */

static bool is_exit(PyObject *exception)
{
    return bp.thread_exit && PyObject_TypeCheck(exception, (PyTypeObject *)bp.thread_exit);
}

bool bp_is_stop(PyObject *exception)
{
    if (is_exit(exception))
        return true;
    if (!PyObject_TypeCheck(exception, (PyTypeObject *)PyExc_SystemExit))
        return false;
    PyObject *terminates = PyObject_GetAttrString(exception, "_bough_terminates");
    bool yes = terminates && PyObject_IsTrue(terminates) > 0;
    PyErr_Clear();
    Py_XDECREF(terminates);
    return yes;
}

static const struct bp_site *passed_site(const struct bp_thread *t, PyObject *exception)
{
    PyObject *trace = PyException_GetTraceback(exception);
    const struct bp_site *s = NULL;
    while (trace && trace != Py_None && !s) {
        PyTracebackObject *tb = (PyTracebackObject *)trace;
        s = bp_site_find(t, tb->tb_frame, tb->tb_lasti);
        trace = Py_XNewRef((PyObject *)tb->tb_next);
        Py_DECREF(tb);
    }
    Py_XDECREF(trace);
    return s;
}

/* It comes out of a C function that a child or a work item was given, and has passed no frame yet. */
static bool comes_from_here(PyObject *exception)
{
    PyObject *trace = PyException_GetTraceback(exception);
    Py_XDECREF(trace);
    return !trace;
}

/* `pending` is the innermost record that is; another one that was not cleared is pending as well. */
static bool is_pending(const struct bough_record *why, const struct bough_record *pending)
{
    bool same = why->target == pending->target && why->kind == pending->kind;
    return why->kind == BOUGH_KINDS || !same || why->since == pending->since;
}

/* `raise ... from exit`: that code says itself what the cause is, as long as the exit's interrupt is the one that is
 * pending. */
static bool is_of_pending(PyObject *exit, const struct bough_record *why)
{
    PyObject *record = PyObject_GetAttrString(exit, "record"), *target = NULL, *since = NULL;
    if (record && record != Py_None) {
        target = PyObject_GetAttrString(record, "target");
        since = PyObject_GetAttrString(record, "since");
    }
    bool yes = target && since && PyLong_AsVoidPtr(target) == (const void *)why->target &&
               PyLong_AsLongLong(since) == why->since;
    PyErr_Clear();
    Py_XDECREF(target);
    Py_XDECREF(since);
    Py_XDECREF(record);
    return yes;
}

/* Steals `exception`, which may be NULL. */
static void remember(PyObject *list, PyObject *exception)
{
    bool known = !exception || PyList_GET_SIZE(list) >= LINKS_MOST;
    for (Py_ssize_t i = 0; !known && i < PyList_GET_SIZE(list); i++)
        known = PyList_GET_ITEM(list, i) == exception;
    if (!known && PyList_Append(list, exception) != 0)
        PyErr_Clear();
    Py_XDECREF(exception);
}

/* It, its causes and its contexts; not beyond an interrupt's exception that is only the context: what was raised while that
 * was handled is an error of the cleanup. `why` is the record that is pending, and becomes the one that is the cause. */
static bool is_caused(const struct bp_thread *t, PyObject *exception, struct bough_record *why)
{
    PyObject *list = PyList_New(0);
    bool yes = false;
    if (!list)
        return PyErr_Clear(), false;
    const struct bough_record pending = *why;
    remember(list, Py_NewRef(exception));
    for (Py_ssize_t i = 0; !yes && i < PyList_GET_SIZE(list); i++) {
        PyObject *one = PyList_GET_ITEM(list, i), *cause = PyException_GetCause(one);
        PyObject *context = PyException_GetContext(one);
        const struct bp_site *s = i == 0 && comes_from_here(one) ? bp_site_here(t) : passed_site(t, one);
        if (s && is_pending(&s->why, &pending))
            *why = is_unknown(s) ? pending : s->why, yes = true;
        yes |= cause && is_exit(cause) && is_of_pending(cause, &pending);
        if (context && (bp_is_stop(context) || bp_was_raised_here(t, context)))
            Py_CLEAR(context);
        if (cause && is_exit(cause))
            Py_CLEAR(cause);
        remember(list, cause);
        remember(list, context);
    }
    Py_DECREF(list);
    return yes;
}

enum verdict { A_FAILURE, A_STOP, CAUSED };

/* Errors become the interrupt's exception. A Ctrl-C, an exit or the close of a generator are no errors, even if they come
 * while one is handled. */
static bool is_error(PyObject *exception)
{
    return PyObject_TypeCheck(exception, (PyTypeObject *)PyExc_Exception);
}

/* A group is what all of its members are. */
static enum verdict judge(const struct bp_thread *t, PyObject *exception, struct bough_record *why)
{
    if (bp_is_stop(exception))
        return A_STOP;
    if (!PyObject_TypeCheck(exception, (PyTypeObject *)PyExc_BaseExceptionGroup))
        return is_error(exception) && is_caused(t, exception, why) ? CAUSED : A_FAILURE;
    PyObject *members = PyObject_GetAttrString(exception, "exceptions");
    enum verdict all = members && PyTuple_Check(members) ? A_STOP : A_FAILURE;
    for (Py_ssize_t i = 0; all != A_FAILURE && i < PyTuple_GET_SIZE(members); i++) {
        enum verdict one = judge(t, PyTuple_GET_ITEM(members, i), why);
        all = one == A_STOP ? all : one;
    }
    PyErr_Clear();
    Py_XDECREF(members);
    return all == A_FAILURE && is_error(exception) && is_caused(t, exception, why) ? CAUSED : all;
}

bool bp_is_caused(const struct bp_thread *t, PyObject *exception)
{
    struct bough_record why;
    return bough_reason(&why) == 0 && judge(t, exception, &why) == CAUSED;
}

PyObject *bp_as_interrupt(struct bp_thread *t, PyObject *exception)
{
    struct bough_record why;
    if (!t || bough_reason(&why) != 0 || judge(t, exception, &why) != CAUSED)
        return Py_NewRef(exception);
    t->cut = false; /* the error of the call has been made the interrupt's: no later one is */
    PyObject *interrupt = bp_exception_for(t, &why);
    if (!interrupt || interrupt == exception) {
        PyErr_Clear();
        Py_XDECREF(interrupt);
        return Py_NewRef(exception);
    }
    PyException_SetCause(interrupt, Py_NewRef(exception));
    return interrupt;
}

/* ---- methods ---------------------------------------------------------------------------------------------------------- */

static PyObject *as_interrupt(PyObject *module, PyObject *exception)
{
    (void)module;
    if (!PyExceptionInstance_Check(exception))
        return PyErr_Format(PyExc_TypeError, "expected an exception instance, got %R", exception), NULL;
    return bp_as_interrupt(bp_self(), exception);
}

PyMethodDef bp_cause_methods[] = {
    {"as_interrupt", as_interrupt, METH_O,
     PyDoc_STR("as_interrupt(exception): the interrupt's exception if it was caused by the one that is pending, with "
               "this one as its cause; else this one.")},
    {0},
};

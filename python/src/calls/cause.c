/* SPDX-License-Identifier: MIT */
/* The places of interrupted calls: recording and dropping them. judge.c explains their purpose. */
#include "thread/thread.h"
#include "calls/calls.h"
#include "calls/cause.h"

#include <errno.h>

/* ---- ended interrupts ------------------------------------------------------------------------------------ */

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
    t->cut.unplaced = false;
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

/* ---- a call was interrupted -------------------------------------------------------------------------------------- */

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
    int collects = PyGC_Disable(); /* up to 3.11 a new frame object may run finalizers, here in the middle of C code */
    PyFrameObject *frame = PyEval_GetFrame();
    if (collects)
        PyGC_Enable();
    add_and_watch(t, frame, frame ? PyFrame_GetLasti(frame) : 0, why);
    PyErr_Restore(type, value, trace);
}

void bp_cause_place(struct bp_thread *t)
{
    int saved = errno;
    t->cut.unplaced = false;
    if (bp_is_nudge(t, &t->cut.why))
        bp_nudge_for(t, &t->cut.why);
    t->grace.until = bough_after(BOUGH_DEFAULT_GRACE);
    if (PyThreadState_Get() == t->tstate && bp_is_cut_place(t))
        bp_cause_here(t, &t->cut.why);
    errno = saved;
}

void bp_cause_cut(struct bp_thread *t)
{
    t->cut.unplaced = true;
    if (PyGILState_Check())
        bp_cause_place(t);
}

/* The interrupt's exception is raised at this place, so the call will not raise an error. */
void bp_cause_raised(struct bp_thread *t)
{
    t->cut.unplaced = false;
    if (!bp_sites || !bp_me || bp_me != t)
        return;
    struct bp_site *s = bp_site_here(t);
    if (s)
        bp_site_drop(s);
}

static const struct bough_record unknown = {.kind = BOUGH_KINDS};

void bp_cause_maybe_here(struct bp_thread *t)
{
    bp_cause_here(t, &unknown);
}

/* A frame and its present instruction. */
struct spot {
    PyFrameObject *frame; /* owned */
    int instruction;
};

enum { SPOTS = 8 };

static void note_spot(struct spot *spot, PyFrameObject *frame)
{
    *spot = (struct spot){(PyFrameObject *)Py_NewRef((PyObject *)frame), PyFrame_GetLasti(frame)};
}

/* Finds the thread's innermost frame, and the frames of the code with its blocks: the call that the callback ends may
 * return, and the client library may raise the server's answer in an outer frame. No other thread runs meanwhile, so
 * collections are disabled: up to 3.11 a new frame object may run finalizers, which let other threads run. */
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

/* In 3.11 the code of a block is not watched, because the thread's trace function would be called for everything that
 * the block calls. There the place counts as interrupted until the frame has ended, even if the instruction
 * has succeeded and is executed again. */
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
        if (bp_thread_find(id) == t) /* the thread may have ended, if other threads have run */
            add_spot(t, &spots[i], i == 0);
        Py_DECREF(spots[i].frame);
    }
}

void bp_cause_known(const struct bp_thread *t)
{
    struct bough_record why;
    bool pending = bough_reason(&why) == 0;
    for (struct bp_site *s = bp_sites; s;) {
        bool waits = s->thread == t && bp_is_unknown(s);
        if (waits && pending)
            s->why = why;
        s = waits && !pending ? bp_site_drop(s) : s->next;
    }
}

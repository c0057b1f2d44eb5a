/* SPDX-License-Identifier: MIT */
/* Places where a call was interrupted, between the files that keep them (site.c), watch them (watch.c) and judge by
 * them (cause.c, judge.c, stand_in.c). */
#ifndef BP_CAUSE_H
#define BP_CAUSE_H

#include "base/state.h"

/* An instruction of a frame whose call was interrupted and has not succeeded since. The frame is not owned: the place
 * is dropped when the frame object is freed, so its address is compared and never reused (site.c, frame_dies()). */
struct bp_site {
    struct bp_site *next; /* of the process */
    struct bp_thread *thread;
    PyFrameObject *frame; /* NULL: a child's function is C, there is none */
    PyCodeObject *code;   /* the frame's */
    int first, last; /* the instruction's offset in bytes, as PyFrame_GetLasti() gives it: `first` with its prefixes */
    int handler;     /* where an exception in it leads to in this frame; -1: out of it */
    bool running;    /* the call has not ended yet */
    bool watched;
    bool dropped;   /* C code dropped the interrupt's exception in this call, and nothing has come of it yet */
    uint64_t order; /* its number among all places of the process, in the order in which they were made */
    struct bough_record why;
};

extern struct bp_site *bp_sites;

/* It waits for the record that a callback stands for (bp_cause_known()). */
static inline bool bp_is_unknown(const struct bp_site *s)
{
    return s->why.kind == BOUGH_KINDS;
}

/* ---- instructions.c and trace.c ----------------------------------------------------------------------- */

/* A frame of this code object has ended, with sites: is the code watched still? */
void bp_watch_code(PyCodeObject *code);
/* Of a site that is in the list no more. */
void bp_watch_end(const struct bp_site *s);
/* 3.11: the frame's instructions are reported if it has a site, else no more. */
void bp_trace_mark(PyFrameObject *frame);

/* ---- site.c ------------------------------------------------------------------------------------------- */

/* Both drop it, and may let other threads run. They return the next one to look at: the first, if the list has
 * changed. */
struct bp_site *bp_site_drop(struct bp_site *s);
struct bp_site *bp_site_succeeded(struct bp_site *s);
/* All that pass the test. */
void bp_sites_drop(bool (*test)(const struct bp_site *, const void *), const void *value);
/* The one with that `order`; NULL. */
struct bp_site *bp_site_with(uint64_t number);
struct bp_site *bp_site_find(const struct bp_thread *t, const PyFrameObject *frame, int instruction);
/* Where the calling thread's innermost Python code stands; NULL. */
struct bp_site *bp_site_here(const struct bp_thread *t);
/* A new one, in the place of one that is there already. NULL: there is no memory, or the thread has ended meanwhile. */
struct bp_site *bp_site_add(struct bp_thread *t, PyFrameObject *frame, int instruction, const struct bough_record *why);

/* ---- cause.c ------------------------------------------------------------------------------------------ */

/* By the thread itself: where its innermost Python code stands counts as interrupted, and is watched. */
void bp_cause_here(struct bp_thread *t, const struct bough_record *why);
/* The same for a call that begins, and that a callback at work may end. */
void bp_cause_maybe_here(struct bp_thread *t);
/* By the thread itself, which has the interpreter lock again: its call was interrupted, and its place not noted yet. */
void bp_cause_place(struct bp_thread *t);

/* ---- judge.c ------------------------------------------------------------------------------------------ */

/* A stop, as is_a_stop() of _child.py has it. */
bool bp_is_stop(PyObject *exception);

/* ---- watch.c ------------------------------------------------------------------------------------------ */

/* See each instruction that the site's frame executes from here on. Other threads may run, and drop the site. */
void bp_watch_begin(struct bp_site *s);

#endif

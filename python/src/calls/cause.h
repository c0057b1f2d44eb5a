/* SPDX-License-Identifier: MIT */
/* Places of interrupted calls: the interface between the files that store them (site.c), watch them (watch.c) and use
 * them (cause.c, judge.c, stand_in.c). */
#ifndef BP_CAUSE_H
#define BP_CAUSE_H

#include "base/state.h"

/* An instruction of a frame whose call was interrupted and has not succeeded since. The frame is not owned: the place
 * is dropped when the frame object is freed, so its address is compared and never reused (site.c, frame_dies()). */
struct bp_site {
    struct bp_site *next; /* of the process */
    struct bp_thread *thread;
    PyFrameObject *frame; /* NULL: there is none, because a child's function is C code */
    PyCodeObject *code;   /* the frame's */
    int first, last;      /* offsets in bytes, as of PyFrame_GetLasti(): of the instruction's first prefix, of itself */
    int handler;          /* the offset where this frame handles the instruction's exceptions; -1: it does not */
    bool running;         /* the call has not ended yet */
    bool watched;
    bool dropped;   /* C code dropped the interrupt's exception in this call, and no error was raised since */
    uint64_t order; /* its number among all places of the process, in the order in which they were made */
    struct bough_record why;
};

extern struct bp_site *bp_sites;

/* Is the place's record not known yet (bp_cause_known())? */
static inline bool bp_is_unknown(const struct bp_site *s)
{
    return s->why.kind == BOUGH_KINDS;
}

/* ---- instructions.c and trace.c ----------------------------------------------------------------------- */

/* A frame of this code object with sites has ended: stop watching the code if no other frame needs that. */
void bp_watch_code(PyCodeObject *code);
/* Stop watching for a site that was removed from the list. */
void bp_watch_end(const struct bp_site *s);
/* 3.11: report the frame's instructions if it has a site, else stop. */
void bp_trace_mark(PyFrameObject *frame);

/* ---- site.c ------------------------------------------------------------------------------------------- */

/* Both drop a site, and may let other threads run. They return the next site to examine: the first, if the list has
 * changed. */
struct bp_site *bp_site_drop(struct bp_site *s);
struct bp_site *bp_site_succeeded(struct bp_site *s);
/* Drop all sites that pass the test. */
void bp_sites_drop(bool (*test)(const struct bp_site *, const void *), const void *value);
/* The site with that `order`; NULL. */
struct bp_site *bp_site_with(uint64_t number);
struct bp_site *bp_site_find(const struct bp_thread *t, const PyFrameObject *frame, int instruction);
/* The site at the calling thread's present place; NULL. */
struct bp_site *bp_site_here(const struct bp_thread *t);
/* A new site, which replaces one at the same place. NULL: there is no memory, or the thread has ended meanwhile. */
struct bp_site *bp_site_add(struct bp_thread *t, PyFrameObject *frame, int instruction, const struct bough_record *why);

/* ---- cause.c ------------------------------------------------------------------------------------------ */

/* Called by the thread itself: its present place counts as interrupted, and is watched. */
void bp_cause_here(struct bp_thread *t, const struct bough_record *why);
/* As above, for a call that begins while a callback runs, which may end the call. */
void bp_cause_maybe_here(struct bp_thread *t);
/* Called by the thread itself, when it has the interpreter lock again: record the place of its interrupted call. */
void bp_cause_place(struct bp_thread *t);

/* ---- judge.c ------------------------------------------------------------------------------------------ */

/* Is the exception a stop, as in is_a_stop() of _child.py? */
bool bp_is_stop(PyObject *exception);

/* ---- watch.c ------------------------------------------------------------------------------------------ */

/* Watch each instruction that the site's frame executes from here on. Other threads may run, and drop the site. */
void bp_watch_begin(struct bp_site *s);

#endif

/* SPDX-License-Identifier: MIT */
/* Places where a call was interrupted, between the files that keep them (cause.c) and watch them (watch.c). */
#ifndef BP_CAUSE_H
#define BP_CAUSE_H

#include "state.h"

/* An instruction of a frame whose call was interrupted and has not succeeded since. The frame is not owned: the place is
 * dropped when the frame object is freed, so its address is compared and never reused (cause.c, frame_dies()). */
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
    uint64_t order; /* of the places of the process */
    struct bough_record why;
};

extern struct bp_site *bp_sites;

void bp_site_drop(struct bp_site *s);
/* Its call has returned, which drops it. */
void bp_site_succeeded(struct bp_site *s);

/* ---- watch.c ------------------------------------------------------------------------------------------ */

/* See each instruction that the site's frame executes from here on. */
void bp_watch_begin(struct bp_site *s);
void bp_watch_end(struct bp_site *s);

#endif

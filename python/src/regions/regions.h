/* SPDX-License-Identifier: MIT */
/* Regions, handlers and signals. */
#ifndef BP_REGIONS_H
#define BP_REGIONS_H

#include "base/state.h"

/* An open region; a thread's list has the innermost first. It contains the library's region, and is on the heap, where
 * `with` blocks can find it. */
struct bp_region {
    struct bough_region region;
    struct bp_region *outer;
    int kind;           /* enum bp_region_kind */
    bough_time entered; /* of a critical section */
    int64_t budget;
    unsigned kinds_before; /* of a region that opts in */
    bool stays;            /* it lasts until its thread ends, even if other regions are entered and left meanwhile */
    PyObject *callable;    /* of a handler */
};

enum bp_region_kind { BP_CRITICAL = 1, BP_CLEANUP, BP_ALLOW, BP_TAKES_PART, BP_HANDLER };

/* ---- signals.c ------------------------------------------------------------------------------------------------ */

/* Called in main: the signal whose interrupt is pending and was not cleared; 0: none. */
int bp_unhandled_signal(void);

/* ---- regions.c ------------------------------------------------------------------------------------------------ */

int bp_regions_init(PyObject *module);
/* Would the levels admit an interrupt here? */
bool bp_admits(const struct bp_thread *t);
/* End the innermost region if it is of this kind; -1 with RuntimeError. */
int bp_region_end(struct bp_thread *t, int kind);
/* Begin a region in which all interrupts end blocking calls. */
int bp_taking_part_begin(struct bp_thread *t);
int bp_critical_begin(struct bp_thread *t);
/* Begin a handler's region (ladder.c). Returns the library's result. */
int bp_handler_enter(struct bp_region *r, PyObject *callable, unsigned flags, const char *file, int line);
/* The calling thread ends: end the regions that last until then. */
void bp_regions_forget(struct bp_thread *t);
struct bp_region *bp_region_new(struct bp_thread *t, int kind);
/* Free a region that was not begun or has ended. */
void bp_region_free(struct bp_thread *t, struct bp_region *r);

/* End all regions of the calling thread but the outermost `keep`. Returns how many were ended. */
long bp_leave_open(struct bp_thread *t, long keep);

#endif

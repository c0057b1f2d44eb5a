/* SPDX-License-Identifier: MIT */
/* A branch, between the files that open and end it (branch.c), run its children (child.c) and make `with` of it (with.c). */
#ifndef BP_BRANCH_H
#define BP_BRANCH_H

#include "state.h"

#include <sys/types.h>

struct bp_branch {
    bough_branch *handle;
    struct bp_thread *owner;
    struct bp_region *around; /* the innermost one that was open before it */
    pid_t pid;                /* after a fork its children are not here */
    bool ended, interrupted;  /* by branch_end(), whose result is kept */
    int result;
    _Atomic int users; /* the branch itself and its children */
    _Atomic uint32_t running;
};

/* ---- branch.c ----------------------------------------------------------------------------------------- */

struct bp_branch *bp_branch_of(PyObject *capsule);
/* Interrupts and joins the children, and closes the branch, whatever state Python's object is in. 0, or -1 with an exception. By the
 * owner. */
int bp_branch_end_anyway(PyObject *capsule);
/* One user less. */
void bp_branch_release(struct bp_branch *b);
/* In this process: after a fork the parent's children are not here. */
void bp_branch_here(struct bp_branch *b);

#endif

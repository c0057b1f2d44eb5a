/* SPDX-License-Identifier: MIT */
/* Drops all data that the package keeps of a thread, at the thread's end. The files that keep such data are above
 * thread.c, so thread.c calls these functions as upcalls. */
#include "thread/thread.h"
#include "calls/calls.h"
#include "regions/regions.h"
#include "async/async.h"
#include "branch/branch.h"
#include "upcalls.h"

void bp_thread_leaves(struct bp_thread *t)
{
    bp_regions_forget(t);
    bough_foreign_set(NULL);
}

/* If a thread did not end by itself (a daemon at the interpreter's end, any other thread after a fork), it may still be
 * in a call whose interruption reads its entry: so the entry's memory is not freed. */
void bp_thread_ends(struct bp_thread *t)
{
    bool by_itself = bp_me == t || !t->begun || t->late;
    bp_entry_remove(t);
    bp.changes++;
    bp_async_exc_forget(t);
    bp_cause_forget(t);
    bp_callbacks_forget(t);
    bp_branches_forget(t);
    if (t->handle && !t->begun)
        bough_release_thread(t->handle); /* fails if C code of the thread has used bough, which is harmless */
    if (bp_me == t)
        bp_me = NULL;
    Py_CLEAR(t->exc.posted);
    Py_CLEAR(t->exc.final);
    bp_queued_drop(t);
    Py_CLEAR(t->due.callable);
    Py_CLEAR(t->fork.left_behind);
    Py_CLEAR(t->child);
    if (by_itself) {
        PyMem_RawFree(t->exc.lately);
        PyMem_RawFree(t->regions.spare);
        PyMem_RawFree(t);
    }
}

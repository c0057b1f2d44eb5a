/* SPDX-License-Identifier: MIT */
/* A thread's end: all that the package keeps with the thread is forgotten. The files that keep something are above
 * thread.c, so thread.c calls this by upcalls.h. */
#include "branch/branch.h"
#include "upcalls.h"

void bp_thread_leaves(struct bp_thread *t)
{
    bp_regions_forget(t);
    bough_foreign_set(NULL);
}

/* A thread that did not end itself (a daemon at the interpreter's end, all others after a fork) may be in a call that
 * is cut yet, and look at its entry then: that memory stays. */
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
        bough_release_thread(t->handle); /* fails where C code of the thread has used bough: its own affair */
    if (bp_me == t)
        bp_me = NULL;
    Py_CLEAR(t->exception);
    Py_CLEAR(t->final);
    bp_queued_drop(t);
    Py_CLEAR(t->on_due);
    Py_CLEAR(t->left_behind);
    Py_CLEAR(t->child);
    if (by_itself) {
        PyMem_RawFree(t->raised_lately);
        PyMem_RawFree(t->spare);
        PyMem_RawFree(t);
    }
}

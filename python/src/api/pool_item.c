/* SPDX-License-Identifier: MIT */
/*
 * Runs the work items of pools. An item is one call on a worker, which continues after the call.
 *
 * Each item runs in a separate branch, on the worker's thread. Cancelling the item interrupts that branch, so the
 * interrupt never stays with the worker (rule 45). A branch's handle is valid for one branch only, so a late cancel has
 * no effect.
 */
#include "base/base.h"
#include "calls/calls.h"
#include "regions/regions.h"
#include "raise/raise.h"
#include "api/pool_item.h"

#include <errno.h>

/* Drops interrupts that were posted to the worker between two items, or too late for the last item. */
static void drop_late_interrupts(struct bp_thread *t)
{
    bp_drop_posted(t);
    bough_clear(NULL);
    bp_cause_forget(t);
    t->cut.is_set = t->exc.raised = false;
}

struct bp_item bp_item_begin(struct bp_thread *t, const char *name)
{
    const struct bough_branch_options options = {.label = name};
    drop_late_interrupts(t);
    return (struct bp_item){t, bough_branch_open(&options), t->regions.innermost};
}

void bp_item_failed(struct bp_thread *t)
{
    PyObject *exception = bp_taken_exception();
    PyObject *interrupt = bp_as_interrupt(t, exception);
    PyErr_SetObject((PyObject *)Py_TYPE(interrupt), interrupt);
    Py_DECREF(interrupt);
    Py_DECREF(exception);
}

/* The branch has no children, so its end waits for a poster at most. Without a pending interrupt, the GIL is kept,
 * because releasing it would cost the worker its turn after each item. */
static void end_branch(bough_branch *branch)
{
    struct bough_record why;
    if (bough_reason(&why) != 0) {
        bough_branch_end(branch);
        bough_last(); /* drops the failures, which the future reports */
        return;
    }
    Py_BEGIN_ALLOW_THREADS
    bough_branch_end(branch);
    bough_last();
    Py_END_ALLOW_THREADS
}

/* The exception that is set stays. */
void bp_item_end(const struct bp_item *i)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    while (i->thread->regions.innermost && i->thread->regions.innermost != i->around)
        if (bp_region_end(i->thread, i->thread->regions.innermost->kind) != 0) {
            PyErr_Clear();
            break;
        }
    if (i->branch)
        end_branch(i->branch);
    drop_late_interrupts(i->thread);
    PyErr_Restore(type, value, trace);
}

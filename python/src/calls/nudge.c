/* SPDX-License-Identifier: MIT */
/*
 * A nudge interrupts a thread's calls again after the deadlines of its callbacks have passed, or a callback has failed.
 * It is a record of raise_exc()'s kind without an exception (on_interrupt.c).
 */
#include "calls/callback.h"
#include "calls/calls.h"

void bp_callbacks_follow(struct bp_thread *t)
{
    if (bp_set_kinds(t, t->kinds) != 0)
        PyErr_Clear(); /* only invalid arguments could make bp_set_kinds() fail */
}

void bp_nudge_arrives(struct bp_thread *t)
{
    if (!t->callbacks.nudged)
        return;
    t->callbacks.nudged = false;
    if (!t->exc.posted)
        bough_clear_kind(NULL, BOUGH_EXCEPTION);
    bp_callbacks_follow(t);
}

bool bp_is_nudge(const struct bp_thread *t, const struct bough_record *why)
{
    return why->kind == BOUGH_EXCEPTION && !t->exc.posted;
}

/* Finds the record that the nudge is for, and marks it as delivered, so that a branch sees that its deadline has ended
 * a call. */
void bp_nudge_for(struct bp_thread *t, struct bough_record *why)
{
    bp_nudge_arrives(t);
    (void)bough_check();
    (void)bough_reason(why);
}

/* SPDX-License-Identifier: MIT */
/* The blocks of on_interrupt() that a thread has open (on_interrupt.c). */
#include "calls/callback.h"
#include "calls/calls.h"

struct bp_callback *bp_callback_of(const struct bp_thread *t, uint64_t id)
{
    struct bp_callback *c = t ? t->callbacks.innermost : NULL;
    while (c && c->id != id)
        c = c->outer;
    return c;
}

bool bp_callbacks_end_calls(const struct bp_thread *t)
{
    const struct bp_callback *c = t->callbacks.innermost;
    while (c && c->late)
        c = c->outer;
    return c != NULL;
}

bool bp_callback_runs(const struct bp_thread *t)
{
    const struct bp_callback *c = t->callbacks.innermost;
    while (c && !c->running)
        c = c->outer;
    return c != NULL;
}

bool bp_callback_is_of(const struct bp_thread *t, const PyFrameObject *frame)
{
    const struct bp_callback *c = t->callbacks.innermost;
    while (c && c->frame != frame)
        c = c->outer;
    return c != NULL;
}

void bp_callbacks_forget(struct bp_thread *t)
{
    while (t->callbacks.innermost) {
        struct bp_callback *c = t->callbacks.innermost;
        t->callbacks.innermost = c->outer;
        PyMem_RawFree(c);
    }
}

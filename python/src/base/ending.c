/* SPDX-License-Identifier: MIT */
/*
 * The interpreter ends, and other threads run on: daemons, and the library's own. They get no interpreter lock any more, and
 * the thread states of the daemons are freed while these are in their blocking calls. An interrupted call looks at the thread state
 * of its thread without the lock (interpose.c), so the end waits for the looks that have begun, and there are no others from then on.
 */
#include "base/state.h"

#include <sched.h>

static bool ending;
static int looks;

bool bp_is_ending(void)
{
    return __atomic_load_n(&ending, __ATOMIC_SEQ_CST);
}

/* Sequentially consistent, as in bp_end(): one of both sees the other's. */
bool bp_look_begins(void)
{
    __atomic_add_fetch(&looks, 1, __ATOMIC_SEQ_CST);
    if (!bp_is_ending())
        return true;
    bp_look_ends();
    return false;
}

void bp_look_ends(void)
{
    __atomic_sub_fetch(&looks, 1, __ATOMIC_SEQ_CST);
}

/* A look takes microseconds and waits for nothing. If one has stood still for a second, then by a debugger. */
void bp_end(void)
{
    __atomic_store_n(&ending, true, __ATOMIC_SEQ_CST);
    bough_time until = bough_now() + 1000000000;
    while (__atomic_load_n(&looks, __ATOMIC_SEQ_CST) > 0 && bough_now() < until)
        sched_yield();
}

void bp_looks_after_fork(void)
{
    __atomic_store_n(&looks, 0, __ATOMIC_SEQ_CST);
}

/* SPDX-License-Identifier: MIT */
/* Branches in a forked child: the forking thread still has them open, but their children exist in the parent only. */
#include <string.h>
#include "base/futex.h"
#include "branch/child.h"
#include "branch/branch_state.h"
#include "branch/end.h"
#include "branch/result.h"
#include "branch/worker.h"
#include "state/arena.h"
#include "upcalls.h"
#include "wake/ticker.h"

/* The parent's threads may have been in the middle of operations on these lists, which are therefore not read, freed or
 * reported here. */
static void forget_branch_state(struct bo_branch_state *state)
{
    bo_store_relaxed(&state->lock.state, 0);
    state->has_leaver = state->cut = false;
    state->children = NULL;
    state->last_child = &state->children;
    state->failures = NULL;
    state->last_failure = &state->failures;
    state->failure_count = 0;
    state->code = 0;
    memset(&state->tally, 0, sizeof state->tally);
}

/* Interrupts of the branch were meant for the parent, so its records are closed. Its deadline stays, because the code
 * in the branch has set it. */
static void forget_branch(struct bo_branch *b)
{
    bo_store_relaxed(&b->live, 0);
    bo_records_forget(&b->t);
    bo_store_relaxed(&b->t.due, 0);
    forget_branch_state(b->state);
    bo_ticker_deadline(b);
}

/* The children of the branches on this stack live in the parent only: there is no thread to join here. */
void bo_branches_forked(struct bo_thread *self, struct bo_worker *worker, bool lost)
{
    bo_workers_after_fork(worker);
    bo_ending_after_fork();
    bo_branches_lost = lost;
    if (worker)
        bo_child_after_fork(worker->child);
    uint32_t index = self ? bo_load_relaxed(&self->top) : BO_NONE;
    for (; index != BO_NONE && index != BO_ROOT; index = bo_load_relaxed(&bo_branch_at(index)->outer))
        forget_branch(bo_branch_at(index));
}

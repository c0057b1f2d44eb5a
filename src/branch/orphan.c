/* SPDX-License-Identifier: MIT */
/* Branches whose thread was lost. The last child to leave such a branch ends it. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include "branch/end.h"
#include "branch/failure.h"
#include "branch/branch_state.h"
#include "branch/result.h"
#include "state/arena.h"
#include "state/current.h"
#include "state/generation.h"
#include "state/log.h"
#include "state/tree.h"
#include "upcalls.h"
#include "wake/post.h"

/* Joins the leaver, unless the leaver is the calling thread, which ends the branch. */
static void await_leaver(const struct bo_branch_state *state)
{
    if (state->has_leaver && pthread_equal(state->leaver, pthread_self()))
        pthread_detach(state->leaver);
    else if (state->has_leaver)
        bo_branch_state_join_leaver(state);
}

static void report_orphan(const char *label, const bough_error *tree)
{
    unsigned depth = 0;
    for (const bough_error *e = tree; e; e = bo_failure_next(tree, e, &depth))
        bo_report("branch %s, whose thread was lost, ended with a failure that no thread can read: %s: %s%s%s", label,
                  e->who, strerror(e->code), *e->message ? ": " : "", e->message);
}

/* The orphan's failure becomes a failure of the branch around it. The root has no state, because no thread can read its
 * result. */
static void hand_over(struct bo_branch *outer, const char *label, int code, struct bo_failure *f)
{
    struct bo_branch_state *state = outer->state;
    if (!code || !state) {
        if (code && f)
            report_orphan(label, &f->face);
        bo_failure_free(f);
        return;
    }
    bo_lock(&state->lock);
    bo_branch_state_failed(state, code, f, false);
    bo_unlock(&state->lock);
    struct bough_event event = {.kind = BOUGH_SIBLING, .reason = "a branch whose thread was lost has failed"};
    if (!state->supervisor)
        bo_post(bo_branch_handle(outer), &event, NULL);
}

void bo_branch_end_orphan(struct bo_branch *b)
{
    struct bo_branch_state *state = b->state;
    struct bo_branch *outer = bo_branch_at(bo_load_relaxed(&b->outer));
    char label[BO_NAME];
    await_leaver(state);
    bo_branch_state_run_at_end(state);
    bo_store_seq(&b->deadline, BO_FOREVER);
    memcpy(label, b->t.name, sizeof label);
    bo_store_relaxed(&b->shield.seq, 0);
    bo_generation_end(&b->t, BOUGH_POST_LOST);
    b->state = NULL;
    bo_branch_free(b);
    hand_over(outer, label, state->code, bo_ending_of_orphan(state));
    bo_branch_state_free(state);
    if (outer->t.index != BO_ROOT)
        bo_child_gone(bo_branch_handle(outer));
}

void bo_child_gone(uint64_t branch)
{
    struct bo_branch *b = bo_branch_at(bo_handle_index(branch));
    uint32_t live = bo_sub_seq(&b->live, 1);
    if (live == (BO_ORPHANED | 1))
        bo_branch_end_orphan(b);
    else if (live == 1 && bo_load_seq(&b->waiters))
        bo_futex_wake(&b->live, 1);
}

/* From here on the last thread that leaves the branch ends it; this thread counts as a member until the children are
 * notified. */
static void orphan(struct bo_branch *b, struct bo_branch *outer)
{
    static const struct bough_event lost = {.kind = BOUGH_SIBLING, .reason = "the branch's thread was lost"};
    if (outer->t.index != BO_ROOT)
        bo_add_seq(&outer->live, 1);
    bo_store_seq(&b->owner, BO_NONE);
    bo_add_seq(&b->live, BO_ORPHANED + 1);
    bo_post(bo_branch_handle(b), &lost, NULL);
    bo_child_gone(bo_branch_handle(b));
}

/* The innermost branch is made an orphan first: so each branch is counted in the branch around it before that ends. */
void bo_branch_orphan(struct bo_thread *t)
{
    uint32_t index = bo_load_relaxed(&t->top);
    bo_store_seq(&t->top, BO_NONE);
    while (index != BO_NONE && bo_load_relaxed(&bo_branch_at(index)->owner) == t->t.index) {
        struct bo_branch *b = bo_branch_at(index);
        index = bo_load_relaxed(&b->outer);
        orphan(b, bo_branch_at(index));
    }
}

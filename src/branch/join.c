/* SPDX-License-Identifier: MIT */
/* How a child has ended, and waiting for its end. */
#include <errno.h>
#include <bough/branch.h>
#include <bough/interrupt.h>
#include "base/futex.h"
#include "branch/branch_state.h"
#include "state/arena.h"
#include "state/current.h"
#include "state/generation.h"
#include "thread/call.h"
static struct bo_child *find_child(struct bo_branch_state *state, uint64_t id)
{
    struct bo_child *c = state->children;
    while (c && c->id != id)
        c = c->next;
    return c;
}

static bool look_child_up(struct bo_branch_state *state, uint64_t id, int *outcome, int *result)
{
    bo_lock(&state->lock);
    const struct bo_child *c = find_child(state, id);
    if (c) {
        *outcome = (int)c->outcome;
        *result = c->result;
    }
    bo_unlock(&state->lock);
    return c != NULL;
}

int bough_outcome(const bough_thread *child, int *result)
{
    uint64_t id = (uint64_t)(uintptr_t)child;
    if (!bo_target_of(id) || bo_handle_is_branch(id))
        return errno = EINVAL, -1;
    const struct bo_thread *t = bo_self;
    uint32_t index = !t ? BO_NONE : bo_load_relaxed(&t->top) ? bo_load_relaxed(&t->top) : bo_load_relaxed(&t->parent);
    for (; index > BO_ROOT; index = bo_load_relaxed(&bo_branch_at(index)->outer)) {
        int outcome, value;
        if (!look_child_up(bo_branch_at(index)->state, id, &outcome, &value))
            continue;
        if (result && outcome != BOUGH_RUNNING)
            *result = value;
        return outcome;
    }
    return errno = ESRCH, -1;
}

/* A generation ends when the child has finished completely, its destructor included. */
static long wait_for_end(struct bo_thread *t, uint32_t generation)
{
    const _Atomic uint32_t *word = bo_generation_of(t);
    long r = 0;
    BO_YIELD_UNTIL(bo_word_generation(bo_load_seq(&t->t.word)) != generation);
    bo_add_seq(&t->t.join_waiters, 1);
    while (r != -BO_ECUT && bo_word_generation(bo_load_seq(&t->t.word)) == generation)
        r = bo_futex_wait(word, generation, BO_FOREVER);
    bo_sub_seq(&t->t.join_waiters, 1);
    return bo_word_generation(bo_load_seq(&t->t.word)) == generation ? r : 0;
}

/* The check for an interrupt comes first, so that the result does not depend on whether the child has ended already
 * (rule 2). */
int bough_join(const bough_thread *child)
{
    uint64_t id = (uint64_t)(uintptr_t)child;
    struct bo_target *t = bo_target_of(id);
    if (!t || bo_handle_is_branch(id))
        return errno = EINVAL, -1;
    bool ended = !bo_target_is(t, bo_handle_generation(id));
    if (!ended && bo_self && t == &bo_self->t)
        return errno = EDEADLK, -1;
    if (bough_check() != 0)
        return -1;
    return ended ? 0 : (int)bo_result(wait_for_end((struct bo_thread *)t, bo_handle_generation(id)));
}

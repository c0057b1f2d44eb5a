/* SPDX-License-Identifier: MIT */
/* Opening a branch, and its deadline. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "branch/end.h"
#include "arch/frame.h"
#include "base/plain.h"
#include "branch/failure.h"
#include "branch/branch_state.h"
#include "branch/result.h"
#include "state/arena.h"
#include "state/clock.h"
#include "state/current.h"
#include "state/reach.h"
#include "state/tree.h"
#include "thread/adopt.h"
#include "thread/level.h"
#include "trace/recorder.h"
#include "wake/post.h"
#include "wake/ticker.h"

static struct bo_branch_state *branch_state_new(const struct bough_branch_options *o)
{
    struct bo_branch_state *state = calloc(1, sizeof *state);
    struct bo_failure *spare = bo_failure_new(0, "there was no memory to keep its message and place", BO_NONE);
    struct bo_ending *ending = bo_ending_new();
    if (!state || !spare || !ending) {
        free(state);
        bo_failure_free(spare);
        bo_ending_free(ending);
        return NULL;
    }
    state->spare = spare;
    state->ending = ending;
    state->last_child = &state->children;
    state->last_failure = &state->failures;
    state->supervisor = o->supervisor != 0;
    state->collect = o->collect != 0;
    state->ending_before = bo_ending_count();
    return state;
}

static int64_t deadline_of(const struct bough_branch_options *o)
{
    int64_t deadline = o->deadline ? o->deadline : BO_FOREVER;
    int64_t timed = o->timeout ? bo_add_time(bo_now(), o->timeout) : BO_FOREVER;
    return deadline < timed ? deadline : timed;
}

static void set_label(struct bo_branch *b, const struct bough_branch_options *o)
{
    const char *label = o->label ? o->label : o->variable ? o->variable : "branch";
    size_t n = bo_cut(label, BO_NAME - 1);
    memcpy(b->t.name, label, n);
    b->t.name[n] = '\0';
    b->file = o->file;
    b->line = o->line;
}

/* A branch that is opened in a cleanup region is protected by that region (rule 20). */
static void inherit_shield(struct bo_branch *b, const struct bo_thread *t)
{
    uint64_t seq = bo_load_relaxed(&t->shield.seq);
    bo_suppress(&b->shield, seq, bo_load_relaxed(&t->shield.until), bo_load_relaxed(&t->shield.rung));
    if (seq)
        bo_ticker_look(&b->t);
}

/* The options of a block lie in the stack frame of the function that contains the block. */
static void note_block_frame(struct bo_thread *t, struct bo_branch_state *state, const struct bough_branch_options *o)
{
    uintptr_t place = (uintptr_t)o;
    if (!o->variable)
        return;
    bo_self_find_stack(t);
    if (place >= t->stack.low && place < t->stack.high)
        state->block_frame = place;
}

static void publish_branch(struct bo_branch *b, struct bo_thread *t)
{
    uint32_t top = bo_load_relaxed(&t->top);
    bo_store_relaxed(&b->owner, t->t.index);
    bo_branch_place(b, top != BO_NONE ? top : bo_load_relaxed(&t->parent));
    bo_store_relaxed(&b->live, 0);
    bo_store_relaxed(&b->waiters, 0);
    bo_store_relaxed(&b->deadline, BO_FOREVER); /* the 0 of a new slot would be a passed deadline for the ticker */
    uint32_t generation = bo_word_generation(bo_load_relaxed(&b->t.word));
    bo_word_put(&b->t.word, bo_word_make(generation, BO_LIVE), BO_BY_BRANCH);
    if (top == BO_NONE)
        bo_store_seq(&t->outermost, b->t.index);
    bo_store_seq(&t->top, b->t.index); /* before the first child: from here on posters to the thread scan the branch */
}

static void record_branch_begin(const struct bo_branch *b)
{
    uint32_t outer = bo_load_relaxed(&b->outer);
    if (bo_tracing())
        bo_trace_branch_begin(bo_branch_handle(b), outer > BO_ROOT ? bo_branch_handle(bo_branch_at(outer)) : 0, 0,
                              b->t.name);
}

static int set_branch_deadline(struct bo_branch *b, int64_t deadline)
{
    bo_store_seq(&b->deadline, deadline);
    if (deadline == BO_FOREVER)
        return 0;
    if (deadline > bo_now()) {
        bo_ticker_deadline(b);
        return 0;
    }
    struct bough_event passed = {.kind = BOUGH_TIMEOUT, .reason = "the deadline had passed already"};
    return bo_post(bo_branch_handle(b), &passed, NULL);
}

static bough_branch *open_branch(const struct bough_branch_options *o, uintptr_t sp)
{
    if (o->deadline < 0 || o->timeout < 0)
        return errno = EINVAL, NULL;
    struct bo_thread *t = bo_self_or_adopt();
    if (!t || bo_ticker_need() != 0)
        return NULL;
    bo_level_end_abandoned(t, sp);
    bo_branch_end_abandoned(t, sp);
    struct bo_branch *b = bo_branch_new();
    if (!b)
        return NULL;
    b->state = branch_state_new(o);
    if (!b->state) {
        bo_branch_free(b);
        return errno = ENOMEM, NULL;
    }
    b->state->was_cut = t->call.last_was_cut;
    t->call.last_was_cut = 0;
    set_label(b, o);
    note_block_frame(t, b->state, o);
    publish_branch(b, t);
    record_branch_begin(b);
    inherit_shield(b, t);
    set_branch_deadline(b, deadline_of(o));
    return (bough_branch *)(uintptr_t)bo_branch_handle(b);
}

bough_branch *bough_branch_open(const struct bough_branch_options *options)
{
    static const struct bough_branch_options none;
    const struct bough_branch_options *o = options ? options : &none;
    bo_busy_begin();
    bough_branch *branch = open_branch(o, BO_FRAME());
    bo_busy_end();
    if (!branch && o->variable)
        bo_ending_not_opened(o, errno); /* the block is skipped, so the NULL is never used */
    return branch;
}

int bough_set_deadline(bough_branch *branch, bough_time deadline)
{
    struct bo_branch *b = deadline < 0 ? (errno = EINVAL, NULL) : bo_branch_of_handle(branch);
    if (!b)
        return -1;
    if (!bo_self || bo_load_relaxed(&b->owner) != bo_self->t.index)
        return errno = EPERM, -1;
    return set_branch_deadline(b, deadline ? deadline : BO_FOREVER);
}

bough_time bough_deadline(void)
{
    int64_t deadline = bo_self ? bo_effective_deadline(bo_self) : BO_FOREVER;
    return deadline == BO_FOREVER ? 0 : deadline;
}

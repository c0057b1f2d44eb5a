/* SPDX-License-Identifier: MIT */
#include "state/reach.h"
#include "base/hook.h"

enum { GROUP = 512, PART = 8 };

_Static_assert(BO_THREADS / GROUP == 64 && GROUP / PART == 64, "a word has a bit for each group, and for each part");

static uint64_t group_bit(uint32_t thread)
{
    return (uint64_t)1 << thread / GROUP;
}

static uint64_t part_bit(uint32_t thread)
{
    return (uint64_t)1 << thread / PART % 64;
}

/* ---- whether a thread is below a target -------------------------------------------------------------------- */

/* If slots change during the walk, its result is discarded, but the walk must end: this is its limit. 32,768 branches
 * take 37 steps. */
enum { MOST_STEPS = 64 };

static uint32_t depth_of(uint32_t index)
{
    return bo_load_relaxed(&bo_branch_at(index)->depth);
}

static uint32_t jump_of(uint32_t index)
{
    return bo_load_relaxed(&bo_branch_at(index)->jump);
}

static void clear_reach(struct bo_reach *r)
{
    bo_store_relaxed(&r->groups, 0);
    bo_store_relaxed(&r->parts, 0);
}

/* If the next two jumps outwards are equally long, the new branch's jump spans both and one step more: so each chain
 * has jumps of all lengths. */
void bo_branch_place(struct bo_branch *b, uint32_t outer)
{
    uint32_t middle = jump_of(outer), end = jump_of(middle);
    bool alike = depth_of(outer) - depth_of(middle) == depth_of(middle) - depth_of(end);
    bo_store_relaxed(&b->outer, outer);
    bo_store_relaxed(&b->depth, depth_of(outer) + 1);
    bo_store_relaxed(&b->jump, alike ? end : outer);
    clear_reach(&b->reach);
    clear_reach(&b->sure);
    bo_store_relaxed(&b->ahead, 0);
}

/* The branch itself, or the branch around it, with this depth; NULL if there is none. */
static const struct bo_branch *ancestor(uint32_t index, uint32_t depth)
{
    for (int steps = 0; index != BO_NONE && steps < MOST_STEPS; steps++) {
        BO_HOOK(link_followed);
        const struct bo_branch *b = bo_branch_at(index);
        uint32_t here = bo_load_relaxed(&b->depth), jump = bo_load_relaxed(&b->jump);
        if (here <= depth)
            return here == depth ? b : NULL;
        index = depth_of(jump) >= depth ? jump : bo_load_relaxed(&b->outer);
    }
    return NULL;
}

/* A thread is below another thread if it is in the other's outermost branch. */
static bool below_thread(const struct bo_thread *t, const struct bo_thread *target)
{
    uint32_t parent = bo_load_relaxed(&target->parent);
    const struct bo_branch *b = ancestor(bo_load_relaxed(&t->parent), depth_of(parent) + 1);
    return b && bo_load_relaxed(&b->owner) == target->t.index;
}

bool bo_below(const struct bo_thread *t, const struct bo_target *target)
{
    if (!bo_is_branch(target))
        return target == &t->t || below_thread(t, (const struct bo_thread *)target);
    const struct bo_branch *b = (const struct bo_branch *)target;
    if (bo_load_relaxed(&b->owner) == t->t.index)
        return true;
    return ancestor(bo_load_relaxed(&t->parent), bo_load_relaxed(&b->depth)) == b;
}

/* ---- adding ------------------------------------------------------------------------------------------- */

static bool has(struct bo_reach *r, uint32_t thread)
{
    return (bo_load_seq(&r->groups) & group_bit(thread)) && (bo_load_seq(&r->parts) & part_bit(thread));
}

static void set_reach(struct bo_reach *r, uint32_t thread)
{
    if (has(r, thread))
        return;
    bo_or_seq(&r->groups, group_bit(thread));
    bo_or_seq(&r->parts, part_bit(thread));
}

static struct bo_branch *around(const struct bo_branch *b)
{
    return bo_branch_at(bo_load_relaxed(&b->outer));
}

/* The root needs no bits, because all threads are below it. In each branch a bit is set once, so the total work is
 * linear in the number of branches. */
void bo_reach_add(struct bo_branch *b, uint32_t thread)
{
    for (struct bo_branch *i = b; i->t.index != BO_ROOT && !has(&i->sure, thread); i = around(i)) {
        BO_HOOK(link_followed);
        set_reach(&i->reach, thread);
    }
    for (struct bo_branch *i = b; i->t.index != BO_ROOT && !has(&i->sure, thread); i = around(i)) {
        BO_HOOK(link_followed);
        set_reach(&i->sure, thread);
    }
}

/* ---- scanning ----------------------------------------------------------------------------------------- */

static void scan_branch(struct bo_scan *s, const struct bo_branch *b)
{
    bool all = b->t.index == BO_ROOT;
    s->groups = all ? ~(uint64_t)0 : bo_load_seq(&b->reach.groups);
    s->parts = all ? ~(uint64_t)0 : bo_load_seq(&b->reach.parts);
}

void bo_scan_alone(struct bo_scan *s, const struct bo_target *thread)
{
    *s = (struct bo_scan){.target = thread, .first = thread->index};
}

/* Threads below a thread are those in its outermost open branch. If that branch has ended meanwhile, there are none; a
 * branch that was opened since then was opened after the mark was made. */
void bo_scan_begin(struct bo_scan *s, const struct bo_target *target)
{
    *s = (struct bo_scan){.target = target, .next = 1};
    const struct bo_branch *b = (const struct bo_branch *)target;
    if (bo_is_branch(target)) {
        s->first = bo_load_seq(&b->owner);
        scan_branch(s, b);
    } else {
        uint32_t outermost = bo_load_seq(&((const struct bo_thread *)target)->outermost);
        s->first = target->index;
        if (outermost != BO_NONE)
            scan_branch(s, bo_branch_at(outermost));
    }
    s->high = bo_threads_used();
}

/* The next candidate slot; BO_NONE: there is no more. */
static uint32_t next_slot(struct bo_scan *s)
{
    if (!s->begun && s->first != BO_NONE)
        return s->begun = true, s->first;
    while (s->next < s->high) {
        uint32_t i = s->next;
        if (!(s->groups & group_bit(i)))
            s->next = i / GROUP * GROUP + GROUP;
        else if (!(s->parts & part_bit(i)))
            s->next = i / PART * PART + PART;
        else if (s->next++, i != s->first)
            return i;
    }
    return BO_NONE;
}

/* A slot that is reused during the scan is skipped: its adder sees the mark. */
struct bo_thread *bo_scan_next(struct bo_scan *s, uint64_t *word)
{
    for (uint32_t i; (i = next_slot(s)) != BO_NONE;) {
        struct bo_thread *t = bo_thread_at(i);
        BO_HOOK(slot_looked_at);
        *word = bo_load_seq(&t->t.word);
        if ((*word & BO_LIVE) && bo_below(t, s->target) && bo_target_is(&t->t, bo_word_generation(*word)))
            return t;
    }
    return NULL;
}

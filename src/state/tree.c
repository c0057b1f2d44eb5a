/* SPDX-License-Identifier: MIT */
#include "state/tree.h"
#include "base/hook.h"
#include "state/clock.h"
#include "state/current.h"

/* Suppresses records further out that are numbered up to `seq` (rule 20), unless their incident is at a rung above
 * `rung`. */
struct shield {
    uint64_t seq;
    uint8_t rung;
};

static const struct shield no_shield = {0, 0};

/* The shield, combined with another suppression. */
static struct shield shield_or(struct shield s, const struct bo_suppression *also)
{
    uint64_t seq = bo_load_seq(&also->seq);
    if (seq <= s.seq || bo_now() >= bo_load_relaxed(&also->until))
        return s;
    uint8_t rung = bo_load_relaxed(&also->rung);
    return (struct shield){seq, rung > s.rung ? rung : s.rung};
}

/* Whether the shield suppresses the record. */
static bool is_shielded(struct shield s, uint64_t seq, const struct bo_record *r)
{
    return seq <= s.seq && bo_load_relaxed(&r->rung) <= s.rung;
}

/* ---- the way out -------------------------------------------------------------------------------- */

/* The contents of a walk's note: the number of marks (48), the branch (16). */
_Static_assert(BO_BRANCHES <= 1 << 16, "a branch's index has 16 bits in a note");

void bo_tree_marked(void)
{
    bo_add_seq(&bo_arena.head->marks, 1);
}

/* A walk meets an owner's records when it leaves the owner's outermost branch. Returns the owner if `b` is that branch;
 * otherwise BO_NONE. */
static uint32_t owner_met_at(const struct bo_branch *b)
{
    uint32_t owner = bo_load_relaxed(&b->owner), outer = bo_load_relaxed(&b->outer);
    bool outermost = outer == BO_NONE || bo_load_relaxed(&bo_branch_at(outer)->owner) != owner;
    return outermost ? owner : BO_NONE;
}

static bool has_anything(const struct bo_branch *b)
{
    uint32_t owner = owner_met_at(b);
    return bo_load_seq(&b->t.due) || bo_load_relaxed(&b->shield.seq) || bo_load_acquire(&b->t.ladder.set) ||
           (owner != BO_NONE && bo_load_seq(&bo_thread_at(owner)->t.due));
}

static void leave_notes(uint32_t from, uint32_t to, uint64_t marks, uint32_t ahead)
{
    for (; from != to; from = bo_load_relaxed(&bo_branch_at(from)->outer))
        bo_store_relaxed(&bo_branch_at(from)->ahead, marks << 16 | ahead);
}

uint32_t bo_branch_ahead(uint32_t index, bool note)
{
    uint64_t marks = bo_load_seq(&bo_arena.head->marks);
    for (uint32_t i = index;;) {
        const struct bo_branch *b = bo_branch_at(i);
        uint64_t noted = bo_load_relaxed(&b->ahead);
        bool known = noted >> 16 == marks;
        uint32_t next = known ? (uint32_t)(noted & 0xffff) : bo_load_relaxed(&b->outer);
        BO_HOOK(link_followed);
        if (known || next == BO_NONE || has_anything(bo_branch_at(next))) {
            if (note)
                leave_notes(index, known ? i : next, marks, next);
            return next;
        }
        i = next;
    }
}

/* Called for each target on the way out; true stops the walk. `below`: the walk did not begin at the target, but below
 * it. */
typedef bool visit_fn(void *context, const struct bo_target *target, struct shield shield, bool below);

/* From a branch outwards to the root. */
static bool walk_out(uint32_t index, struct shield shield, visit_fn *visit, void *context, bool note)
{
    for (; index != BO_NONE; index = bo_branch_ahead(index, note)) {
        const struct bo_branch *b = bo_branch_at(index);
        if (visit(context, &b->t, shield, true))
            return true;
        shield = shield_or(shield, &b->shield);
        uint32_t owner = owner_met_at(b);
        if (owner != BO_NONE && visit(context, &bo_thread_at(owner)->t, shield, true))
            return true;
    }
    return false;
}

/* Walks outwards from a thread's innermost branch. Only a walk by the thread itself leaves notes, because its branches
 * do not change meanwhile. */
static bool walk(const struct bo_thread *t, struct shield shield, visit_fn *visit, void *context)
{
    bool mine = t == bo_self;
    shield = shield_or(shield_or(shield, &t->shield), &t->resumed);
    uint32_t index = bo_load_relaxed(&t->top);
    for (; index != BO_NONE; index = bo_branch_ahead(index, mine)) {
        const struct bo_branch *b = bo_branch_at(index);
        if (bo_load_relaxed(&b->owner) != t->t.index)
            break;
        if (visit(context, &b->t, shield, true))
            return true;
        shield = shield_or(shield, &b->shield);
    }
    if (visit(context, &t->t, shield, false))
        return true;
    return walk_out(bo_load_relaxed(&t->parent), shield, visit, context, mine);
}

/* ---- which record is due ------------------------------------------------------------------------ */

struct search {
    bool admitted;
    uint32_t kinds; /* a bit for each kind that is searched for; 0: all */
    uint64_t highest;
    struct bo_record *found;
};

/* If a target has records of several kinds, finds the record that was posted first, which is the reason. */
static bool find_record(void *context, const struct bo_target *target, struct shield shield, bool below)
{
    struct search *s = context;
    uint64_t first = UINT64_MAX;
    uint32_t counts = s->kinds ? s->kinds : UINT32_MAX;
    for (uint32_t due = bo_load_seq(&target->due) & counts; due; due &= due - 1) {
        struct bo_record *r = bo_record_of(target, (enum bough_kind)__builtin_ctz(due));
        if (!bo_record_stands(r))
            continue;
        /* Only a post to a thread can be for the thread alone; a post to a branch is for all threads in it. */
        if (below && !bo_is_branch(target) && (bo_record_flags(r) & BOUGH_ALONE))
            continue;
        uint64_t seq = bo_load_relaxed(&r->seq);
        if (s->admitted && is_shielded(shield, seq, r))
            continue;
        if (seq > s->highest)
            s->highest = seq;
        if (seq < first) {
            first = seq;
            s->found = r;
        }
    }
    return first != UINT64_MAX;
}

static bool find_highest(void *context, const struct bo_target *target, struct shield shield, bool below)
{
    find_record(context, target, shield, below);
    return false;
}

struct bo_record *bo_pending_record(const struct bo_thread *t, bool admitted)
{
    struct search s = {.admitted = admitted};
    return walk(t, no_shield, find_record, &s) ? s.found : NULL;
}

bool bo_pending_describe(const struct bo_thread *t, struct bough_record *record)
{
    const struct bo_record *r;
    while ((r = bo_pending_record(t, false))) {
        uint64_t state = bo_load_seq(&r->state);
        bo_record_describe(r, record);
        if (bo_record_is_of(r, state))
            return true;
    }
    return false;
}

struct bo_record *bo_pending_foreign(const struct bo_thread *t, const struct bo_suppression *suppressed)
{
    struct search s = {.admitted = true, .kinds = t->ways.kinds};
    return walk(t, shield_or(no_shield, suppressed), find_record, &s) ? s.found : NULL;
}

static uint64_t highest_of(const struct bo_thread *t, uint32_t kinds)
{
    struct search s = {.kinds = kinds};
    walk(t, no_shield, find_highest, &s);
    return s.highest;
}

uint64_t bo_pending_seq(const struct bo_thread *t)
{
    return highest_of(t, 0);
}

uint64_t bo_pending_foreign_seq(const struct bo_thread *t)
{
    return highest_of(t, t->ways.kinds);
}

struct bo_record *bo_marked(const struct bo_branch *b)
{
    struct search s = {.admitted = true};
    return walk_out(b->t.index, no_shield, find_record, &s, true) ? s.found : NULL;
}

/* ---- deadlines ---------------------------------------------------------------------------------- */

int64_t bo_effective_deadline(const struct bo_thread *t)
{
    int64_t earliest = BO_FOREVER;
    uint32_t index = bo_load_relaxed(&t->top);
    if (index == BO_NONE)
        index = bo_load_relaxed(&t->parent);
    for (; index != BO_NONE; index = bo_load_relaxed(&bo_branch_at(index)->outer)) {
        int64_t deadline = bo_load_relaxed(&bo_branch_at(index)->deadline);
        if (deadline < earliest)
            earliest = deadline;
    }
    return earliest;
}

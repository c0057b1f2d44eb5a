/* SPDX-License-Identifier: MIT */
#include "view.h"
#include <stdlib.h>
#include <string.h>
#include "proc.h"
#include "thread/level.h"

/* ---- collecting ------------------------------------------------------------------------------------------ */

/* Slots are aligned to 64 bytes, and so is what holds a copy. */
static void *aligned_new(size_t size)
{
    size = (size + 63) & ~(size_t)63;
    void *p = aligned_alloc(64, size);
    return p ? memset(p, 0, size) : NULL;
}

static void node_free(struct node *n)
{
    for (unsigned i = 0; n && i < n->record_count; i++)
        free(n->records[i]);
    free(n);
}

static bool collect_records(struct view *v, struct node *n)
{
    uint32_t due = bo_load_relaxed(&n->slot.target.due);
    for (int kind = 0; kind < BO_KIND_COUNT; kind++) {
        if (!(due & 1u << kind))
            continue;
        struct bo_record *r = aligned_new(sizeof *r);
        if (!r)
            return false;
        if (!arena_record(v->arena, n->branch, n->index, kind, r)) {
            free(r);
            continue;
        }
        n->records[n->record_count++] = r;
        v->records++;
    }
    return true;
}

/* False: out of memory. A slot that ends meanwhile is no part of the picture. */
static bool collect(struct view *v, bool branch, uint32_t index)
{
    struct node *n = aligned_new(sizeof *n);
    if (!n)
        return false;
    n->branch = branch;
    n->index = index;
    if (!(branch ? arena_branch(v->arena, index, &n->slot.of_branch)
                 : arena_thread(v->arena, index, &n->slot.thread))) {
        free(n);
        return true;
    }
    (branch ? v->branch : v->thread)[index] = n;
    *(branch ? &v->branches : &v->threads) += 1;
    return collect_records(v, n);
}

/* Children before the branches that they are in would be stray if those were opened meanwhile: so threads first, which
 * can only lose their branch by ending. */
static bool collect_all(struct view *v)
{
    for (int branch = 0; branch < 2; branch++)
        for (uint32_t i = 1; (i = arena_next(v->arena, branch, i)) != 0; i++)
            if (!collect(v, branch, i))
                return false;
    return true;
}

/* ---- linking --------------------------------------------------------------------------------------------- */

static struct node *branch_node(const struct view *v, uint32_t index)
{
    return index < BO_BRANCHES ? v->branch[index] : NULL;
}

static uint32_t owner_of(const struct node *n)
{
    return bo_load_relaxed(&n->slot.of_branch.owner);
}

/* A branch hangs in the one around it if that is its owner's, else below its owner. */
static struct node *above(const struct view *v, const struct node *n)
{
    if (!n->branch)
        return branch_node(v, bo_load_relaxed(&n->slot.thread.parent));
    struct node *outer = branch_node(v, bo_load_relaxed(&n->slot.of_branch.outer));
    if (outer && outer != v->root && owner_of(outer) == owner_of(n))
        return outer;
    return owner_of(n) < BO_THREADS ? v->thread[owner_of(n)] : NULL;
}

static void hang(struct node *n, struct node *parent)
{
    n->parent = parent;
    *(parent->last ? &parent->last->next : &parent->first) = n;
    parent->last = n;
    parent->children += parent->branch && !n->branch;
}

static void unhang(struct node *n)
{
    struct node *p = n->parent, *before = NULL, *at = p->first;
    for (; at != n; at = at->next)
        before = at;
    *(before ? &before->next : &p->first) = n->next;
    if (p->last == n)
        p->last = before;
    p->children -= p->branch && !n->branch;
    n->next = NULL;
}

/* Depth first without recursion; what is too deep is not reached. */
static void reach(struct node *from)
{
    struct node *n = from;
    int depth = 0;
    from->reached = true;
    while (n) {
        if (n->first && depth < VIEW_DEPTH && !n->first->reached) {
            n = n->first;
            depth++;
        } else {
            while (n != from && !n->next) {
                n = n->parent;
                depth--;
            }
            n = n == from ? NULL : n->next;
        }
        if (n)
            n->reached = true;
    }
}

static void hang_all(struct view *v, struct node **table, uint32_t size)
{
    for (uint32_t i = 1; i < size; i++) {
        struct node *n = table[i];
        if (!n || n == v->root)
            continue;
        struct node *parent = above(v, n);
        n->stray = !parent || parent == n;
        hang(n, n->stray ? v->root : parent);
    }
}

/* What goes in a circle, or too far down, is cut off and begun at the root. */
static void cut_loose(struct view *v, struct node **table, uint32_t size)
{
    for (uint32_t i = 1; i < size; i++) {
        struct node *n = table[i];
        if (!n || n->reached)
            continue;
        unhang(n);
        n->stray = true;
        hang(n, v->root);
        reach(n);
    }
}

static void link_all(struct view *v)
{
    v->root = v->branch[BO_ROOT] ? v->branch[BO_ROOT] : &v->root_instead;
    v->root_instead.branch = true;
    hang_all(v, v->thread, BO_THREADS);
    hang_all(v, v->branch, BO_BRANCHES);
    reach(v->root);
    cut_loose(v, v->branch, BO_BRANCHES);
    cut_loose(v, v->thread, BO_THREADS);
}

/* ---- threads that bough does not know ---------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    pid_t first = *(const pid_t *)a, second = *(const pid_t *)b;
    return (first > second) - (first < second);
}

/* Of those that were there before the tree was read: one that has come since may be in a slot that was not. */
static bool add_unknown(struct view *v, pid_t *tids, size_t count)
{
    if (count)
        qsort(tids, count, sizeof *tids, compare);
    for (uint32_t i = 0; i < BO_THREADS; i++) {
        pid_t tid = v->thread[i] ? bo_load_relaxed(&v->thread[i]->slot.thread.tid) : 0;
        pid_t *known = tid && count ? bsearch(&tid, tids, count, sizeof *tids, compare) : NULL;
        if (known) {
            memmove(known, known + 1, (size_t)(tids + count - known - 1) * sizeof *tids);
            count--;
        }
    }
    v->unknown = count ? calloc(count, sizeof(struct node *)) : NULL;
    for (size_t i = 0; i < count; i++) {
        struct activity now;
        proc_activity(v->arena->pid, tids[i], &now);
        if (!now.state) /* it has ended meanwhile */
            continue;
        struct node *n = v->unknown ? aligned_new(sizeof *n) : NULL;
        if (!n)
            return false;
        v->unknown[v->unknowns++] = n;
        n->unknown = n->reached = true;
        bo_store_relaxed(&n->slot.thread.tid, tids[i]);
        proc_thread_name(v->arena->pid, tids[i], n->slot.target.name, BO_NAME);
        hang(n, v->root);
    }
    return true;
}

struct view *view_new(const struct arena *a)
{
    struct view *v = aligned_new(sizeof *v);
    if (!v)
        return NULL;
    v->arena = a;
    v->now = arena_now(a);
    pid_t *tids = NULL;
    size_t count = view_knows_threads(v) ? proc_threads(a->pid, &tids) : 0;
    bool collected = collect_all(v);
    if (collected)
        link_all(v);
    collected = collected && add_unknown(v, tids, count);
    free(tids);
    if (collected)
        return v;
    view_free(v);
    return NULL;
}

void view_free(struct view *v)
{
    for (uint32_t i = 0; v && i < BO_THREADS; i++)
        node_free(v->thread[i]);
    for (uint32_t i = 0; v && i < BO_BRANCHES; i++)
        node_free(v->branch[i]);
    for (unsigned i = 0; v && i < v->unknowns; i++)
        node_free(v->unknown[i]);
    free(v ? v->unknown : NULL);
    free(v);
}

/* ---- in words ---------------------------------------------------------------------------------------------- */

int64_t view_age(const struct view *v, int64_t then)
{
    if (v->now < 0 || then < 0)
        return -1;
    return v->now > then ? v->now - then : 0;
}

int64_t view_left(const struct view *v, int64_t deadline)
{
    return v->now < 0 || deadline < 0 || deadline == BO_FOREVER ? BO_FOREVER : deadline - v->now;
}

int64_t view_uptime(const struct view *v)
{
    int64_t started = v->arena->head.started, now = bo_clock();
    return v->now < 0 || started < 0 || started > now ? -1 : now - started;
}

const char *level_name(const struct bo_thread *t)
{
    uint64_t w = bo_load_relaxed(&t->t.word);
    return w & BO_DISABLED ? "disabled" : w & BO_ASYNC ? "asynchronous" : "deferred";
}

const char *region_name(int kind)
{
    switch (kind) {
    case BO_CRITICAL:
        return "critical";
    case BO_ALLOWED:
        return "allow";
    case BO_CLEANUP:
        return "cleanup";
    case BO_ASYNC_REGION:
        return "asynchronous";
    case BO_CLOSABLE_REGION:
        return "closable";
    case BO_HANDLER_REGION:
        return "handler";
    case BO_FOREIGN_REGION:
        return "foreign";
    default:
        return "?";
    }
}

uint32_t regions_of(const struct bo_thread *t)
{
    uint32_t depth = bo_load_relaxed(&t->depth);
    return depth < BO_REGIONS ? depth : BO_REGIONS;
}

/* The clock is that of the outermost one. */
int clocked_region(const struct bo_thread *t)
{
    for (uint32_t i = 0; i < regions_of(t); i++)
        if (t->region[i].kind == BO_CRITICAL)
            return (int)i;
    return -1;
}

bool view_knows_threads(const struct view *v)
{
    return v->arena->pid && v->arena->head.pid == v->arena->pid;
}

/* SPDX-License-Identifier: MIT */
#include "view.h"
#include <stdlib.h>
#include <string.h>
#include "proc.h"
#include "thread/level.h"

/* ---- collecting ------------------------------------------------------------------------------------------ */

/* Slots are aligned to 64 bytes, and so is the memory for a copy. */
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

/* False: out of memory. A slot whose use ends meanwhile is left out. */
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

/* Threads are read before branches: a thread whose branch ends meanwhile has ended, too. In the other order, children
 * of branches that are opened meanwhile would have no parent. */
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

/* The parent of a branch is the branch around it if both have the same owner, else the owner. */
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
    n->before = parent->last;
    *(parent->last ? &parent->last->next : &parent->first) = n;
    parent->last = n;
    parent->children += parent->branch && !n->branch;
}

/* In one pass, because thousands of nodes may have to be removed. */
static void unhang(struct node *n)
{
    struct node *p = n->parent;
    *(n->before ? &n->before->next : &p->first) = n->next;
    *(n->next ? &n->next->before : &p->last) = n->before;
    p->children -= p->branch && !n->branch;
    n->next = n->before = NULL;
}

/* Depth first, without recursion; nodes that are too deep are not reached. */
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

/* Nodes in a cycle, or too deep, are moved to the root. */
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

/* Any thread can have that name, so it counts as an idle worker only if it is asleep or stopped, as idle workers
 * are. */
static bool is_idle_worker(const char *name, const struct activity *now)
{
    return strcmp(name, "bough-worker") == 0 && strchr("STt", now->state) &&
           (!*now->call || strncmp(now->call, "futex", 5) == 0);
}

/* False: out of memory. */
static bool add_unknown(struct view *v, const struct pid_pair *thread)
{
    struct activity now;
    proc_activity(v->arena->pid, thread->here, &now);
    if (!now.state) /* the thread has ended meanwhile */
        return true;
    struct node *n = aligned_new(sizeof *n);
    if (!n)
        return false;
    v->unknown[v->unknowns++] = n;
    n->unknown = n->reached = true;
    n->tid = thread->here;
    bo_store_relaxed(&n->slot.thread.tid, thread->own);
    proc_thread_name(v->arena->pid, thread->here, n->slot.target.name, BO_NAME);
    n->idle = is_idle_worker(n->slot.target.name, &now);
    hang(n, v->root);
    return true;
}

static int compare_pids(const void *a, const void *b)
{
    pid_t first = *(const pid_t *)a, second = *(const pid_t *)b;
    return (first > second) - (first < second);
}

/* The threads' ids in the process's PID namespace, in order. */
static size_t known_ids(const struct view *v, pid_t *own)
{
    size_t count = 0;
    for (uint32_t i = 0; i < BO_THREADS; i++)
        if (v->thread[i])
            own[count++] = bo_load_relaxed(&v->thread[i]->slot.thread.tid);
    qsort(own, count, sizeof *own, compare_pids);
    return count;
}

/* Only threads that existed before the tree was read: a newer one may be in a slot that was not read. */
static bool add_all_unknown(struct view *v, const struct pid_map *before)
{
    pid_t *own = calloc(v->threads + 1, sizeof *own);
    size_t count = own ? known_ids(v, own) : 0;
    v->unknown = calloc(before->count + 1, sizeof(struct node *));
    bool added = own && v->unknown;
    for (size_t i = 0; added && i < before->count; i++)
        if (!bsearch(&before->thread[i].own, own, count, sizeof *own, compare_pids))
            added = add_unknown(v, &before->thread[i]);
    free(own);
    return added;
}

/* ---- ids ------------------------------------------------------------------------------------------------------ */

static bool read_ids(const struct view *v, struct pid_map *ids)
{
    *ids = (struct pid_map){0};
    return !view_knows_threads(v) || pid_map_read(ids, v->arena->pid, v->arena->apart);
}

pid_t view_tid(const struct view *v, pid_t own)
{
    return v->arena->apart ? pid_map_here(&v->ids, own) : own;
}

static void give_ids(struct view *v)
{
    for (uint32_t i = 0; i < BO_THREADS; i++)
        if (v->thread[i])
            v->thread[i]->tid = view_tid(v, bo_load_relaxed(&v->thread[i]->slot.thread.tid));
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

/* The ids are read before the tree, for threads that are not in the tree, and after it, for threads that are, if ids
 * are needed. */
static bool fill(struct view *v)
{
    struct pid_map before;
    bool filled = read_ids(v, &before) && collect_all(v) && (!v->arena->apart || read_ids(v, &v->ids));
    if (filled) {
        link_all(v);
        give_ids(v);
        filled = add_all_unknown(v, &before);
    }
    pid_map_free(&before);
    return filled;
}

struct view *view_new(const struct arena *a)
{
    struct view *v = aligned_new(sizeof *v);
    if (!v)
        return NULL;
    v->arena = a;
    v->now = arena_now(a);
    if (fill(v))
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
    if (v)
        pid_map_free(&v->ids);
    free(v ? v->unknown : NULL);
    free(v);
}

/* In one pass: a process can have any number of threads of that name. */
void view_fold_idle(struct view *v)
{
    unsigned idle = 0;
    for (unsigned i = 0; i < v->unknowns; i++)
        idle += v->unknown[i]->idle;
    if (idle < 2 || v->folded)
        return;
    struct node **to = &v->root->first;
    v->root->last = NULL;
    for (struct node *n = v->root->first; n; n = n->next)
        if (!n->idle) {
            *to = v->root->last = n;
            to = &n->next;
        }
    *to = NULL;
    v->folded = idle;
    v->idle_workers.unknown = v->idle_workers.idle = true;
    hang(&v->idle_workers, v->root);
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

/* The budget of the outermost critical section counts. */
int clocked_region(const struct bo_thread *t)
{
    for (uint32_t i = 0; i < regions_of(t); i++)
        if (t->region[i].kind == BO_CRITICAL)
            return (int)i;
    return -1;
}

bool view_knows_threads(const struct view *v)
{
    return v->arena->pid && v->arena->head.pid == v->arena->own_pid;
}

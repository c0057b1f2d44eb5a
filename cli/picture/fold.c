/* SPDX-License-Identifier: MIT */
/*
 * The lanes that are drawn. If there are too many, each parent shows the same number of its children: first those that
 * failed or were interrupted, then a sample that is spread evenly. A row of kind ROW_MORE stands for the others.
 */
#include <stdlib.h>
#include "picture.h"

/* A branch without threads is a bar in its owner's lane. */
static bool has_lane(const struct node *n)
{
    return n->kind != ROW_BRANCH || n->has_threads;
}

/* ---- which children come first ----------------------------------------------------------------------------------- */

enum { PLAIN_LANE, BUSY, INTERRUPTED, PROMOTED, FAILED, FAILED_FIRST };

/* The weight of a parent is that of its heaviest child. */
static void weigh(struct picture *p, int node, int weight)
{
    for (; node >= 0 && p->nodes[node].weight < weight; node = p->nodes[node].parent)
        p->nodes[node].weight = weight;
}

static void weigh_event(struct picture *p, int i)
{
    const struct trace_event *e = &p->trace->events[i];
    int thread = node_of_thread(p, e->thread), branch = node_of_branch(p, e->target_branch);
    int target = e->target_thread >= 0 ? node_of_thread(p, e->target_thread) : branch;
    if (e->what == TRACE_DELIVERED && thread >= 0) /* the post's target may also be a branch or the process */
        target = thread;
    if (target >= 0)
        p->nodes[target].is_target = true;
    if (e->what == TRACE_FAILURE)
        weigh(p, thread >= 0 ? thread : branch, i == p->first_failure ? FAILED_FIRST : FAILED);
    else if (e->what == TRACE_RUNG)
        weigh(p, target, e->rung > 1 ? PROMOTED : INTERRUPTED);
    else if (e->what == TRACE_POSTED || e->what == TRACE_DELIVERED || e->what == TRACE_OVER) {
        weigh(p, target, INTERRUPTED);
        weigh(p, thread, INTERRUPTED);
    } else
        weigh(p, thread, BUSY);
}

static uint32_t reversed(uint32_t x)
{
    uint32_t y = 0;
    for (int i = 0; i < 32; i++)
        y |= (x >> i & 1) << (31 - i);
    return y;
}

struct candidate {
    int node, weight;
    uint32_t spread; /* an order in which the first N children are spread evenly, for each N */
};

static int by_interest(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->weight != y->weight)
        return y->weight - x->weight;
    return x->spread < y->spread ? -1 : x->spread > y->spread;
}

static void rank_children(struct picture *p, int parent, struct candidate *room)
{
    int n = 0;
    for (int at = p->nodes[parent].first; at >= 0; at = p->nodes[at].next)
        if (has_lane(&p->nodes[at])) {
            room[n] = (struct candidate){at, p->nodes[at].weight, reversed((uint32_t)n)};
            n++;
        }
    qsort(room, (size_t)n, sizeof *room, by_interest);
    for (int i = 0; i < n; i++)
        p->nodes[room[i].node].rank = i;
}

static bool is_in_window(const struct picture *p, const struct node *n)
{
    return n->kind == ROW_PROCESS || n->kind == ROW_OUTSIDE || (n->begun <= p->until && n->until >= p->from);
}

/* Shows up to `each` children of each parent; returns the number of lanes, at most one more than is allowed. */
static int show_children(struct picture *p, int each)
{
    int lanes = 0;
    for (int i = 0; i < p->n_order; i++) {
        struct node *n = &p->nodes[p->order[i]];
        bool is_parent_shown = n->parent < 0 || p->nodes[n->parent].is_shown;
        n->is_shown = is_parent_shown && has_lane(n) && n->rank < each && is_in_window(p, n) && lanes <= p->lanes;
        lanes += n->is_shown && n->kind != ROW_OUTSIDE;
    }
    return lanes;
}

/* The largest number of children for each parent with which all lanes find room. */
static void choose(struct picture *p)
{
    int low = 1, high = p->n_nodes + 1;
    if (show_children(p, high) <= p->lanes)
        return;
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        if (show_children(p, middle) <= p->lanes)
            low = middle;
        else
            high = middle;
    }
    show_children(p, low);
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static int add_row(struct picture *p, enum row_kind kind, int index, int node, int depth)
{
    p->rows[p->n_rows] = (struct row){.kind = kind, .index = index, .node = node, .depth = depth};
    return p->n_rows++;
}

static bool has_outside(const struct picture *p)
{
    for (int i = 0; i < p->trace->n_events; i++)
        if (p->trace->events[i].what == TRACE_POSTED && p->trace->events[i].thread < 0)
            return true;
    return false;
}

/* Whether the node would have a lane in the window, but is not shown. */
static bool is_hidden(const struct picture *p, const struct node *n)
{
    return !n->is_shown && has_lane(n) && is_in_window(p, n);
}

/* The children that are not shown get a row at the end of the parent's children. */
static bool add_more(struct picture *p, int parent)
{
    bool any = false;
    for (int at = p->nodes[parent].first; at >= 0 && !any; at = p->nodes[at].next)
        any = is_hidden(p, &p->nodes[at]);
    if (!any)
        return true;
    struct more *more = calloc(1, sizeof *more);
    int row = add_row(p, ROW_MORE, p->nodes[parent].index, TRACE_NONE, p->nodes[parent].depth + 1);
    p->rows[row].more = more;
    if (more)
        more->parent = parent;
    for (int at = p->nodes[parent].first; at >= 0; at = p->nodes[at].next)
        if (is_hidden(p, &p->nodes[at]))
            p->nodes[at].row = row;
    return more != NULL;
}

/* A parent's last row comes before the first node that is not under it. */
static bool add_rows(struct picture *p)
{
    int open = TRACE_NONE; /* the innermost shown node whose children are being listed */
    for (int i = 0; i <= p->n_order; i++) {
        struct node *n = i < p->n_order ? &p->nodes[p->order[i]] : NULL;
        if (n && !n->is_shown)
            continue;
        for (; open >= 0 && (!n || p->nodes[open].depth >= n->depth); open = p->nodes[open].parent)
            if (!add_more(p, open))
                return false;
        if (!n)
            break;
        if (n->kind != ROW_OUTSIDE)
            n->row = add_row(p, n->kind, n->index, p->order[i], n->depth);
        open = p->order[i];
    }
    return true;
}

/* The other nodes have the row of their parent, which comes before them. */
static void pass_rows_down(struct picture *p)
{
    for (int i = 0; i < p->n_order; i++) {
        struct node *n = &p->nodes[p->order[i]];
        if (n->row < 0 && n->parent >= 0)
            n->row = p->nodes[n->parent].row;
        struct more *more = n->row >= 0 ? p->rows[n->row].more : NULL;
        if (!more || !has_lane(n) || !is_in_window(p, n))
            continue;
        more->processes += n->kind == ROW_PROCESS;
        more->threads += n->kind == ROW_THREAD;
        more->branches += n->kind == ROW_BRANCH;
        more->failures += n->weight >= FAILED && n->kind == ROW_THREAD;
        more->interrupted += n->is_target && n->kind == ROW_THREAD;
        p->hidden_threads += n->kind == ROW_THREAD;
        p->hidden_branches += n->kind == ROW_BRANCH;
    }
}

bool picture_fold(struct picture *p)
{
    struct candidate *room = calloc((size_t)p->n_nodes + 1, sizeof *room);
    p->rows = calloc(2 * (size_t)p->n_nodes, sizeof *p->rows);
    if (!room || !p->rows) {
        free(room);
        return false;
    }
    for (int i = 0; i < p->trace->n_events; i++)
        weigh_event(p, i);
    for (int i = 0; i < p->n_nodes; i++) {
        p->nodes[i].row = TRACE_NONE;
        rank_children(p, i, room);
    }
    free(room);
    choose(p);
    if (has_outside(p))
        p->nodes[node_of_root(p)].row = add_row(p, ROW_OUTSIDE, 0, TRACE_NONE, 0);
    if (!add_rows(p))
        return false;
    pass_rows_down(p);
    return true;
}

/* ---- the rows of processes, threads and branches ---------------------------------------------------------------- */

int row_of_thread(const struct picture *p, int thread)
{
    int node = node_of_thread(p, thread);
    return node >= 0 ? p->nodes[node].row : TRACE_NONE;
}

int row_of_branch(const struct picture *p, int branch)
{
    int node = node_of_branch(p, branch);
    return node >= 0 ? p->nodes[node].row : TRACE_NONE;
}

int row_of_process(const struct picture *p, int process)
{
    int node = node_of_process(p, process);
    return node >= 0 ? p->nodes[node].row : TRACE_NONE;
}

int row_of_target(const struct picture *p, const struct trace_event *e)
{
    if (e->target_thread >= 0)
        return row_of_thread(p, e->target_thread);
    return e->target_branch >= 0 ? row_of_branch(p, e->target_branch) : row_of_process(p, e->process);
}

/* SPDX-License-Identifier: MIT */
/*
 * Processes, threads and branches as one tree. A thread is under the branch whose child it is. A branch is under the
 * branch around it if both have the same owner, otherwise under its owner. So each lane is followed by the branches
 * that its thread has opened.
 */
#include <stdlib.h>
#include "picture.h"

int node_of_process(const struct picture *p, int process)
{
    return process >= 0 && process < p->trace->n_processes ? process : TRACE_NONE;
}

int node_of_branch(const struct picture *p, int branch)
{
    return branch >= 0 && branch < p->trace->n_branches ? p->trace->n_processes + branch : TRACE_NONE;
}

int node_of_thread(const struct picture *p, int thread)
{
    bool is_there = thread >= 0 && thread < p->trace->n_threads;
    return is_there ? p->trace->n_processes + p->trace->n_branches + thread : TRACE_NONE;
}

int node_of_root(const struct picture *p)
{
    return p->n_nodes - 1;
}

/* ---- parents ----------------------------------------------------------------------------------------------------- */

static int node_of_process_or_root(const struct picture *p, int process)
{
    int node = node_of_process(p, process);
    return node >= 0 ? node : node_of_root(p);
}

static int parent_of_thread(const struct picture *p, const struct trace_thread *t)
{
    int branch = node_of_branch(p, t->branch);
    return branch >= 0 ? branch : node_of_process_or_root(p, t->process);
}

static int parent_of_branch(const struct picture *p, const struct trace_branch *b)
{
    int outer = node_of_branch(p, b->outer), owner = node_of_thread(p, b->owner);
    if (outer >= 0 && (owner < 0 || p->trace->branches[b->outer].owner == b->owner))
        return outer;
    return owner >= 0 ? owner : node_of_process_or_root(p, b->process);
}

static void add_nodes(struct picture *p)
{
    const struct trace *t = p->trace;
    struct node *n = p->nodes;
    for (int i = 0; i < t->n_processes; i++)
        *n++ =
            (struct node){.kind = ROW_PROCESS, .index = i, .parent = node_of_root(p), .begun = t->processes[i].begun};
    for (int i = 0; i < t->n_branches; i++)
        *n++ = (struct node){.kind = ROW_BRANCH,
                             .index = i,
                             .parent = parent_of_branch(p, &t->branches[i]),
                             .begun = t->branches[i].begun,
                             .until = end_of_branch(t, i)};
    for (int i = 0; i < t->n_threads; i++)
        *n++ = (struct node){.kind = ROW_THREAD,
                             .index = i,
                             .parent = parent_of_thread(p, &t->threads[i]),
                             .begun = t->threads[i].begun,
                             .until = end_of_thread(t, i)};
    *n = (struct node){.kind = ROW_OUTSIDE, .parent = TRACE_NONE};
}

/* A damaged recording may have a circle: the node that closes it is moved under the root. `depth` marks a node: 0 not
 * visited, -1 on the way up, 1 leads to a root. */
static void break_circles(struct picture *p)
{
    for (int i = 0; i < p->n_nodes; i++) {
        int at = i;
        while (at >= 0 && p->nodes[at].depth == 0) {
            p->nodes[at].depth = -1;
            int up = p->nodes[at].parent;
            if (up >= 0 && p->nodes[up].depth < 0)
                up = p->nodes[at].parent = node_of_root(p);
            at = up;
        }
        for (at = i; at >= 0 && p->nodes[at].depth < 0; at = p->nodes[at].parent)
            p->nodes[at].depth = 1;
    }
}

/* ---- children, in the order of their start ----------------------------------------------------------------------- */

static const struct picture *sorted;

static int is_library(const struct node *n)
{
    return n->kind == ROW_THREAD && sorted->trace->threads[n->index].is_library_thread;
}

static int by_start(const void *a, const void *b)
{
    const struct node *x = &sorted->nodes[*(const int *)a], *y = &sorted->nodes[*(const int *)b];
    if (is_library(x) != is_library(y))
        return is_library(x) - is_library(y);
    if (x->begun != y->begun)
        return x->begun < y->begun ? -1 : 1;
    return *(const int *)a - *(const int *)b;
}

static void link_children(struct picture *p)
{
    for (int i = 0; i < p->n_nodes; i++)
        p->nodes[i].first = p->nodes[i].last = p->nodes[i].next = TRACE_NONE;
    for (int i = 0; i < p->n_nodes; i++) {
        int child = p->order[i], parent = p->nodes[child].parent;
        if (parent < 0)
            continue;
        struct node *up = &p->nodes[parent];
        if (up->first < 0)
            up->first = child;
        else
            p->nodes[up->last].next = child;
        up->last = child;
    }
}

static void mark_threads(struct picture *p)
{
    for (int i = 0; i < p->n_nodes; i++)
        for (int at = p->nodes[i].kind == ROW_THREAD ? i : TRACE_NONE; at >= 0 && !p->nodes[at].has_threads;)
            p->nodes[at].has_threads = true, at = p->nodes[at].parent;
}

/* Writes a root and everything under it to the end of `order`, without recursion: a recording may nest very deeply. */
static void walk(struct picture *p, int *order, int root)
{
    int at = root, depth = -1; /* the root is not drawn */
    while (at >= 0) {
        p->nodes[at].depth = depth;
        order[p->n_order++] = at;
        if (p->nodes[at].first >= 0) {
            at = p->nodes[at].first;
            depth++;
            continue;
        }
        while (at != root && p->nodes[at].next < 0) {
            at = p->nodes[at].parent;
            depth--;
        }
        at = at == root ? TRACE_NONE : p->nodes[at].next;
    }
}

bool picture_tree(struct picture *p)
{
    const struct trace *t = p->trace;
    p->n_nodes = t->n_processes + t->n_branches + t->n_threads + 1;
    p->nodes = calloc((size_t)p->n_nodes + 1, sizeof *p->nodes);
    p->order = calloc((size_t)p->n_nodes + 1, sizeof *p->order);
    int *order = calloc((size_t)p->n_nodes + 1, sizeof *order);
    if (!p->nodes || !p->order || !order) {
        free(order);
        return false;
    }
    add_nodes(p);
    break_circles(p);
    for (int i = 0; i < p->n_nodes; i++)
        p->order[i] = i;
    sorted = p;
    qsort(p->order, (size_t)p->n_nodes, sizeof *p->order, by_start);
    link_children(p);
    mark_threads(p);
    walk(p, order, node_of_root(p));
    free(p->order);
    p->order = order;
    return true;
}

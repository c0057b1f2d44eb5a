/* SPDX-License-Identifier: MIT */
#include "inspect/tree_index.h"

static uint32_t branch_node(uint32_t index)
{
    return index != BO_NONE && index < BO_BRANCHES ? BO_THREADS + index : BO_ROOT_NODE;
}

/* The parent of a branch: the branch around it if both have the same owner, else the owner. */
static uint32_t parent_of_branch(const struct bo_branch *b)
{
    uint32_t owner = bo_load_relaxed(&b->owner), outer = bo_load_relaxed(&b->outer);
    if (outer != BO_NONE && outer < BO_BRANCHES && bo_load_relaxed(&bo_branch_at(outer)->owner) == owner)
        return branch_node(outer);
    return owner != BO_NONE && owner < BO_THREADS ? owner : BO_ROOT_NODE;
}

static void hang(struct bo_tree_index *f, uint32_t node, uint32_t parent)
{
    f->parent[node] = parent;
    f->next[node] = f->first[parent];
    f->first[parent] = node;
}

static uint32_t high(_Atomic uint32_t *mark, uint32_t limit)
{
    uint32_t n = bo_load_acquire(mark);
    return n < limit ? n : limit;
}

/* Adds nodes from the highest index down, because the node that is added first comes last in its parent's list. */
void bo_tree_index_grow(struct bo_tree_index *f)
{
    uint32_t branches = high(&bo_arena.head->branch_high, BO_BRANCHES),
             threads = high(&bo_arena.head->thread_high, BO_THREADS);
    for (uint32_t i = 0; i < branches; i++)
        f->first[BO_THREADS + i] = f->parent[BO_THREADS + i] = 0;
    for (uint32_t i = 0; i < threads; i++)
        f->first[i] = f->parent[i] = 0;
    f->threads = f->branches = 0;
    for (uint32_t i = branches; i-- > BO_ROOT + 1;) {
        const struct bo_branch *b = bo_branch_at(i);
        if (!(bo_load_acquire(&b->t.word) & BO_LIVE))
            continue;
        f->branches++;
        hang(f, BO_THREADS + i, parent_of_branch(b));
    }
    for (uint32_t i = threads; i-- > 1;) {
        const struct bo_thread *t = bo_thread_at(i);
        if (!(bo_load_acquire(&t->t.word) & BO_LIVE))
            continue;
        f->threads++;
        hang(f, i, branch_node(bo_load_relaxed(&t->parent)));
    }
}

uint32_t bo_tree_index_next(const struct bo_tree_index *f, uint32_t node, unsigned *depth)
{
    if (f->first[node]) {
        ++*depth;
        return f->first[node];
    }
    while (node != BO_ROOT_NODE && !f->next[node]) {
        node = f->parent[node];
        --*depth;
    }
    return node == BO_ROOT_NODE ? 0 : f->next[node];
}

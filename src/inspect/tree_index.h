/* SPDX-License-Identifier: MIT */
/* The current tree, from the root downwards. Slots refer only to their parents; this index has their children. */
#ifndef BO_INSPECT_TREE_INDEX_H
#define BO_INSPECT_TREE_INDEX_H

#include "state/arena.h"

/* A node: a thread's index, or BO_THREADS and a branch's. 0: none. */
enum { BO_NODES = BO_THREADS + BO_BRANCHES, BO_ROOT_NODE = BO_THREADS + BO_ROOT };

struct bo_tree_index {
    uint32_t parent[BO_NODES], first[BO_NODES], next[BO_NODES];
    unsigned threads, branches; /* how many live */
};

void bo_tree_index_grow(struct bo_tree_index *f);
/* Returns the node after this one, depth first, and sets its *depth; 0 at the end. Each node has one parent, and the
 * root none: so the walk from the root visits no node twice, even if slots are damaged. */
uint32_t bo_tree_index_next(const struct bo_tree_index *f, uint32_t node, unsigned *depth);

static inline bool bo_node_is_branch(uint32_t node)
{
    return node >= BO_THREADS;
}
static inline struct bo_branch *bo_node_branch(uint32_t node)
{
    return bo_branch_at(node - BO_THREADS);
}

#endif

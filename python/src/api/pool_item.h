/* SPDX-License-Identifier: MIT */
/* A work item's branch on its worker's thread. */
#ifndef BP_POOL_ITEM_H
#define BP_POOL_ITEM_H

#include "base/state.h"

struct bp_item {
    struct bp_thread *thread;
    bough_branch *branch;     /* NULL: no branch could be opened, so the item can't be cancelled */
    struct bp_region *around; /* the worker's innermost region when the item began */
};

struct bp_item bp_item_begin(struct bp_thread *t, const char *name);
/* Convert the exception that is set to the one for the future, while the interrupt is still pending. */
void bp_item_failed(struct bp_thread *t);
void bp_item_end(const struct bp_item *i);

#endif

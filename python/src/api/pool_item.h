/* SPDX-License-Identifier: MIT */
/* A work item's branch on its worker's thread. */
#ifndef BP_POOL_ITEM_H
#define BP_POOL_ITEM_H

#include "base/state.h"

struct bp_item {
    struct bp_thread *thread;
    bough_branch *branch; /* NULL: there is no place for one more: it can't be cancelled then */
    struct bp_region *around;
};

struct bp_item bp_item_begin(struct bp_thread *t, const char *name);
/* Convert the exception that is set to the one for the future, while the interrupt is still pending. */
void bp_item_failed(struct bp_thread *t);
void bp_item_end(const struct bp_item *i);

#endif

/* SPDX-License-Identifier: MIT */
/* The threads that an incident concerns: those below its target. */
#ifndef BO_LADDER_BELOW_H
#define BO_LADDER_BELOW_H

#include "core/arena.h"

/* Was it posted to a thread, and not to what branches off it? */
bool bo_alone(const struct bo_record *r, bool branch);
/* The next live thread below the target, from index *i on (1 at first); its word as it was. NULL: no more. */
struct bo_thread *bo_next_below(const struct bo_target *target, bool branch, const struct bo_record *r, uint32_t *i,
                                uint64_t *word);
/* Does a branch that it has open have children that run? */
bool bo_has_children(const struct bo_thread *t);
bool bo_is_main(const struct bo_thread *t);
/* Where the first one is stuck that does not only wait for its children: "thread 17 (reader) is in ..."; "" if none is. */
void bo_find_place(const struct bo_target *target, bool branch, const struct bo_record *r, char *text, size_t size);

#endif

/* SPDX-License-Identifier: MIT */
/* The ladder's times and ceilings, as they count for a target: set for it, or further out, or by the environment. */
#ifndef BO_LADDER_TIMES_H
#define BO_LADDER_TIMES_H

#include <bough/ladder.h>
#include "state/arena.h"

/* Every field filled in. [signal] */
void bo_ladder_of(const struct bo_target *target, bool pinned, struct bough_ladder *ladder);
/* The branch around a target, whose owner the next one out may be; NULL for the root. */
struct bo_branch *bo_wider(const struct bo_target *target);

#endif

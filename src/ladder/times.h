/* SPDX-License-Identifier: MIT */
/* The ladder's times and ceilings that apply to a target: set for it, for a branch around it, or by the environment. */
#ifndef BO_LADDER_TIMES_H
#define BO_LADDER_TIMES_H

#include <bough/ladder.h>
#include "state/arena.h"

/* Fill in every field. [signal] */
void bo_ladder_of(const struct bo_target *target, bool pinned, struct bough_ladder *ladder);
/* The branch around a target; NULL for the root. */
struct bo_branch *bo_wider(const struct bo_target *target);

#endif

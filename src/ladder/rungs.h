/* SPDX-License-Identifier: MIT */
/* What each rung does, set going by the warden; what may block is done on helpers. */
#ifndef BO_LADDER_RUNGS_H
#define BO_LADDER_RUNGS_H

#include "ladder/incident.h"

/* Begin the rung that it stands at now, until then. NULL, or why it can't be done. */
const char *bo_carry_out(struct bo_incident *i, int64_t until);
/* Go on with rung 4: leaves first, an owner that only waits for them goes on by itself. NULL, or why it can't be
 * done. */
const char *bo_close_below(const struct bo_incident *i);
/* Rung 4 is over: a thread that is not frozen yet will not be. */
void bo_withdraw_below(const struct bo_incident *i);
/* Go on with rung 6: the end, when the dump is written, or its time over. */
void bo_go_on_killing(const struct bo_incident *i);
void bo_rungs_after_fork(void);

#endif

/* SPDX-License-Identifier: MIT */
/* Carries out each rung. Called by the warden; actions that may block run on helpers. */
#ifndef BO_LADDER_RUNGS_H
#define BO_LADDER_RUNGS_H

#include "ladder/incident.h"

/* Begin the incident's present rung, whose deadline is `until`. NULL, or why it can't be done. */
const char *bo_carry_out(struct bo_incident *i, int64_t until);
/* Continue rung 4, with threads without children first: an owner that only waits for its children continues by itself.
 * NULL, or why it can't be done. */
const char *bo_close_below(const struct bo_incident *i);
/* End rung 4: withdraw the requests to threads that are not frozen yet. */
void bo_withdraw_below(const struct bo_incident *i);
/* Continue rung 5: if the exit in progress was for another incident, and was cancelled, begin one for this incident. */
void bo_go_on_leaving(const struct bo_incident *i);
/* Continue rung 6: kill the process when the dump is written, or its time is over. */
void bo_go_on_killing(const struct bo_incident *i);
void bo_rungs_after_fork(void);

#endif

/* SPDX-License-Identifier: MIT */
/* Every transition is told: in the log, and to the program's callback, with the place where the thread is stuck (rule 40). */
#ifndef BO_LADDER_LOG_H
#define BO_LADDER_LOG_H

#include "ladder/incident.h"

const char *bo_what_for(const struct bo_incident *i);
/* From rung to rung; to == from: overdue. */
void bo_tell(struct bo_incident *i, int from, int to, const char *why);
/* It is over. */
void bo_tell_over(struct bo_incident *i);

#endif

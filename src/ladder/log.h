/* SPDX-License-Identifier: MIT */
/* Logs each transition and calls the application's callback, with the place where the thread is stuck (rule 40). */
#ifndef BO_LADDER_LOG_H
#define BO_LADDER_LOG_H

#include "ladder/incident.h"

const char *bo_what_for(const struct bo_incident *i);
/* The incident climbs from rung `from` to rung `to`; it is overdue if they are equal. */
void bo_log_transition(struct bo_incident *i, int from, int to, const char *why);
/* The incident is over. */
void bo_log_over(struct bo_incident *i);

#endif

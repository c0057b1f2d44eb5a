/* SPDX-License-Identifier: MIT */
/* A request to stop a target: the rung that it can reach, the consequences, and posting it. */
#ifndef CLI_REQUEST_H
#define CLI_REQUEST_H

#include <stdio.h>
#include "mailbox.h"
#include "target.h"

enum rung { RUNG_FLAG = 1, RUNG_FINAL = 3, RUNG_CLOSE, RUNG_EXIT, RUNG_KILL }; /* as in <bough/ladder.h> */

/* The default ceiling: a request to one thread or branch does not end the process. */
int request_ceiling(bool all);
/* The highest rung that the incident can reach with this ceiling. If an earlier request makes it higher, that is
 * printed. */
int request_reach(FILE *out, const struct arena *a, const struct found *target, int ceiling);
/* Describe the consequences, before the request is posted. */
void request_prospect(FILE *out, const struct arena *a, const struct found *target, int reach);
/* Post the request. *l gets the answer. False: nothing was posted; `a->why` has the reason. */
bool request_post(struct arena *a, const struct found *target, const char *reason, int rung, int ceiling,
                  struct bo_request *l);

#endif

/* SPDX-License-Identifier: MIT */
/* The lines of a dump about a target's records. */
#ifndef BO_INSPECT_DUMP_RECORDS_H
#define BO_INSPECT_DUMP_RECORDS_H

#include "inspect/safe_write.h"
#include "state/arena.h"

void bo_put_indent(struct bo_out *o, unsigned depth);
/* A line for each record of the target that is pending or was delivered. */
void bo_put_records(struct bo_out *o, const struct bo_target *target, unsigned depth);

#endif

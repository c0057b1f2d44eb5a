/* SPDX-License-Identifier: MIT */
/* Describes where a thread is stuck, for reports and dumps (rule 40). It takes no lock, allocates no memory, and does
 * not block. */
#ifndef BO_INSPECT_BLOCKED_AT_H
#define BO_INSPECT_BLOCKED_AT_H

#include "inspect/safe_write.h"
#include "inspect/task.h"
#include "state/arena.h"

/*
 * Writes one phrase, such as "in the critical section at file.c:12 for 7.1 s (budget used up), in foreign code: read(5,
 * ...)". Returns its length; 0, and an empty text, if that generation does not live. A longer phrase is truncated.
 * [signal]
 */
size_t bo_where(const struct bo_thread *t, uint32_t generation, char *text, size_t size);
/* As bo_where(), for a thread whose task was already read. */
void bo_put_where(struct bo_out *o, const struct bo_thread *t, const struct bo_task *task);

/* A region, as its owner has stored it. */
struct bo_region_note {
    int kind, line;
    int64_t since;
    const char *file; /* the object with this text may be unloaded: only for bo_put_place() */
};
/* Copies the note of the region at this depth (0: the outermost); false: there is none, or its owner is changing it. */
bool bo_region_note(const struct bo_thread *t, uint32_t depth, struct bo_region_note *note);
/* "critical section", "allow region"... */
const char *bo_region_name(int kind);
/* "file.c:12" */
void bo_put_place(struct bo_out *o, const char *file, int line);

#endif

/* SPDX-License-Identifier: MIT */
/* Where a thread is stuck, in words: for reports and dumps (rule 40). No lock, no memory, nothing that blocks. */
#ifndef BO_INSPECT_BLOCKED_AT_H
#define BO_INSPECT_BLOCKED_AT_H

#include "inspect/safe_write.h"
#include "inspect/task.h"
#include "state/arena.h"

/*
 * One phrase, such as "in the critical section at file.c:12 for 7.1 s (budget used up), in foreign code: read(5, ...)".
 * Returns its length; 0, and an empty text, if that generation does not live. What does not fit is cut. [signal]
 */
size_t bo_where(const struct bo_thread *t, uint32_t generation, char *text, size_t size);
/* The same of a thread whose task has been looked at. */
void bo_put_where(struct bo_out *o, const struct bo_thread *t, const struct bo_task *task);

/* A region as its owner has noted it. */
struct bo_region_note {
    int kind, line;
    int64_t since;
    const char *file; /* may be gone: for bo_put_place() */
};
/* Copies the note of the region at this depth (0: the outermost); false: there is none, or it changes just now. */
bool bo_region_note(const struct bo_thread *t, uint32_t depth, struct bo_region_note *note);
/* "critical section", "allow region"... */
const char *bo_region_name(int kind);
/* "file.c:12" */
void bo_put_place(struct bo_out *o, const char *file, int line);

#endif

/* SPDX-License-Identifier: MIT */
/* The interface between level.c, section.c, region.c and async.c: the regions of the calling thread. */
#ifndef BO_THREAD_REGION_H
#define BO_THREAD_REGION_H

#include <bough/level.h>
#include "thread/level.h"

/* Set the word's level bits from the open regions. */
void bo_level_set(struct bo_thread *t);
/* Called before and after a change that the ticker must not see half done: if it reads in between, it retries later.
 * Stores between the two calls are releases, and so come after the serial. */
void bo_level_changing(struct bo_thread *t);
void bo_level_changed(struct bo_thread *t);

/* Common prologue of every *_begin(): adopt the thread and end the regions that a longjmp() has abandoned. `sp` is the
 * public function's frame. NULL with errno. */
struct bo_thread *bo_region_beginner(const void *region, int64_t allowance, uintptr_t sp);
void bo_region_push(struct bo_thread *t, struct bough_region *region, enum bo_region_kind kind, const char *file,
                    int line);
/* End a region, for a public function; `sp` is that function's frame. 0, or -1 with errno. */
int bo_region_end(struct bo_thread *t, struct bough_region *region, uintptr_t sp);

void bo_section_enter(struct bo_thread *t, struct bough_region *region, int64_t budget);
void bo_section_leave(struct bo_thread *t, const struct bough_region *region);
void bo_cleanup_enter(struct bo_thread *t, struct bough_region *region, int64_t grace);
void bo_cleanup_leave(struct bo_thread *t, const struct bough_region *region);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Stacks, in three ways:
 *
 *   the caller's stack    by the compiler's unwinder: exact
 *   a blocked thread's    by scanning: its program counter, then each word on its stack that points to the end of a
 *                         call. The thread is not disturbed; some words are left over from calls that have returned
 *   a running thread's    by a signal whose handler unwinds. Only when the process is about to die: the signal may
 *                         interrupt a system call of foreign code
 */
#ifndef BO_INSPECT_STACK_H
#define BO_INSPECT_STACK_H

#include "inspect/maps.h"
#include "inspect/task.h"

enum { BO_FRAMES = 48 };

/* Writes one line for each frame, indented by six spaces. */
void bo_put_own_stack(struct bo_out *o, const struct bo_maps *maps);
void bo_put_stack_of(struct bo_out *o, const struct bo_maps *maps, const struct bo_task *task);
/* Requests the thread's stack, and waits for its answer, at most until `until` (CLOCK_MONOTONIC). One request at a
 * time. */
void bo_put_asked_stack(struct bo_out *o, const struct bo_maps *maps, pid_t tid, int64_t until);

#endif

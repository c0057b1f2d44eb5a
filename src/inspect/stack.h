/* SPDX-License-Identifier: MIT */
/*
 * Stacks, in three ways:
 *
 *   the caller's own      by the compiler's unwinder: exact
 *   a blocked thread's    by looking: its program counter, then what lies on its stack and points behind a call. The
 *                         thread is not disturbed; some of what is found are left-overs of calls that have returned
 *   a running thread's    by asking it: a signal whose handler unwinds. Only when the process is about to die: it can
 *                         be in the middle of a system call of foreign code
 */
#ifndef BO_INSPECT_STACK_H
#define BO_INSPECT_STACK_H

#include "inspect/maps.h"
#include "inspect/task.h"

enum { BO_FRAMES = 48 };

/* Lines that begin with six spaces. */
void bo_put_own_stack(struct bo_out *o, const struct bo_maps *maps);
void bo_put_stack_of(struct bo_out *o, const struct bo_maps *maps, const struct bo_task *task);
/* Waits for its answer, at most until `until` (CLOCK_MONOTONIC). One asker at a time. */
void bo_put_asked_stack(struct bo_out *o, const struct bo_maps *maps, pid_t tid, int64_t until);

#endif

/* SPDX-License-Identifier: MIT */
/* The kernel's report about a thread of this process, read from /proc/self/task without libc. */
#ifndef BO_INSPECT_TASK_H
#define BO_INSPECT_TASK_H

#include <stdbool.h>
#include <sys/types.h>
#include "inspect/safe_write.h"

/*
 *   state     as in ps: R runs, S sleeps, D can't be woken, T stopped, t traced, Z ended; '?': the thread was not found
 *   blocked   the thread was in the kernel when it was examined, so `sp` and `pc` are known
 *   nr        the system call that the thread is in, with its first argument; -1: none (a page fault), or not known
 *   wchan     the kernel function that it waits in; "" if the kernel hides it
 *
 * The time for which the thread is blocked is not read, because the scheduler's files are not documented.
 */
struct bo_task {
    char name[20], wchan[48], state;
    bool blocked;
    long nr;
    unsigned long first;
    uintptr_t sp, pc;
};

void bo_task_look(struct bo_task *task, pid_t tid);
/* "read(5, ...)" */
void bo_put_call(struct bo_out *o, const struct bo_task *task);

#endif

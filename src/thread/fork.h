/* SPDX-License-Identifier: MIT */
/*
 * fork(): the child gets a new arena, with the forking thread and the branches that it has open in the same slots, so
 * that its handles stay valid. Everything else starts empty: the parent's other threads are not in the child, and
 * interrupts of them do not concern it (rule 6).
 *
 *      prepare   blocks all signals, copies the thread and its branches, and lets the child inherit the arena's mapping
 *      parent    ends that, and frees the copy
 *      child     maps a new arena at the same address, with the copy in it; the higher layers drop their other data
 *
 * Signals are blocked because meanwhile the child's arena is its parent's, and a signal handler might post to it. If a
 * signal handler forks and returns in the child, operations that it had interrupted there are not continued correctly.
 * If there is no memory for the copy or for the arena, the child is like a process in which the library has not been set
 * up yet: no thread is known, its branches and regions stayed in the parent, and the library's next use tries again. A
 * child of bough that has forked ends its process when its function returns, as otherwise.
 *
 * A child that is made without fork handlers, by clone(2) or _Fork(), has no arena, or its parent's if another thread
 * forks at that moment: it can only exec. vfork() and posix_spawn() share the parent's memory until the exec, and are
 * not affected.
 */
#ifndef BO_THREAD_FORK_H
#define BO_THREAD_FORK_H

#include "state/arena.h"

/* 0 or an error. */
int bo_fork_init(void);
/* An arena was made in a child that had no memory for one: it continues as the child of its fork. */
void bo_fork_catch_up(void);

#endif

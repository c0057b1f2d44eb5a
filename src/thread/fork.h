/* SPDX-License-Identifier: MIT */
/*
 * fork(): the child gets an arena of its own, with the forking thread and the branches that it has open, in the same
 * slots, so that its handles go on. All else begins from nothing: the parent's other threads are not here, and what
 * was asked of them was not asked of this process (rule 6).
 *
 *      prepare   blocks all signals, takes a copy of what goes along, and lends the arena
 *      parent    takes it back, and drops the copy
 *      child     puts a new arena in the old one's place, and the copy in there; the layers above forget the rest
 *
 * Signals are blocked because in between the child's arena is its parent's, and a handler might post to it. What a
 * handler leaves half done below it, when it forks and returns in the child, is not followed. A child that is made
 * without these handlers, by clone(2) or _Fork(), has no arena, or its parent's if another thread forks just then: it
 * can only exec. vfork() and posix_spawn() share the parent's memory until then, and are not concerned.
 */
#ifndef BO_THREAD_FORK_H
#define BO_THREAD_FORK_H

#include "state/arena.h"

/* 0 or an error. */
int bo_fork_init(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * fork(): the child process gets a new arena, with the forking thread and its open branches in the same slots, so that
 * their handles stay valid. The rest of the arena starts empty: the parent's other threads do not exist in the child,
 * and interrupts of them do not concern it (rule 6).
 *
 *      prepare   blocks all signals, copies the thread and its branches, and lets the child inherit the arena's mapping
 *      parent    excludes the mapping from later children again, and frees the copy
 *      child     maps a new arena at the same address, with the copy in it; the higher layers drop their other data
 *
 * Signals are blocked because the child has its parent's arena until the last step, and a signal handler might post to
 * it. If a signal handler forks and returns in the child, operations that it had interrupted there are not continued
 * correctly. If there is no memory for the copy or for the arena, the child is like a process in which the library has
 * not been set up yet: no thread is adopted, the branches and regions stayed in the parent, and the library's next use
 * tries again. When the function of a forked child thread returns, it ends its process.
 *
 * A child process that is made without fork handlers, by clone(2) or _Fork(), has no arena, or its parent's if another
 * thread forks at that moment: it can only exec. vfork() and posix_spawn() share the parent's memory until the exec,
 * and are not affected.
 */
#ifndef BO_THREAD_FORK_H
#define BO_THREAD_FORK_H

#include "state/arena.h"

/* Register the fork handlers. 0 or an error number. */
int bo_fork_init(void);
/* Called when an arena was made in a child that had no memory for it at the fork: completes the work of the fork. */
void bo_fork_catch_up(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The warden: carries out what the policy says, on the ticker's thread and its deadlines. It runs nothing of the
 * program's, waits for nothing and takes no lock (rule 39).
 *
 *   a post --bo_ladder_posted(): ceiling, cap; the kernel's timer--> the ticker looks at the target when the flag's time is over,
 *     a second event comes, or a handler has said something --> policy --> the rung is carried out
 *
 * An incident's standing is kept in its record, where it can be seen from outside; what only the warden needs, in a
 * table of those that are watched: that may climb to the end of the process, or that have gone up already.
 */
#ifndef BO_LADDER_WARDEN_H
#define BO_LADDER_WARDEN_H

#include "state/arena.h"

/* Is a debugger attached? [signal] */
bool bo_traced(void);

#endif

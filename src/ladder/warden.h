/* SPDX-License-Identifier: MIT */
/*
 * The warden carries out the policy's steps, on the ticker's thread at its deadlines. It runs no application code,
 * waits for nothing and takes no lock (rule 39).
 *
 *   a post --bo_ladder_posted(): ceiling, cap; the kernel's timer--> the ticker looks at the target when the flag's
 *     time is over, a second event comes, or a handler has ended --> policy --> the rung is carried out
 *
 * An incident's standing is kept in its record, where it can be seen from outside. The values that only the warden
 * needs are in a table of watched incidents: those that may climb to the end of the process, or have climbed already.
 */
#ifndef BO_LADDER_WARDEN_H
#define BO_LADDER_WARDEN_H

#include "state/arena.h"

/* Is a debugger attached? [signal] */
bool bo_traced(void);

#endif

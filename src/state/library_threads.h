/* SPDX-License-Identifier: MIT */
/*
 * How many of the process' threads are the library's own. Who is says so himself, while nothing of the program's runs on him: a parked
 * worker, an idle helper. The count is never more than there are, so that nothing that runs is overlooked.
 */
#ifndef BO_STATE_LIBRARY_THREADS_H
#define BO_STATE_LIBRARY_THREADS_H

#include <stdint.h>

void bo_own_begin(void);
void bo_own_end(void);
/* The count in the lower half. Two equal looks mean that nothing has changed between them. */
uint64_t bo_own_look(void);
/* In a forked child: none. */
void bo_own_clear(void);

#endif

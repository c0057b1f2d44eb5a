/* SPDX-License-Identifier: MIT */
/*
 * The number of the library's threads in this process. Each registers itself while it runs no application code: a
 * parked worker, an idle helper. The count is never too high, so that no running thread is overlooked.
 */
#ifndef BO_STATE_LIBRARY_THREADS_H
#define BO_STATE_LIBRARY_THREADS_H

#include <stdint.h>

void bo_library_thread_begin(void);
void bo_library_thread_end(void);
/* Returns the count in the lower half. Two equal values mean that the count has not changed between the loads. */
uint64_t bo_library_threads(void);
/* In a forked child: set the count to 0. */
void bo_library_threads_clear(void);

#endif

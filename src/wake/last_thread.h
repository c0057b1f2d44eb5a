/* SPDX-License-Identifier: MIT */
/*
 * Detects the end of the program's last thread. POSIX then ends the process by exit(0), which only matters if main has
 * called pthread_exit(). The library's threads never end, so the library, and not libc, has to call exit(0).
 *
 *   main ends, or, if main is not adopted, another thread --bo_last_thread_main_left(), bo_last_thread_ends()-->
 *   the ticker counts, twice a second: all threads - the library's - main, a zombie = 0?   --> bo_last_one_out()
 */
#ifndef BO_WAKE_LAST_THREAD_H
#define BO_WAKE_LAST_THREAD_H

#include <stdbool.h>
#include <stdint.h>

/* Set whether the main thread is adopted. */
void bo_last_thread_main_known(bool known);
/* Called on the main thread, at its end. */
void bo_last_thread_main_left(void);
/* Called on another adopted thread, at its end. */
void bo_last_thread_ends(void);
void bo_last_thread_after_fork(bool main_known);

/* Called on the ticker's thread. Returns the time of the next call, on CLOCK_MONOTONIC. */
int64_t bo_last_thread_tick(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Detects the end of the program's last thread. POSIX then ends the process by exit(0), which only matters if main has
 * called pthread_exit(). The library's threads never end, so the library has to do that instead of libc.
 *
 *   main leaves, or, where bough does not know main, a thread ends --bo_last_thread_main_left(), bo_last_thread_ends()-->
 *   the ticker counts, twice a second: all threads - the library's - main, a zombie = 0?   --> bo_last_one_out()
 */
#ifndef BO_WAKE_LAST_THREAD_H
#define BO_WAKE_LAST_THREAD_H

#include <stdbool.h>
#include <stdint.h>

/* Set whether bough knows the main thread. */
void bo_last_thread_main_known(bool known);
/* On main, at its end. */
void bo_last_thread_main_left(void);
/* On another adopted thread, at its end. */
void bo_last_thread_ends(void);
void bo_last_thread_after_fork(bool main_known);

/* On the ticker's thread. Returns when to call it again, on CLOCK_MONOTONIC. */
int64_t bo_last_thread_tick(void);

#endif

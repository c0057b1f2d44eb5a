/* SPDX-License-Identifier: MIT */
/*
 * Abandons robust mutexes of libc, as the kernel does at a thread's end:
 *
 *      word:  holder's thread id (30) | OWNER_DIED | WAITERS
 *      if the holder is the thread that died:  WAITERS stays, OWNER_DIED is set, one waiter is woken
 *
 * That word is the kernel's interface, the same for each libc. Its place in a pthread_mutex_t, and the bit for
 * "robust", depend on libc: only this file uses them.
 */
#ifndef BO_LADDER_ROBUST_H
#define BO_LADDER_ROBUST_H

#include <pthread.h>
#include <sys/types.h>

/* 0: bo_robust_abandon() supports this mutex; EINVAL: it is not robust; ENOTSUP: it has priority inheritance, so the
 * kernel owns its word, or the libc is not supported. */
int bo_robust_check(const pthread_mutex_t *mutex);
/* If the thread, which is frozen or is the caller, holds the mutex, the next thread that locks it gets EOWNERDEAD. */
void bo_robust_abandon(pthread_mutex_t *mutex, pid_t holder);

#endif

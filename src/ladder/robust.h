/* SPDX-License-Identifier: MIT */
/*
 * Robust mutexes of libc, as the kernel deals with them at a thread's death:
 *
 *      word:  holder's thread id (30) | OWNER_DIED | WAITERS
 *      if the holder is the thread that died:  WAITERS stays, OWNER_DIED is set, one waiter is woken
 *
 * That word is the kernel's interface, the same for each libc. Where it lies in a pthread_mutex_t, and which bit says
 * that it is robust, is libc's: this is the one file that knows.
 */
#ifndef BO_LADDER_ROBUST_H
#define BO_LADDER_ROBUST_H

#include <pthread.h>
#include <sys/types.h>

/* 0 if bo_robust_abandon() can do something for it; EINVAL: not robust; ENOTSUP: one with priority inheritance, whose
 * word the kernel owns, or a libc that is not known. */
int bo_robust_check(const pthread_mutex_t *mutex);
/* If the thread, which stands still or is the caller, holds it: its next taker gets EOWNERDEAD. */
void bo_robust_abandon(pthread_mutex_t *mutex, pid_t holder);

#endif

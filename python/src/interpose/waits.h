/* SPDX-License-Identifier: MIT */
/* Stand-ins for functions of libc and of the interpreter, which interpose.c installs (waits.c). */
#ifndef BP_WAITS_H
#define BP_WAITS_H

#include "base/state.h"

#include <poll.h>
#include <semaphore.h>
#include <sys/select.h>
#include <time.h>

int bp_own_sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *until);
int bp_own_sem_timedwait(sem_t *sem, const struct timespec *until);
int bp_process_sem_wait(sem_t *sem);
int bp_process_sem_timedwait(sem_t *sem, const struct timespec *until);
int bp_check_signals(void);
int bp_readline_select(int count, fd_set *in, fd_set *out, fd_set *other, struct timeval *timeout);
int bp_ssl_poll(struct pollfd *polled, nfds_t count, int timeout);
void bp_ssl_set_error(PyObject *type, const char *text);

/* The library's functions in place of libc's. NULL: not interposed yet. */
extern int (*bp_interruptible_wait)(sem_t *);
extern int (*bp_interruptible_clockwait)(sem_t *, clockid_t, const struct timespec *);
extern int (*bp_interruptible_timedwait)(sem_t *, const struct timespec *);
extern int (*bp_interruptible_select)(int, fd_set *, fd_set *, fd_set *, struct timeval *);
extern int (*bp_interruptible_poll)(struct pollfd *, nfds_t, int);

#endif

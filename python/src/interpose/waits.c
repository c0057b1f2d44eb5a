/* SPDX-License-Identifier: MIT */
/* Stand-ins for the interpreter's waits, and for functions that code calls after an interrupted call. interpose.c
 * installs them. */
#include "raise/raise.h"
#include "interpose/interpose.h"
#include "interpose/waits.h"

/* ---- the interpreter's waits ------------------------------------------------------------------------ */

int (*bp_interruptible_wait)(sem_t *);
int (*bp_interruptible_clockwait)(sem_t *, clockid_t, const struct timespec *);
int (*bp_interruptible_timedwait)(sem_t *, const struct timespec *);

static bool for_a_lock(void)
{
    return bp_me && bp_me->wait.in_lock;
}

int bp_own_sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *until)
{
    return for_a_lock() ? bp_interruptible_clockwait(sem, clock, until) : sem_clockwait(sem, clock, until);
}

int bp_own_sem_timedwait(sem_t *sem, const struct timespec *until)
{
    return for_a_lock() ? bp_interruptible_timedwait(sem, until) : sem_timedwait(sem, until);
}

int bp_process_sem_wait(sem_t *sem)
{
    return bp_interruptible_wait(sem);
}

int bp_process_sem_timedwait(sem_t *sem, const struct timespec *until)
{
    return bp_interruptible_timedwait(sem, until);
}

/* ---- code that checks for signals when a call has failed --------------------------------------------------------- */

/* An interruption point in extension modules, whether a call has failed or the module only checks for signals. */
int bp_check_signals(void)
{
    struct bp_thread *t = bp_me;
    if (t && t->cut.is_set && bp_meet(t) != 0)
        return -1;
    if (t && bough_foreign_check(&t->cut.why) != 0 && bp_meet(t) != 0)
        return -1;
    return PyErr_CheckSignals();
}

int (*bp_interruptible_select)(int, fd_set *, fd_set *, fd_set *, struct timeval *);

/* readline ends this wait only if it fails with EINTR and PyErr_CheckSignals() then raises. */
int bp_readline_select(int count, fd_set *in, fd_set *out, fd_set *other, struct timeval *timeout)
{
    struct bp_thread *t = bp_me;
    if (t)
        t->wait.in_readline = true;
    int result = bp_interruptible_select(count, in, out, other, timeout);
    if (t)
        t->wait.in_readline = false;
    return result;
}

int (*bp_interruptible_poll)(struct pollfd *, nfds_t, int);

/* SSLSocket.unwrap() with a timeout ignores the failure of its poll(), and polls again. So the stand-in reports a
 * timeout. */
int bp_ssl_poll(struct pollfd *polled, nfds_t count, int timeout)
{
    return bp_is_cut_here(bp_me) ? 0 : bp_interruptible_poll(polled, count, timeout);
}

/* Replaces the TimeoutError of that timeout. Its class can't be replaced, as for other errors (replaced.c): up to 3.11
 * the object is made where it is caught, and other code may make a TimeoutError there, too. */
void bp_ssl_set_error(PyObject *type, const char *text)
{
    if (type == PyExc_TimeoutError && bp_is_cut_here(bp_me) && bp_meet(bp_me) != 0)
        return;
    PyErr_SetString(type, text);
}

/* Ends early, without an error, if an interrupt is due: the caller checks for that. */
void bp_pause(int64_t ns)
{
    struct timeval time = {ns / 1000000000, ns % 1000000000 / 1000};
    if (bp_interruptible_select)
        bp_interruptible_select(0, NULL, NULL, NULL, &time);
    else
        nanosleep(&(struct timespec){ns / 1000000000, ns % 1000000000}, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * How an interrupted call of foreign code fails (rule 22): only in a way that its standard allows and that its callers
 * tolerate. Each row of calls/calls.def names the manner:
 *
 *   EINTR_FIRST   EINTR, which every POSIX program has to expect. If the same call is repeated at once, with no other
 *                 blocking call in between, it is in an EINTR retry loop: now it fails with ECANCELED, or the error
 *                 that the thread chose. So does any call that the same record interrupts later, after the grace period
 *   AT_ONCE       ECANCELED, or the thread's error, at once: the standard has no EINTR for this call, and allows other
 *                 errors
 *   EINTR_ALONE   EINTR and never another error: a caller that retries on EINTR takes any other result for success.
 *                 This is a silent wait
 *   SPURIOUS      success, the spurious wakeup that a condition wait may have. This is a silent wait
 *   PAUSE         EINTR, or the pause's result for EINTR; if the pause is repeated at once, success: it is over. Most
 *                 callers ignore the result, some abort on any other error. This is a silent wait
 *   NEVER         not interrupted: the standard allows no such failure, and callers abort on it (joins)
 *
 * A silent wait is interrupted at most once a grace period, and does not count as the delivery of the interrupt
 * (EINTR_ALONE does, unless the caller retries). Libraries that abort on anything but EINTR have EINTR_ALONE in all of
 * their calls (interpose/eintr.h).
 *
 * If code ignores the failure of poll() or select() and uses the descriptor, the descriptor is not ready: its next call
 * on one of the polled descriptors that would fail with EAGAIN fails with the interrupt's error instead.
 */
#ifndef BO_INTERPOSE_OUTCOME_H
#define BO_INTERPOSE_OUTCOME_H

#include <bough/interpose.h>
#include <poll.h>
#include <pthread.h>
#include <sys/select.h>
#include <time.h>
#include "thread/foreign_call.h"

enum bo_manner {
    BO_EINTR_FIRST,
    BO_AT_ONCE,
    BO_NEVER,
    BO_EINTR_ALONE, /* from here on: silent waits */
    BO_SPURIOUS,
    BO_PAUSE,
};

/* The descriptors, or the thread, that a call waits for. */
struct bo_waited {
    int fd;                      /* -1: none, or several */
    pid_t tid;                   /* of a join; 0 */
    const struct pollfd *polled; /* of poll(); NULL */
    const fd_set *in, *out;      /* of select(); NULL */
    unsigned long count;         /* of `polled`; the highest number in the sets and 1 */
};

/* A call of foreign code: what it is and where it was called. */
struct bo_site {
    const char *name;   /* libc's, in constant data */
    const void *caller; /* an address in the calling object */
    enum bo_manner manner;
    struct bo_waited on;
};

/* ---- for the rows of calls.def ------------------------------------------------------------------------- */

static inline struct bo_waited bo_on_nothing(void)
{
    return (struct bo_waited){.fd = -1};
}

static inline struct bo_waited bo_on_fd(int fd)
{
    return (struct bo_waited){.fd = fd};
}

static inline struct bo_waited bo_on_polled(const struct pollfd *polled, nfds_t count)
{
    return (struct bo_waited){.fd = -1, .polled = polled, .count = count};
}

static inline struct bo_waited bo_on_sets(int count, const fd_set *in, const fd_set *out)
{
    return (struct bo_waited){.fd = -1, .in = in, .out = out, .count = count > 0 ? (unsigned long)count : 0};
}

/* The id of a thread's CPU-time clock contains the thread's kernel id. 0: it has ended. */
static inline struct bo_waited bo_on_thread(pthread_t thread)
{
    clockid_t clock;
    return (struct bo_waited){.fd = -1, .tid = pthread_getcpuclockid(thread, &clock) == 0 ? ~(clock >> 3) : 0};
}

/* ---- the outcome ------------------------------------------------------------------------------------------ */

/* Must the thread's next call be compared with a remembered one? */
extern BO_TLS bool bo_outcome_armed;

/* bo_outcome_before() returns this for a call that is to report success without being made. Not an error number. */
enum { BO_OVER = -1 };

int bo_outcome_compare(struct bo_thread *t, const struct bo_site *site, bool may_block);
enum bo_foreign_step bo_outcome_weigh(struct bo_thread *t, const struct bo_site *site);

/* Before a call: 0, or, if it is the second one of a retry loop, how it ends without being made: the error number that
 * it fails with, or BO_OVER. `may_block` is evaluated only if bo_outcome_armed is set. */
#define bo_outcome_before(t, site, may_block) \
    (bo_unlikely(bo_outcome_armed) ? bo_outcome_compare((t), (site), (may_block)) : 0)

/* Are only silent waits suppressed at present? */
static inline bool bo_outcome_depends(const struct bo_thread *t)
{
    const uint64_t both = BO_FOREIGN_DUE | BO_SILENT_DUE;
    return bo_unlikely((bo_load_relaxed(&t->t.word) & both) == BO_FOREIGN_DUE);
}

/* The step for a call of this manner. If only silent waits are suppressed at present, the step depends on the
 * caller, too: `site` is evaluated only then. */
#define bo_outcome_step_of_row(t, manner, site) \
    (bo_outcome_depends(t) ? bo_outcome_weigh((t), (site)) : bo_outcome_step_by(manner))

static inline enum bo_foreign_step bo_outcome_step_by(enum bo_manner manner)
{
    return manner >= BO_EINTR_ALONE ? BO_FOREIGN_SILENT : BO_FOREIGN_CALL;
}

static inline enum bo_foreign_step bo_outcome_step(struct bo_thread *t, const struct bo_site *site)
{
    return bo_outcome_step_of_row(t, site->manner, site);
}

/* After a call that was interrupted: delivers the interrupt, or ends a silent wait. Returns the error number that the
 * call fails with; 0: it reports success. */
int bo_outcome_of(struct bo_thread *t, const struct bo_site *site);
/* After a call that was not interrupted, and has set errno if its result is -1: sets errno to the interrupt's error, if
 * the call found nothing where the failure of a poll() was ignored. Returns the result. */
ssize_t bo_outcome_after(struct bo_thread *t, const struct bo_site *site, ssize_t result);

#endif

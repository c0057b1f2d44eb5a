/* SPDX-License-Identifier: MIT */
/*
 * Interruptible blocking calls. Each blocking call that bough makes for the user has one of two forms:
 *
 * 1. bo_call(): one system call through the window (arch/window.h). No interrupt can come between check and block.
 *
 * 2. bo_libc_begin() .. bo_libc_end(): around a call into libc that waits inside (sem_wait, pthread_cond_wait,
 *    pthread_join). There the program counter does not show the state of the call, so the wake signal is repeated with
 *    backoff until the thread has left the call. The call needs a timeout: its deadline is `wait->until`, far in the
 *    future, which the signal's handler sets to the past. If the kernel reads that memory after the signal, it sees an
 *    expired time; if it waits already, it returns EINTR. Then the caller checks whether the wait has succeeded,
 *    because a completed effect wins (rule 9).
 *
 * Both are [point]s, adopt the calling thread, and are reentrant: a signal handler that interrupts a blocked call may
 * make further calls.
 */
#ifndef BO_THREAD_CALL_H
#define BO_THREAD_CALL_H

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include "arch/window.h"
#include "base/atomic.h"
#include "base/clock.h"
#include "base/hook.h"
#include "state/arena.h"
#include "state/current.h"
#include "thread/adopt.h"
#include "wake/frames.h"

/* The slow part of bo_call(): handles nested calls and signals under way, finds the cause of an interruption, and
 * repeats the call if necessary. */
long bo_call_rest(struct bo_thread *t, long result, long nr, long a, long b, long c, long d, long e, long f);
long bo_call_stranger(long nr, long a, long b, long c, long d, long e, long f);
/* Make a call, and record it if a recording is on. */
long bo_call_recorded(struct bo_thread *t, long nr, long a, long b, long c, long d, long e, long f);

#if BO_ARCH_WINDOW && !BO_HOOKS
static inline long bo_call_window(struct bo_thread *t, long nr, long a, long b, long c, long d, long e, long f)
{
    return bo_window(&t->t.word, t->call.due_byte, &t->call.frame, nr, a, b, c, d, e, f);
}
#else
/* The window in C, for machines without one, and for builds with hooks between its steps. */
long bo_call_window(struct bo_thread *t, long nr, long a, long b, long c, long d, long e, long f);
#endif

static inline long bo_call_quiet(struct bo_thread *t, long nr, long a, long b, long c, long d, long e, long f)
{
    bo_word_look(bo_load_seq(&t->t.word), -1);
    long r = bo_call_window(t, nr, a, b, c, d, e, f);
    bo_word_look(bo_load_seq(&t->t.word), r == -BO_EON_TOP);
    bool done = r != -EINTR && (unsigned long)r + BO_ECUT > BO_ECUT - BO_EWOKEN;
    bool quiet = !(bo_load_seq(&t->t.word) & BO_UNDER_WAY);
    return bo_likely(done && quiet) ? r : bo_call_rest(t, r, nr, a, b, c, d, e, f);
}

/*
 * The raw result, or -errno; -BO_ECUT: the call was interrupted and had no effect; -EINTR: a handler of the program
 * ran, as the kernel reports it. The interrupt counts as delivered when bo_result() or bo_error() receives -BO_ECUT.
 * Inline, because another function around a short system call costs measurable time.
 */
static inline long bo_call(long nr, long a, long b, long c, long d, long e, long f)
{
    struct bo_thread *t = bo_self;
    if (bo_unlikely(!t))
        return bo_call_stranger(nr, a, b, c, d, e, f);
    if (bo_unlikely(bo_load_relaxed(&t->call.recorded))) /* in the cache line that each call uses */
        return bo_call_recorded(t, nr, a, b, c, d, e, f);
    return bo_call_quiet(t, nr, a, b, c, d, e, f);
}

#define BO_CALL_(nr, a, b, c, d, e, f, ...) \
    bo_call((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
/* bo_call with as many arguments as the call has. */
#define BO_CALL(...) BO_CALL_(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

/* Convert a raw failure to errno and -1; BO_ECUT becomes ECANCELED. Also store for rule 28 whether the last failure was
 * an interrupt. */
long bo_failed(long raw);

static inline long bo_result(long raw)
{
    return bo_unlikely((unsigned long)raw > -4096UL) ? bo_failed(raw) : raw;
}

/* Convert a raw failure for calls that return an error number (pthread_*), or 0. */
int bo_error(int error);

/* The test of bough_check(), or the corresponding test in foreign code: 0, or BO_ECUT. */
int bo_point(void);

/* Begin a wait inside libc. 0, or BO_ECUT if an interrupt is due already (then bo_libc_end() is not called). `until` is
 * set to `*deadline`, or to a far future time for NULL. Recordings show `number` and `object`: the wait, and the object
 * that it waits for. */
int bo_libc_begin(struct bo_libc_wait *wait, const struct timespec *deadline, enum bo_trace_wait number,
                  uint64_t object);
/* End the wait. Returns whether an interrupt is due, which may have caused a timeout that libc reports. The interrupt
 * is delivered only if the caller then fails with BO_ECUT; if the call succeeds, the interrupt stays pending. */
bool bo_libc_end(struct bo_libc_wait *wait);

/* The interruptible futex wait, raw: 0, -EAGAIN, -ETIMEDOUT, -EINTR, -BO_ECUT. `deadline` is on bough_now()'s clock,
 * BO_FOREVER for none. A wake-up that has come is returned, never lost: the caller tries to take the object before it
 * checks for an interrupt again. */
long bo_futex_wait(const _Atomic uint32_t *word, uint32_t expected, int64_t deadline);

#endif

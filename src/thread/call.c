/* SPDX-License-Identifier: MIT */
#include "thread/call.h"
#include <bough/call.h>
#include <linux/futex.h>
#include "arch/frame.h"
#include "base/futex.h"
#include "base/hook.h"
#include "base/raw.h"
#include "state/arena.h"
#include "state/clock.h"
#include "state/current.h"
#include "state/log.h"
#include "state/tree.h"
#include "thread/adopt.h"
#include "thread/foreign_call.h"
#include "thread/level.h"
#include "thread/recorded.h"
#include "thread/suppress.h"
#include "trace/recorder.h"
#include "wake/frames.h"
#include "wake/ticker.h"
#include "wake/unanswered.h"
#include "wake/wake.h"
#include "wake/wake_send.h"

/* ---- calls that a jump has left ------------------------------------------------------------ */

/* Called when the word has IN. If a jump has left that call, corrects the word and returns true. `sp`: where on the
 * stack the next call is. */
static bool find_left(struct bo_thread *t, uintptr_t sp)
{
    if (!(bo_load_relaxed(&t->t.word) & BO_IN) || !bo_call_was_left(t, sp, bo_frames_on_alternate_stack()))
        return false;
    bo_call_abandon(t);
    if (bo_unanswered_reports(t, BO_REPORTED_LEFT))
        bo_report("thread %d has left an interruptible call by a jump out of a signal handler: use bough_longjmp()",
                  (int)bo_load_relaxed(&t->tid));
    return true;
}

/* ---- system calls ------------------------------------------------------------------------------------ */

#if !BO_ARCH_WINDOW
long bo_call_window(struct bo_thread *t, long nr, long a, long b, long c, long d, long e, long f)
{
    uintptr_t frame = BO_FRAME();
    while (bo_word_set(&t->t.word, BO_IN, BO_BY_CALL) & BO_IN)
        if (!find_left(t, frame)) /* the frames of one function best show which call is deeper */
            return -BO_EON_TOP;
    t->call.frame = frame;
    bo_store_relaxed(&t->t.wakes_sent, 0);
    bo_word_set(&t->t.word, BO_IN | BO_REPEAT, BO_BY_CALL); /* IN again: see announce_libc_wait() */
    BO_HOOK(call_entered);
    long r = bo_window_plain(t->call.due_byte, nr, a, b, c, d, e, f);
    BO_HOOK(call_left);
    bo_word_clear(&t->t.word, BO_IN | BO_REPEAT, BO_BY_CALL);
    BO_HOOK(call_out);
    return r;
}
#elif BO_HOOKS
static bool set_at_hook(bool is)
{
    bool was = bo_call_at_hook;
    bo_call_at_hook = is;
    bo_signal_fence();
    return was;
}

/* While the thread is at a hook, the signal's handler does nothing, as in the window: this function tests the word
 * afterwards, or the call is over. The frames on the stack show whether the thread is at the hook itself, or in a
 * signal handler that has interrupted it. */
long bo_call_window(struct bo_thread *t, long nr, long a, long b, long c, long d, long e, long f)
{
    const struct bo_window_call call = {nr, a, b, c, d, e, f};
    uint64_t before;
    bool outer = set_at_hook(true);
    if (bo_word_set(&t->t.word, BO_IN, BO_BY_CALL) & BO_IN) {
        bo_call_at_hook = outer;
        return -BO_EON_TOP;
    }
    t->call.frame = BO_FRAME();
    BO_HOOK(call_entered);
    long r = bo_window_on_top(&bo_blocked_at_hook, &before, t->call.due_byte, &call);
    bo_blocked_at_hook = 0;
    BO_HOOK(call_left);
    bo_word_clear(&t->t.word, BO_IN, BO_BY_CALL);
    bo_call_at_hook = outer;
    BO_HOOK(call_out);
    return r;
}
#else
static inline bool set_at_hook(bool is)
{
    return is;
}
#endif

/*
 * A handler of the program has interrupted a blocked call, and makes this call. The wake signal may be blocked in that
 * handler (come_back() in wake_signal.c): the window unblocks it. Then the outer call may have to end too (rule 5): the
 * wake signal's handler has sent that call's wake again.
 */
static long call_on_top(struct bo_thread *t, long nr, long a, long b, long c, long d, long e, long f)
{
    const uint64_t mask = bo_wake_bit();
    uint64_t before = 0;
    bool below = bo_load_relaxed(&t->call.below_handler);
#if BO_ARCH_WINDOW
    const struct bo_window_call call = {nr, a, b, c, d, e, f};
    bool at_hook = set_at_hook(false);
    long r = bo_window_on_top(&mask, &before, t->call.due_byte, &call);
    set_at_hook(at_hook);
#else
    before = bo_wake_send_unblock() ? mask : 0;
    uint64_t outer = bo_word_set(&t->t.word, BO_REPEAT, BO_BY_ON_TOP);
    long r = bo_window_plain(t->call.due_byte, nr, a, b, c, d, e, f);
    bo_word_clear(&t->t.word, BO_REPEAT & ~outer, BO_BY_ON_TOP);
    if (bo_load_seq(&t->t.word) & BO_DUE)
        bo_wake_again(t, false); /* this call has consumed the outer call's wake */
#endif
    bool found_blocked = before & mask;
    if (found_blocked)
        bo_raw4(SYS_rt_sigprocmask, SIG_BLOCK, (long)&mask, 0, sizeof mask);
    if (found_blocked && !below)
        bo_store_relaxed(&t->call.below_handler, 0); /* the program, and not bough, blocks the signal */
    return r;
}

static struct bo_record *pending(const struct bo_thread *t)
{
    if (bo_load_seq(&t->t.word) & BO_DISABLED)
        return NULL;
    return bo_foreign_calls(t) ? bo_foreign_pending(t) : bo_pending_record(t, true);
}

/* Whether the point fails for the record. Handlers of the ladder run here, as bough's code, not as foreign code. */
static bool fails_for(struct bo_thread *t, struct bo_record *r)
{
    if (!bo_foreign_calls(t))
        return bo_level_verdict(t, r) == BO_POINT_FAILS;
    enum bo_foreign_step step = bo_foreign_aside(t);
    enum bo_point point = bo_level_verdict(t, r);
    bo_foreign_step(t, step);
    return point == BO_POINT_FAILS;
}

/* Whether the call has to fail for an interrupt. If not, because the interrupt was cleared meanwhile or a cleanup runs,
 * the word is corrected. The delivery is recorded only where the call fails, because a completed effect may still win
 * (rule 9). */
static bool due(struct bo_thread *t)
{
    if (!(bo_load_seq(&t->t.word) & bo_foreign_due_bit(t)))
        return false;
    bo_level_end_abandoned(t, BO_FRAME());
    struct bo_record *r = pending(t);
    if (r && fails_for(t, r))
        return true;
    bo_level_catch_up();
    bo_level_recompute(t);
    return false;
}

/*
 * After a spurious wake, which has had no effect, the call is made again. An EINTR caused by a handler of the program
 * is returned, unless an interrupt is due as well. If a wake has come to a call that failed with EINTR, the wake counts
 * as the cause, unless a handler that interrupted the call has recomputed the word. That is not exact: the EINTR of an
 * undetected handler is lost if the wake was spurious. The opposite choice would show each spurious wake as EINTR to a
 * program that has a handler.
 */
static long cut(struct bo_thread *t, long result, long nr, long a, long b, long c, long d, long e, long f)
{
    if (bo_foreign_calls(t) && bo_foreign_borrowed())
        return bo_raw6(nr, a, b, c, d, e, f); /* this is the child of a vfork(): the interrupt is for its parent */
    bool on_top = t->call.recomputed_on_top;
    t->call.recomputed_on_top = false;
    if (due(t))
        return -BO_ECUT;
    bool by_handler = result == -EINTR || (result == -BO_EWOKEN && on_top);
    return by_handler ? -EINTR : bo_call_quiet(t, nr, a, b, c, d, e, f);
}

static bool is_cut(long result)
{
    return result == -EINTR || result == -BO_ECUT || result == -BO_EWOKEN;
}

/* Whether a signal handler has interrupted a call of foreign code. The handler's calls are bough's: DUE interrupts
 * them, even if the record was delivered to foreign code already (rule 22). */
static bool on_foreign_call(const struct bo_thread *t)
{
    return bo_foreign_calls(t) && (bo_load_relaxed(&t->t.word) & BO_IN);
}

static long call_in_handler(struct bo_thread *t, long nr, long a, long b, long c, long d, long e, long f)
{
    bool aside = on_foreign_call(t);
    enum bo_foreign_step step = aside ? bo_foreign_aside(t) : BO_NOT_FOREIGN;
    long result = call_on_top(t, nr, a, b, c, d, e, f);
    if (is_cut(result))
        result = cut(t, result, nr, a, b, c, d, e, f);
    if (aside)
        bo_foreign_step(t, step);
    return result;
}

BO_COLD long bo_call_rest(struct bo_thread *t, long result, long nr, long a, long b, long c, long d, long e, long f)
{
    if (result == -BO_EON_TOP)
        return find_left(t, BO_FRAME()) ? bo_call_quiet(t, nr, a, b, c, d, e, f)
                                        : call_in_handler(t, nr, a, b, c, d, e, f);
    if (bo_load_seq(&t->t.word) & BO_UNDER_WAY)
        bo_wake_send_drain(t);
    if (is_cut(result))
        return cut(t, result, nr, a, b, c, d, e, f);
    t->call.recomputed_on_top = false;
    return result;
}

BO_COLD long bo_call_recorded(struct bo_thread *t, long nr, long a, long b, long c, long d, long e, long f)
{
    struct bo_trace_call call;
    struct bo_recorded recorded;
    if (bo_tracing()) {
        find_left(t, BO_FRAME()); /* so that a call that was left is not shown around this one */
        bo_record_argument(&recorded, nr, (const long[]){a, b, c, d, e, f});
        bo_trace_call_begin(&call, (unsigned)nr, &recorded.argument);
        long r = bo_call_quiet(t, nr, a, b, c, d, e, f);
        bo_trace_call_end(&call);
        return r;
    }
    bo_store_relaxed(&t->call.recorded, 0); /* it was set too late: the thread began as the recording ended */
    return bo_call_quiet(t, nr, a, b, c, d, e, f);
}

BO_COLD long bo_call_stranger(long nr, long a, long b, long c, long d, long e, long f)
{
    if (!bo_adopt(NULL))
        return bo_raw6(nr, a, b, c, d, e, f); /* the table is full: the call works, but can't be interrupted */
    return bo_call(nr, a, b, c, d, e, f);
}

/* ---- results ----------------------------------------------------------------------------------------- */

/* Each interrupted call fails here, and the record is delivered. If the record was cleared at the last moment, the call
 * fails nevertheless. */
BO_COLD static int noted(int error)
{
    struct bo_thread *t = bo_self;
    if (t && bo_foreign_calls(t) && !on_foreign_call(t)) {
        t->call.foreign_cut |= error == BO_ECUT; /* the caller delivers the record, thread/foreign.h */
    } else if (t) {
        if (error == BO_ECUT)
            bo_level_deliver(t);
        t->call.last_was_cut = error == BO_ECUT;
    }
    return error == BO_ECUT ? ECANCELED : error;
}

BO_COLD long bo_failed(long raw)
{
    errno = noted((int)-raw);
    return -1;
}

int bo_error(int error)
{
    return error ? noted(error) : 0;
}

int bo_point(void)
{
    struct bo_thread *t = bo_self_or_adopt();
    if (t && bo_foreign_calls(t) && !on_foreign_call(t))
        return due(t) ? BO_ECUT : 0;
    return bough_check() != 0 ? BO_ECUT : 0;
}

/* ---- waits inside libc ------------------------------------------------------------------------------- */

static const struct timespec far_away = {INT64_C(1) << 33, 0}, past = {0, 0};

/* If this call is nested in another one, the wake signal may be blocked, as in call_on_top(). A wake that is delivered
 * now finds REPEAT, and the wait. A signal that came before the frame was stored has compared the stack with the frame
 * of an earlier call: it may have taken this call for one that a jump has left, and changed the word. */
static void announce_libc_wait(struct bo_thread *t, struct bo_libc_wait *wait)
{
    wait->below = bo_word_set(&t->t.word, BO_IN | BO_REPEAT, BO_BY_LIBC_BEGIN);
    BO_HOOK(libc_announced);
    if (wait->below & BO_IN) {
        bo_wake_send_unblock();
        return;
    }
    t->call.frame = (uintptr_t)wait;
    bo_signal_fence();
    if (bo_load_seq(&t->t.word) & BO_IN)
        return;
    t->call.libc_wait = wait;
    bo_signal_fence();
    bo_word_set(&t->t.word, BO_IN | BO_REPEAT, BO_BY_LIBC_BEGIN);
}

BO_COLD static void record_wait(struct bo_libc_wait *wait, enum bo_trace_wait number, uint64_t object)
{
    struct bo_recorded recorded;
    bo_record_wait(&recorded, number, object); /* it has no text, which would have to outlive this function */
    bo_trace_call_begin(&wait->recorded, number, &recorded.argument);
}

int bo_libc_begin(struct bo_libc_wait *wait, const struct timespec *deadline, enum bo_trace_wait number,
                  uint64_t object)
{
    *wait = (struct bo_libc_wait){.until = deadline ? *deadline : far_away};
    struct bo_thread *t = bo_self_or_adopt();
    if (!t || bo_ticker_need() != 0)
        return 0;
    find_left(t, (uintptr_t)wait);
    if (bo_point() != 0)
        return BO_ECUT;
    if (bo_unlikely(bo_load_relaxed(&t->call.recorded)))
        record_wait(wait, number, object);
    wait->in = true;
    wait->aside = on_foreign_call(t);
    if (wait->aside)
        wait->step = bo_foreign_aside(t);
    bo_store_relaxed(&t->t.wakes_sent, 0);
    wait->outer = t->call.libc_wait;
    bo_signal_fence(); /* the wake's handler follows the list from t->call.libc_wait */
    t->call.libc_wait = wait;
    bo_signal_fence();
    announce_libc_wait(t, wait);
    /* An interrupt posted before IN was set sends no signal. */
    if (bo_load_seq(&t->t.word) & bo_foreign_due_bit(t))
        wait->until = past;
    BO_HOOK(libc_entered);
    return 0;
}

bool bo_libc_end(struct bo_libc_wait *wait)
{
    struct bo_thread *t = bo_self;
    if (!wait->in)
        return false;
    t->call.libc_wait = wait->outer;
    bo_signal_fence();
    bo_word_clear(&t->t.word, (BO_IN | BO_REPEAT) & ~wait->below, BO_BY_LIBC_END);
    uint64_t w = bo_load_seq(&t->t.word);
    if (!(wait->below & BO_IN))
        t->call.recomputed_on_top = false;
    if (!(wait->below & BO_IN) && (w & BO_UNDER_WAY))
        bo_wake_send_drain(t);
    else if ((wait->below & BO_IN) && (w & BO_DUE))
        bo_wake_again(t, false);
    bool is_due = due(t);
    if (wait->aside)
        bo_foreign_step(t, wait->step);
    if (bo_unlikely(wait->recorded.is_on))
        bo_trace_call_end(&wait->recorded);
    return is_due;
}

/* ---- futex ------------------------------------------------------------------------------------------- */

long bo_futex_wait(const _Atomic uint32_t *word, uint32_t expected, int64_t deadline)
{
    for (;;) {
        struct timespec at = bo_timespec(bo_to_monotonic(deadline));
        long r = BO_CALL(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, deadline == BO_FOREVER ? NULL : &at, 0,
                         FUTEX_BITSET_MATCH_ANY);
        /* If the library's clock has stopped meanwhile, there is time left (rule 33). */
        if (r != -ETIMEDOUT || bo_now() >= deadline)
            return r;
    }
}

/* SPDX-License-Identifier: MIT */
/*
 * Calls of code that was not written for bough: libraries whose calls of libc functions reach src/interpose/ first, in
 * threads that opted in (rule 22).
 *
 * The stand-in for libc's function makes one of bough's calls between bo_foreign_enter() and bo_foreign_leave(). Not
 * DUE but another bit of the word interrupts that call. So each record is delivered to foreign code once for each rung,
 * and is then suppressed for a grace period, in which the foreign code's cleanup works; bough's calls still fail
 * meanwhile. There are two sorts of calls, with a bit and a suppression each:
 *
 *      step     bit            suppressed by   the call
 *      CALL     FOREIGN_DUE    reported        can report an interrupt: a failure counts as delivery, and suppresses
 *                                              both sorts
 *      SILENT   SILENT_DUE     silenced        cannot report it, or callers ignore the report (a pause, a condition
 *                                              wait): it ends early, once in a grace period, and the record stays due
 *                                              for the other sort
 *
 *      enter -> bough_read() -> leave: was the call interrupted?
 *                                 no   -> its result
 *                                 yes  -> if it could not have blocked, it had no effect: libc's function is called
 *                                         otherwise it fails, as interpose/outcome.h determines:
 *                                         bo_foreign_deliver(), or bo_foreign_silence()
 */
#ifndef BO_THREAD_FOREIGN_CALL_H
#define BO_THREAD_FOREIGN_CALL_H

#include "arch/frame.h"
#include "base/hook.h"
#include "state/current.h"

/* A plain longjmp() out of a signal handler leaves a call of foreign code without notice. The call's frame is gone if
 * it lies below `frame`, the frame of a function called since. True: the call was left, and now counts as left. */
bool bo_foreign_end_abandoned(struct bo_thread *t, uintptr_t frame);
/* The same before another call of foreign code, which begins in `frame`. `frame` may also lie further down, if only a
 * signal handler can make calls during the first call. */
bool bo_foreign_ended(struct bo_thread *t, uintptr_t frame);

/* The calling thread, if a call of foreign code is interruptible here: the thread is opted in, and not inside such a
 * call already (in a signal handler, or in libc functions that the call uses). Otherwise NULL. */
BO_IN_CALLER struct bo_thread *bo_foreign_thread(void)
{
    struct bo_thread *t = bo_self;
    if (bo_likely(t == NULL || t->open.foreign == 0))
        return NULL;
    if (bo_unlikely(bo_load_relaxed(&t->call.foreign)) && !bo_foreign_ended(t, BO_FRAME()))
        return NULL;
    return t;
}

/* From here on the bit of this step interrupts the thread's calls. A signal handler may jump out between any two
 * statements (rule 22). `foreign` is set while due_byte is not the lowest byte, so a later call detects the jump and
 * corrects both fields. */
static inline void bo_foreign_step(struct bo_thread *t, enum bo_foreign_step step)
{
    bool calls = step == BO_FOREIGN_CALL || step == BO_FOREIGN_SILENT;
    if (calls)
        bo_store_relaxed(&t->call.foreign, step);
    bo_signal_fence();
    BO_HOOK(foreign_begins);
    t->call.due_byte = bo_word_byte(&t->t.word, calls ? (int)step : 0);
    BO_HOOK(foreign_ends);
    bo_signal_fence();
    bo_store_relaxed(&t->call.foreign, step);
}

BO_IN_CALLER void bo_foreign_enter(struct bo_thread *t, enum bo_foreign_step step)
{
    t->call.foreign_cut = false;
    bo_store_relaxed(&t->join.thread, 0); /* a jump may have left it set */
    t->call.foreign_frame = BO_FRAME();
    bo_signal_fence();
    bo_foreign_step(t, step);
}

/* Whether the call was interrupted. Nothing is delivered yet. */
static inline bool bo_foreign_leave(struct bo_thread *t)
{
    bo_foreign_step(t, BO_NOT_FOREIGN);
    return bo_unlikely(t->call.foreign_cut);
}

static inline bool bo_foreign_calls(const struct bo_thread *t)
{
    uint8_t step = bo_load_relaxed(&t->call.foreign);
    return bo_unlikely(step == BO_FOREIGN_CALL || step == BO_FOREIGN_SILENT);
}

/* A handler of the ladder, which is bough's code, is about to run nested inside the call. Returns the step to
 * restore. */
static inline enum bo_foreign_step bo_foreign_aside(struct bo_thread *t)
{
    enum bo_foreign_step step = (enum bo_foreign_step)bo_load_relaxed(&t->call.foreign);
    bo_foreign_step(t, BO_FOREIGN_ASIDE);
    return step;
}

/* Called when a jump has left a call of foreign code. */
void bo_foreign_abandon(struct bo_thread *t);
/* Called when a signal handler that has interrupted the thread's calls leaves all of them by a longjmp(). */
void bo_call_abandon(struct bo_thread *t);
/* Whether this is the child of a vfork(), which runs on its parent's memory, including the slot. */
bool bo_foreign_borrowed(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Calls of code that was not written for bough: libraries whose calls of libc functions reach src/interpose/ first, in
 * threads that opted in (rule 22).
 *
 * Such a call is one of bough's calls, made between bo_foreign_enter() and bo_foreign_leave(). In between, a different
 * bit of the word than DUE interrupts it, so that each record is delivered to foreign code once for each rung and is
 * then suppressed for a grace period, in which that code's cleanup works. bough's calls still fail meanwhile. There are
 * two sorts of calls, with a bit and a suppression each:
 *
 *      step     bit            suppressed by   the call
 *      CALL     FOREIGN_DUE    reported        can report an interrupt: a failure counts as delivery, and suppresses both
 *                                              sorts
 *      SILENT   SILENT_DUE     silenced        cannot, or its caller is known to ignore it (a pause, a condition wait):
 *                                              it ends early, once a grace period, and the record stays due for the
 *                                              other sort
 *
 *      enter -> bough_read() -> leave: was it interrupted?
 *                                 no   -> its result
 *                                 yes  -> it could not have blocked?  nothing has happened: libc's function is called
 *                                         else it fails, interpose/outcome.h says how:
 *                                         bo_foreign_deliver(), or bo_foreign_silence()
 */
#ifndef BO_THREAD_FOREIGN_CALL_H
#define BO_THREAD_FOREIGN_CALL_H

#include "arch/frame.h"
#include "base/hook.h"
#include "state/current.h"

/* A plain longjmp() out of a signal handler leaves such a call without notice. The call's frame is gone if it lies
 * below `frame`, the frame of a function called since. True: from here on the call counts as left, as if it had been
 * interrupted. */
bool bo_foreign_end_abandoned(struct bo_thread *t, uintptr_t frame);
/* The same for another such call that begins in `frame`. That frame may also lie further down, if during the first call
 * only a signal handler can make calls. */
bool bo_foreign_ended(struct bo_thread *t, uintptr_t frame);

/* The calling thread, if a call of foreign code is to be interruptible here: the thread is opted in, and not inside
 * such a call already (in a signal handler, or in libc functions that the call uses). Else NULL. */
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
 * statements (rule 22). While due_byte is not the lowest byte `foreign` is set, so a later call detects the jump, and
 * corrects both. */
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

/* A jump has left such a call. */
void bo_foreign_abandon(struct bo_thread *t);
/* A signal handler that has interrupted the thread's calls leaves them all by a longjmp(). */
void bo_call_abandon(struct bo_thread *t);
/* Is this the child of a vfork(), which runs on its parent's memory, including the slot? */
bool bo_foreign_borrowed(void);

#endif

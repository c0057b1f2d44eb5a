/* SPDX-License-Identifier: MIT */
/*
 * Calls of code that was not written for bough: libraries whose calls of libc's functions come to src/interpose/ first, in
 * threads that take part (rule 22).
 *
 * Such a call is one of bough's own, made between bo_foreign_enter() and bo_foreign_leave(). In between the thread is cut
 * by FOREIGN_DUE instead of DUE: each record reaches foreign code once a rung, and then leaves it alone for a grace, so
 * that its own cleaning up works. What is bough's own goes on failing meanwhile, and tells the truth.
 *
 *      enter -> bough_read() -> leave: was it cut?
 *                                 no   -> its result
 *                                 yes  -> it could not have blocked?  nothing has happened: libc's function is called
 *                                         else bo_foreign_deliver(): noted, muffled; the call fails
 */
#ifndef BO_CORE_FOREIGN_H
#define BO_CORE_FOREIGN_H

#include "core/arena.h"
#include "core/self.h"

/* A plain longjmp() out of a signal handler leaves such a call without a word. It is gone if its frame lies below that of
 * `frame`, which is of a function called since. Whatever it is found by, it is as if it had been cut and let go. */
bool bo_foreign_sweep(struct bo_thread *t, uintptr_t frame);

/* The calling thread, if a call of foreign code's is to be interruptible here: it takes part, and is not inside of such a
 * call already (a signal handler, or what that call itself needs of libc). */
static inline struct bo_thread *bo_foreign_thread(void)
{
    struct bo_thread *t = bo_self;
    if (bo_likely(t == NULL || t->foreign_depth == 0))
        return NULL;
    if (bo_unlikely(bo_load_relaxed(&t->foreign)) && !bo_foreign_sweep(t, (uintptr_t)__builtin_frame_address(0)))
        return NULL;
    return t;
}

static inline void bo_foreign_enter(struct bo_thread *t)
{
    t->foreign_cut = false;
    t->foreign_frame = (uintptr_t)__builtin_frame_address(0);
    bo_store_relaxed(&t->foreign, BO_FOREIGN_CALL);
    t->due_byte = (const char *)t->due_byte + BO_FOREIGN_BYTE;
}

/* Whether the call was cut. Nothing is delivered yet. */
static inline bool bo_foreign_leave(struct bo_thread *t)
{
    t->due_byte = (const char *)t->due_byte - BO_FOREIGN_BYTE;
    bo_store_relaxed(&t->foreign, BO_NOT_FOREIGN);
    return bo_unlikely(t->foreign_cut);
}

/* The call that was cut fails: its record counts as delivered, foreign code is left alone for the grace, and what the
 * thread has asked to run for `name` runs. Returns the error number to fail with. */
int bo_foreign_deliver(struct bo_thread *t, const char *name);
/* A thread begins to take part: what was loaded meanwhile is looked at. Set as long as anything is interposed. */
extern void (*_Atomic bo_foreign_refresh)(void);
/* It was cut for nothing that could end it: libc's own function is about to run instead. */
void bo_foreign_ignore(struct bo_thread *t);
/* Bough's own code runs on top for a while: handlers of the ladder, at the point that such a call is. */
static inline void bo_foreign_aside(struct bo_thread *t, bool begin)
{
    t->due_byte = (const char *)t->due_byte + (begin ? -BO_FOREIGN_BYTE : BO_FOREIGN_BYTE);
    bo_store_relaxed(&t->foreign, begin ? BO_FOREIGN_ASIDE : BO_FOREIGN_CALL);
}

static inline bool bo_foreign_calls(const struct bo_thread *t)
{
    return bo_unlikely(bo_load_relaxed(&t->foreign) == BO_FOREIGN_CALL);
}

/* A jump has left such a call. */
void bo_foreign_abandon(struct bo_thread *t);
/* When the ticker is to look at a thread whose foreign code is left alone; wakes it if the time has come. */
int64_t bo_foreign_look(struct bo_thread *t, uint64_t word);
/* Is this the child of a vfork(), which runs on its parent's memory, slot included? */
bool bo_foreign_borrowed(void);

#endif

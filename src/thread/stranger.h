/* SPDX-License-Identifier: MIT */
/*
 * Threads that another thread has adopted (rule 16): each has a slot that it has not used yet.
 *
 *   free --bough_adopt_thread(), by another thread--> LIVE|UNADOPTED --the thread, at its first use--> LIVE
 *                                                         |
 *                                                         +--bough_release_thread(); the ticker, if the thread is gone-->
 *                                                            not LIVE
 *
 * The step on the word that clears UNADOPTED gives the slot to the thread that makes the step. A thread whose slot is
 * UNADOPTED is never signalled, because it is in no call of bough.
 */
#ifndef BO_THREAD_STRANGER_H
#define BO_THREAD_STRANGER_H

#include "base/futex.h"
#include "state/arena.h"

static inline bool bo_is_strange(uint64_t word)
{
    return (word & BO_UNADOPTED) != 0;
}

/* Take over the slot that another thread has made for the calling thread; the slot is not bound or named yet. NULL:
 * there is no such slot. */
struct bo_thread *bo_stranger_take(void);
/* Called when the thread has published a slot: if another thread has also made a slot for it, move that slot's posts.
 * */
void bo_stranger_merge(const struct bo_thread *own);
/* Called by the ticker: release the slot if its thread has ended without a release. Returns whether it had. */
bool bo_stranger_is_gone(struct bo_thread *t, uint64_t word);
void bo_strangers_after_fork(void);

/* ---- for the adopting thread (thread/adopt_other.c) -------------------------------------------------------------- */

/* Held while a thread adopts another one. */
extern struct bo_lock bo_strangers_lock;
/* Count a stranger that is about to be published. */
void bo_stranger_begin(void);
bool bo_stranger_exists(pid_t tid);
/* When the thread was started, in kernel ticks: an id may be reused, but not with the same time. 0: there is no
 * /proc. */
uintptr_t bo_stranger_born(pid_t tid);
/* The next slot of this thread from *i on, except the slot `except`, and its word. NULL: there is no more. */
struct bo_thread *bo_stranger_next_of(pid_t tid, const struct bo_thread *except, uint32_t *i, uint64_t *word);
/* Try to clear UNADOPTED. True: this caller has made the step, and owns the slot. */
bool bo_stranger_claim(struct bo_thread *t, uint32_t generation);
/* End a slot that was claimed; if the thread has made a slot itself, first move the posts to that slot. */
void bo_stranger_release(struct bo_thread *t);
void bo_stranger_move_to(struct bo_thread *t, uint64_t own);

#endif

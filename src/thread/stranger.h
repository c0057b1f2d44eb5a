/* SPDX-License-Identifier: MIT */
/*
 * Threads that another thread has adopted (rule 16): each has a slot, and does not know of it.
 *
 *   free --bough_adopt_thread(), by another thread--> LIVE|UNADOPTED --the thread, at its first use--> LIVE: its own
 *                                                         |
 *                                                         +--bough_release_thread(); the ticker, if the thread is gone-->
 *                                                            not LIVE
 *
 * A step on the word that clears UNADOPTED gives the slot to the thread that makes the step. Such a thread is never
 * signalled: it is in no call of bough.
 */
#ifndef BO_THREAD_STRANGER_H
#define BO_THREAD_STRANGER_H

#include "base/futex.h"
#include "state/arena.h"

static inline bool bo_is_strange(uint64_t word)
{
    return (word & BO_UNADOPTED) != 0;
}

/* The slot that another thread has made for the calling one, which is its own now: neither bound nor named. NULL. */
struct bo_thread *bo_stranger_take(void);
/* The calling thread has published a slot of its own while another thread has made one for it: the posts go over. */
void bo_stranger_merge(const struct bo_thread *own);
/* By the ticker: its thread may have ended without a release. Returns whether it had. */
bool bo_stranger_is_gone(struct bo_thread *t, uint64_t word);
void bo_strangers_after_fork(void);

/* ---- for the adopting thread (thread/adopt_other.c) -------------------------------------------------------------- */

/* One at a time. */
extern struct bo_lock bo_strangers_lock;
/* One more is about to be published. */
void bo_stranger_begin(void);
bool bo_stranger_exists(pid_t tid);
/* When the kernel has started it, in its ticks: an id is used again, but not with the same time. 0: there is no
 * /proc. */
uintptr_t bo_stranger_born(pid_t tid);
/* The next slot of this thread from *i on, the caller's `except` aside, and its word. NULL: there is no more. */
struct bo_thread *bo_stranger_next_of(pid_t tid, const struct bo_thread *except, uint32_t *i, uint64_t *word);
/* The step that clears UNADOPTED. Whether this caller has made it: the slot is the caller's. */
bool bo_stranger_claim(struct bo_thread *t, uint32_t generation);
/* A slot that was claimed ends, or its posts go over to the thread's own slot, and it ends. */
void bo_stranger_release(struct bo_thread *t);
void bo_stranger_move_to(struct bo_thread *t, uint64_t own);

#endif

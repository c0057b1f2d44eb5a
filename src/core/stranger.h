/* SPDX-License-Identifier: MIT */
/*
 * Threads that somebody else has made known (rule 16): each has a slot, and does not know of it.
 *
 *   free --bough_adopt_thread(), by another thread--> LIVE|SLOW --the thread, at its first use--> LIVE: its own
 *                                                         |
 *                                                         +--bough_release_thread(); the ticker, if the thread is gone-->
 *                                                            not LIVE
 *
 * A step on the word that clears SLOW gives the slot to who has made that step. Nothing is ever sent to such a thread: it is
 * in no call of bough's.
 */
#ifndef BO_CORE_STRANGER_H
#define BO_CORE_STRANGER_H

#include "core/arena.h"

static inline bool bo_is_strange(uint64_t word)
{
    return (word & BO_SLOW) != 0;
}

/* The slot that another thread has made for the calling one, which is its own now: neither bound nor named. NULL. */
struct bo_thread *bo_stranger_take(void);
/* The calling thread has published a slot of its own while another thread has made one for it: the posts go over. */
void bo_stranger_merge(const struct bo_thread *own);
/* By the ticker: its thread may be gone, and nobody has let it go. Whether it was. */
bool bo_stranger_is_gone(struct bo_thread *t, uint64_t word);
void bo_strangers_after_fork(void);

#endif

/* SPDX-License-Identifier: MIT */
/* The calling thread: its slot, and its process. */
#ifndef BO_STATE_CURRENT_H
#define BO_STATE_CURRENT_H

#include "state/arena.h"

/* The calling thread's slot; NULL in a thread that is not adopted. */
extern BO_TLS struct bo_thread *bo_self;
extern _Atomic pid_t bo_pid;

/* The byte of a word that is `distance` above the lowest: DUE, FOREIGN_DUE, SILENT_DUE are the lowest bits of the first
 * three. */
static inline const void *bo_word_byte(const bo_word *word, int distance)
{
    return (const char *)word + (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? distance : 7 - distance);
}

static inline bool bo_is_main_thread(const struct bo_thread *t)
{
    return bo_load_relaxed(&t->tid) == bo_load_relaxed(&bo_pid);
}

/* Bind a slot to the calling thread; a new slot becomes known to posters by bo_publish() (state/generation.h). */
void bo_bind(struct bo_thread *t);
void bo_unbind(struct bo_thread *t);
/* The calling thread gives its slot up, so that another thread can bind it. */
void bo_turn_away(void);

/* Called after a recording has begun or ended: make the calls of all threads take the slow path, or the fast path
 * again. At the start, also record all present threads and branches. */
void bo_switch_recording(bool on);

/* The kernel's id of the calling thread. [signal] */
pid_t bo_tid(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A slot's generations: one begins when it is published, and ends when no poster reaches it any more (rule 6).
 *
 *      free --bo_thread_new()--> the owner's --bo_publish()--> LIVE --bo_generation_end()--> the owner's, with the next number
 *
 * A poster takes a pin, and then looks at the generation; the owner ends the generation, and then waits for pins. So a
 * poster either sees the end, or is waited for.
 */
#ifndef BO_STATE_GENERATION_H
#define BO_STATE_GENERATION_H

#include "base/futex.h"
#include "state/arena.h"

/* LIVE from here on, as a member of `parent`. */
void bo_publish(struct bo_thread *t, uint32_t parent, uint32_t bits);
/* A pin that was taken before a look at the generation is given back: the owner may wait for that to end the
 * generation. [signal] */
void bo_unpin(struct bo_target *t, uint32_t generation);
/* The generation ends: no poster reaches it any more, none is in the middle, its records are closed. `how` is
 * BOUGH_POST_ENDED or BOUGH_POST_LOST. */
void bo_generation_end(struct bo_target *t, enum bough_post_status how);
/* The two steps of that. */
void bo_posts_end(struct bo_target *t);
void bo_records_close(struct bo_target *t, enum bough_post_status how);

/* The half of a thread's word that changes when its generation ends: a futex word. */
static inline const _Atomic uint32_t *bo_generation_of(const struct bo_thread *t)
{
    return bo_high_half(&t->t.word);
}

#endif

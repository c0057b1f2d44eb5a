/* SPDX-License-Identifier: MIT */
/*
 * A slot's generations: a generation begins when it is published, and ends when no poster can reach it any more (rule
 * 6).
 *
 *      free --bo_thread_new()--> owned --bo_publish()--> LIVE --bo_generation_end()--> owned, number + 1
 *
 * A poster takes a pin, and then checks the generation; the owner ends the generation, and then waits for pins. So
 * either the poster sees the end, or the owner waits for the poster.
 */
#ifndef BO_STATE_GENERATION_H
#define BO_STATE_GENERATION_H

#include "base/futex.h"
#include "state/arena.h"

/* Make a slot LIVE, as a member of `parent`. */
void bo_publish(struct bo_thread *t, uint32_t parent, uint32_t bits);
/* Release a pin that was taken before the generation was checked. The owner may wait for the pin, to end the
 * generation. [signal] */
void bo_unpin(struct bo_target *t, uint32_t generation);
/* End a generation: afterwards no poster can reach it, no poster is still posting to it, and its records are closed.
 * `how` is BOUGH_POST_ENDED or BOUGH_POST_LOST. */
void bo_generation_end(struct bo_target *t, enum bough_post_status how);
/* The two steps of bo_generation_end(). */
void bo_posts_end(struct bo_target *t);
void bo_records_close(struct bo_target *t, enum bough_post_status how);

/* The half of a thread's word that changes when its generation ends, as a futex word. */
static inline const _Atomic uint32_t *bo_generation_of(const struct bo_thread *t)
{
    return bo_high_half(&t->t.word);
}

#endif

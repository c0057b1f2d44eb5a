/* SPDX-License-Identifier: MIT */
#include "state/generation.h"
#include <limits.h>
#include "base/futex.h"

void bo_publish(struct bo_thread *t, uint32_t parent, uint32_t bits)
{
    bo_store_relaxed(&t->parent, parent);
    bo_store_relaxed(&t->top, BO_NONE);
    bo_store_relaxed(&t->outermost, BO_NONE);
    uint32_t generation = bo_word_generation(bo_load_relaxed(&t->t.word));
    bo_word_put(&t->t.word, bo_word_make(generation, BO_LIVE | bits), BO_BY_PUBLISH);
}

void bo_unpin(struct bo_target *t, uint32_t generation)
{
    if (bo_sub_seq(&t->pins, 1) == 1 && !bo_target_is(t, generation))
        bo_futex_wake(&t->pins, INT_MAX);
}

/* The wait sleeps, because a poster on the same processor may have a lower priority. */
static void wait_for_pins(struct bo_target *t)
{
    uint32_t pins;
    while ((pins = bo_load_seq(&t->pins)))
        bo_futex_sleep(&t->pins, pins, BO_FOREVER);
}

void bo_posts_end(struct bo_target *t)
{
    uint64_t w = bo_load_relaxed(&t->word);
    while (!bo_word_step(&t->word, &w, bo_word_make(bo_word_generation(w) + 1, (uint32_t)(w & BO_SENDERS)), BO_BY_END))
        ;
    wait_for_pins(t);
    bo_word_await_senders(&t->word);
}

void bo_records_close(struct bo_target *t, enum bough_post_status how)
{
    for (uint32_t due = bo_load_relaxed(&t->due); due; due &= due - 1)
        bo_record_close(bo_record_of(t, (enum bough_kind)__builtin_ctz(due)), how);
    bo_store_relaxed(&t->due, 0);
}

void bo_generation_end(struct bo_target *t, enum bough_post_status how)
{
    bo_posts_end(t);
    bo_records_close(t, how);
}

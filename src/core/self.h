/* SPDX-License-Identifier: MIT */
/* The calling thread: its slot, adoption, and its end. */
#ifndef BO_CORE_SELF_H
#define BO_CORE_SELF_H

#include "core/arena.h"

/* NULL in a thread that bough does not know. */
extern BO_TLS struct bo_thread *bo_self;
extern _Atomic pid_t bo_pid;

/* The byte of a word that is `distance` above the lowest: DUE, FOREIGN_DUE, SILENT_DUE are the lowest bits of the first three. */
static inline const void *bo_word_byte(const bo_word *word, int distance)
{
    return (const char *)word + (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? distance : 7 - distance);
}

/* Called once at load; idempotent. 0, or -1 with errno: the library can't work here. */
int bo_init(void);
/* The calling thread's slot, adopting it. NULL with EAGAIN (table full) or ENOMEM. */
struct bo_thread *bo_adopt(const char *name);

static inline struct bo_thread *bo_self_or_adopt(void)
{
    return bo_likely(bo_self != NULL) ? bo_self : bo_adopt(NULL);
}

/* Bind a slot to the calling thread; a new slot becomes known to posters by bo_publish(). */
void bo_bind(struct bo_thread *t);
void bo_unbind(struct bo_thread *t);
/* From here on a stranger; the slot is another thread's to bind. */
void bo_turn_away(void);
/* LIVE from here on, as a member of `parent`. */
void bo_publish(struct bo_thread *t, uint32_t parent, uint32_t bits);
/* The generation ends: no poster reaches it any more, none is in the middle, its records are closed. On
 * the thread itself, or for a child that never ran. `how` is BOUGH_POST_ENDED or BOUGH_POST_LOST. */
void bo_retire(struct bo_thread *t, enum bough_post_status how);
/* The same for a thread that stands still for good, by another: what is under way to it waits for ever, and harms
 * nobody. */
void bo_retire_lost(struct bo_thread *t);
/* The same for a branch. */
void bo_retire_branch(struct bo_branch *b, enum bough_post_status how);
/* A pin that was taken before a look at the generation is given back: the owner may wait for that to end the generation. [signal] */
void bo_unpin(struct bo_target *t, uint32_t generation);
/* The two steps of these: no poster reaches it any more, and none is in the middle; its records are closed. */
void bo_posts_end(struct bo_target *t);
void bo_records_close(struct bo_target *t, enum bough_post_status how);
/* Who joins a thread waits for its generation to end. A worker wakes them last, when it is ready for the next
 * child: woken sooner they would compete with it for a processor, and find nobody parked. */
void bo_wake_joiners(struct bo_thread *t);

/* What is the same in all slots of adopted threads, before one is published. */
void bo_begin_adopted(struct bo_thread *t);
/* Cut to what there is room for; NULL: none. */
void bo_set_name(struct bo_target *t, const char *name);

/* The kernel's id of the calling thread. [signal] */
pid_t bo_tid(void);
/* Find out where the calling thread's stack lies, once; in ordinary code. */
void bo_self_find_stack(struct bo_thread *t);

#endif

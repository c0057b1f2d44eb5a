/* SPDX-License-Identifier: MIT */
#ifndef BO_API_INTERRUPT_H
#define BO_API_INTERRUPT_H

#include "state/arena.h"

/* The record of a post, which may by now be that of another post; NULL if the handle is invalid. [signal] */
struct bo_record *bo_record_of_post(bough_post post);
/* Whether thread t may clear the record. */
bool bo_may_clear(const struct bo_thread *t, const struct bo_record *r);
/* Clear a record that thread t may clear, if it is still of the post that it was of in `state`. */
enum bo_clearing bo_clear_post(struct bo_thread *t, struct bo_record *r, uint64_t state);

#endif

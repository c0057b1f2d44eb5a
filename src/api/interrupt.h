/* SPDX-License-Identifier: MIT */
#ifndef BO_API_INTERRUPT_H
#define BO_API_INTERRUPT_H

#include "state/arena.h"

/* The record of a post, which may by now be that of another post; NULL if the handle is invalid. [signal] */
struct bo_record *bo_record_of_post(bough_post post);
/* Clear a record on behalf of thread t, if it is still of the post that it was of in `state`. False: t may not clear
 * it. */
bool bo_clear_post(struct bo_thread *t, struct bo_record *r, uint64_t state);

#endif

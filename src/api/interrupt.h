/* SPDX-License-Identifier: MIT */
#ifndef BO_API_INTERRUPT_H
#define BO_API_INTERRUPT_H

#include "state/arena.h"

/* A post's record, which may serve another one by now; NULL if it is none. [signal] */
struct bo_record *bo_record_of_post(bough_post post);
/* Clear one record, by thread t. False: it may not, or it is over. */
bool bo_clear_record(struct bo_thread *t, struct bo_record *r);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef BO_API_INTERRUPT_H
#define BO_API_INTERRUPT_H

#include "state/arena.h"

/* A post's record, which may belong to another post by now; NULL if the handle is invalid. [signal] */
struct bo_record *bo_record_of_post(bough_post post);
/* Clear one record, by thread t. False: the thread may not clear it, or the record is closed already. */
bool bo_clear_record(struct bo_thread *t, struct bo_record *r);

#endif

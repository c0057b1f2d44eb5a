/* SPDX-License-Identifier: MIT */
#ifndef BO_LADDER_CLOSER_H
#define BO_LADDER_CLOSER_H
#include "core/arena.h"
void bo_close_thread(struct bo_thread *t);
#endif

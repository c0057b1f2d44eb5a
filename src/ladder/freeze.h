/* SPDX-License-Identifier: MIT */
#ifndef BO_LADDER_FREEZE_H
#define BO_LADDER_FREEZE_H
#include "core/arena.h"
enum bo_freezing { BO_FREEZE_ASKED, BO_FROZEN, BO_FREEZE_NOT_SAFE, BO_GONE };
enum bo_freezing bo_freeze(struct bo_thread *t, uint32_t generation, const char **why);
void bo_freeze_withdraw(struct bo_thread *t, uint32_t generation);
bool bo_freeze_wanted(const struct bo_thread *t);
void bo_freeze_here(struct bo_thread *t) __attribute__((noreturn));
void bo_freeze_summoned(struct bo_thread *t, void *context);
#endif

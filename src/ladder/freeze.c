/* SPDX-License-Identifier: MIT */
#include "ladder/freeze.h"
#include <unistd.h>
enum bo_freezing bo_freeze(struct bo_thread *t, uint32_t generation, const char **why)
{
    (void)t;
    (void)generation;
    *why = "not yet";
    return BO_FREEZE_NOT_SAFE;
}
void bo_freeze_withdraw(struct bo_thread *t, uint32_t generation)
{
    (void)t;
    (void)generation;
}
bool bo_freeze_wanted(const struct bo_thread *t)
{
    (void)t;
    return false;
}
void bo_freeze_here(struct bo_thread *t)
{
    (void)t;
    for (;;)
        pause();
}
void bo_freeze_summoned(struct bo_thread *t, void *context)
{
    (void)t;
    (void)context;
}

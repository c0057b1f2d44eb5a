/* SPDX-License-Identifier: MIT */
/* The checks for readers of the arena from outside: the command is built with this file, too. */
#include <stddef.h>
#include "state/arena.h"

const char *bo_kind_name(unsigned kind)
{
    static const char *const names[BOUGH_KINDS] = {"stop", "timeout",  "sibling",  "signal",
                                                   "exit", "operator", "exception"};
    return kind < BOUGH_KINDS ? names[kind] : "?";
}

uint32_t bo_arena_layout(void)
{
    static const size_t places[] = {
        offsetof(struct bo_target, due),           offsetof(struct bo_target, index),
        offsetof(struct bo_target, name),          offsetof(struct bo_thread, tid),
        offsetof(struct bo_thread, parent),        offsetof(struct bo_thread, top),
        offsetof(struct bo_thread, section.entry), offsetof(struct bo_thread, section.budget),
        offsetof(struct bo_thread, depth),         offsetof(struct bo_thread, region),
        offsetof(struct bo_branch, owner),         offsetof(struct bo_branch, outer),
        offsetof(struct bo_branch, live),          offsetof(struct bo_branch, deadline),
        offsetof(struct bo_branch, file),          offsetof(struct bo_branch, line),
        offsetof(struct bo_record, state),         offsetof(struct bo_record, tally),
        offsetof(struct bo_record, since),         offsetof(struct bo_record, value),
        offsetof(struct bo_record, target),        offsetof(struct bo_record, source),
        offsetof(struct bo_record, signo),         offsetof(struct bo_record, rung),
        offsetof(struct bo_record, ceiling),       offsetof(struct bo_record, kind),
        offsetof(struct bo_record, reason),        offsetof(struct bo_header, thread_at),
        offsetof(struct bo_header, thread_high),   offsetof(struct bo_header, stood_still),
        offsetof(struct bo_record, overdue),       offsetof(struct bo_record, cap_at),
        offsetof(struct bo_header, ticker_signal), offsetof(struct bo_thread, join),
    };
    uint32_t sum = BO_ARENA_VERSION;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        sum = sum * 31 + (uint32_t)places[i];
    return sum;
}

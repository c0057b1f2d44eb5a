/* SPDX-License-Identifier: MIT */
#include "ladder/below.h"
#include <stdio.h>
#include "core/arena.h"
#include "core/current.h"
#include "core/tree.h"
#include "see/where.h"

bool bo_alone(const struct bo_record *r, bool branch)
{
    return !branch && (bo_record_flags(r) & BOUGH_ALONE);
}

struct bo_thread *bo_next_below(const struct bo_target *target, bool branch, const struct bo_record *r, uint32_t *i,
                                uint64_t *word)
{
    uint32_t high = bo_load_seq(&bo_arena.head->thread_high);
    for (; *i < high; (*i)++) {
        struct bo_thread *t = bo_thread_at(*i);
        *word = bo_load_seq(&t->t.word);
        if (!(*word & BO_LIVE) || (bo_alone(r, branch) && &t->t != target) || !bo_below(t, target, branch))
            continue;
        (*i)++;
        return t;
    }
    return NULL;
}

bool bo_has_children(const struct bo_thread *t)
{
    uint32_t index = bo_load_seq(&t->top);
    for (int steps = 0; index != BO_NONE && steps < BO_BRANCHES; steps++) {
        const struct bo_branch *b = bo_branch_at(index);
        if (bo_load_relaxed(&b->owner) != t->t.index)
            return false;
        if (bo_load_seq(&b->live))
            return true;
        index = bo_load_relaxed(&b->outer);
    }
    return false;
}

bool bo_is_main(const struct bo_thread *t)
{
    return bo_load_relaxed(&t->tid) == bo_load_relaxed(&bo_pid);
}

void bo_find_place(const struct bo_target *target, bool branch, const struct bo_record *r, char *text, size_t size)
{
    uint64_t w;
    char name[BO_NAME];
    *text = '\0';
    for (uint32_t i = 1;;) {
        const struct bo_thread *t = bo_next_below(target, branch, r, &i, &w);
        if (!t)
            return;
        if (bo_has_children(t))
            continue;
        int n = snprintf(text, size, "thread %d (%s) is ", (int)bo_load_relaxed(&t->tid),
                         *bo_name_of(&t->t, name) ? name
                         : bo_is_main(t)          ? "main"
                                                  : "unnamed");
        if (n > 0 && (size_t)n < size)
            bo_where(t, bo_word_generation(w), text + n, size - (size_t)n);
        return;
    }
}

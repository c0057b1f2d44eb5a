/* SPDX-License-Identifier: MIT */
#include "ladder/below.h"
#include <stdio.h>
#include "core/arena.h"
#include "core/current.h"
#include "see/where.h"

bool bo_alone(const struct bo_record *r, bool branch)
{
    return !branch && (bo_record_flags(r) & BOUGH_ALONE);
}

void bo_scan_concerned(struct bo_scan *s, const struct bo_target *target, bool branch, const struct bo_record *r)
{
    if (bo_alone(r, branch))
        bo_scan_alone(s, target);
    else
        bo_scan_begin(s, target, branch);
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
    struct bo_scan scan;
    const struct bo_thread *t;
    uint64_t w;
    char name[BO_NAME];
    *text = '\0';
    bo_scan_concerned(&scan, target, branch, r);
    while ((t = bo_scan_next(&scan, &w))) {
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

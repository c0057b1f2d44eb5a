/* SPDX-License-Identifier: MIT */
#include "ladder/target_threads.h"
#include "state/arena.h"
#include "state/current.h"

bool bo_alone(const struct bo_record *r, bool branch)
{
    return !branch && (bo_record_flags(r) & BOUGH_ALONE);
}

void bo_scan_concerned(struct bo_scan *s, const struct bo_target *target, const struct bo_record *r)
{
    if (bo_alone(r, bo_is_branch(target)))
        bo_scan_alone(s, target);
    else
        bo_scan_begin(s, target);
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

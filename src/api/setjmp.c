/* SPDX-License-Identifier: MIT */
/* setjmp and longjmp that end regions and branches on their way (rule 19). */
#include <bough/level.h>
#include "arch/frame.h"
#include "branch/end.h"
#include "state/arena.h"
#include "state/current.h"
#include "state/log.h"
#include "thread/adopt.h"
#include "thread/foreign_call.h"
#include "thread/level.h"
#include "upcalls.h"

/* Ends regions and branches that a plain longjmp() has abandoned, so that they do not count as open here. */
static void end_abandoned(struct bo_thread *t, uintptr_t sp)
{
    if (!t)
        return;
    bo_level_end_abandoned(t, sp);
    bo_branch_end_abandoned(t, sp);
}

/* bough_setjmp() was called in a signal handler that had interrupted a blocked call: so a jump inside the handler does
 * not leave that call. */
#define IN_CALL ((uint64_t)1 << 32)

void bough_jmp_mark_(struct bough_jmp *jmp)
{
    struct bo_thread *t = bo_self_or_adopt();
    end_abandoned(t, BO_FRAME());
    jmp->owner = t ? bo_thread_handle(t) : 0;
    jmp->region = t ? t->regions : NULL;
    jmp->handler = t ? t->incident.handling : NULL;
    jmp->branch = t ? bo_load_relaxed(&t->top) : BO_NONE;
    if (t && (bo_load_relaxed(&t->t.word) & BO_IN))
        jmp->branch |= IN_CALL;
}

/* Regions and branches nest in each other, but the order in which this function ends them does not matter. */
void bough_longjmp(struct bough_jmp *jmp, int value)
{
    struct bo_thread *t = bo_self;
    end_abandoned(t, BO_FRAME());
    if (t && jmp->owner == bo_thread_handle(t)) {
        if (!(jmp->branch & IN_CALL))
            bo_ladder_undo(jmp->handler);
        bo_branch_unwind(t, (uint32_t)jmp->branch);
        bo_level_unwind(t, jmp->region);
        if (t->incident.handling != jmp->handler)
            bo_ladder_jumped(t, jmp->handler);
        if (!(jmp->branch & IN_CALL) && (bo_load_relaxed(&t->t.word) & BO_IN))
            bo_call_abandon(t);
        if (!(jmp->branch & IN_CALL) && !jmp->handler)
            bo_foreign_abandon(t);
    } else {
        bo_report("bough_longjmp() with a bough_jmp of another thread: regions and branches are not unwound");
    }
    siglongjmp(jmp->buffer, value);
}

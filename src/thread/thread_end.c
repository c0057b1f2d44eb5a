/* SPDX-License-Identifier: MIT */
#include <bough/branch.h>
#include <errno.h>
#include "base/mask.h"
#include "state/current.h"
#include "thread/adopt.h"
#include "thread/level.h"
#include "thread/retire.h"
#include "trace/recorder.h"
#include "upcalls.h"
#include "wake/last_thread.h"

/* The generation ends with all signals blocked; otherwise a signal handler could make a call in a generation that has
 * ended. A call after this function adopts the thread again. */
static void end_generation(struct bo_thread *t)
{
    bo_branches_end(t);
    bo_level_end(t);
    uint64_t mask = bo_signals_off();
    bo_trace_thread_end(bo_thread_handle(t), BOUGH_OK, 0);
    bo_retire(t, BOUGH_POST_ENDED);
    bo_wake_joiners(t);
    bo_unbind(t);
    bo_signals_on(mask);
}

void bo_thread_ends(void *slot)
{
    if (slot != bo_self)
        return;
    bool left = bo_is_main_thread(slot);
    end_generation(slot);
    if (left)
        bo_last_thread_main_left();
    else
        bo_last_thread_ends();
}

int bough_release(void)
{
    struct bo_thread *t = bo_self;
    if (!t)
        return errno = ENOENT, -1;
    if (t->child)
        return errno = EPERM, -1;
    if (bo_load_relaxed(&t->top) != BO_NONE || t->regions)
        return errno = EBUSY, -1;
    pthread_setspecific(bo_at_thread_end, NULL);
    if (bo_is_main_thread(t))
        bo_last_thread_main_known(false);
    end_generation(t);
    return 0;
}

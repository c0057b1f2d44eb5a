/* SPDX-License-Identifier: MIT */
/* Points: where an interrupt that is due makes a call fail. */
#include <bough/interrupt.h>
#include <bough/level.h>
#include <errno.h>
#include "arch/frame.h"
#include "state/tree.h"
#include "thread/adopt.h"
#include "thread/level.h"
#include "thread/region.h"

int bough_check_slow_(void)
{
    struct bo_thread *t = bo_self_or_adopt();
    if (!t || !(bo_load_seq(&t->t.word) & BO_DUE))
        return 0;
    bo_level_end_abandoned(t, BO_FRAME());
    if (!bo_level_deliver(t))
        return 0;
    return errno = ECANCELED, -1;
}

int bough_interrupted_slow_(void)
{
    const struct bo_thread *t = bo_self;
    return t && bo_pending_record(t, false) != NULL;
}

int bough_reason(struct bough_record *record)
{
    if (!record)
        return errno = EINVAL, -1;
    struct bough_record found;
    if (!bo_self || !bo_pending_describe(bo_self, &found))
        return errno = ENOENT, -1;
    *record = found;
    return 0;
}

int bough_region_end_check(struct bough_region *region)
{
    return bo_region_end(bo_self, region, BO_FRAME()) != 0 ? -1 : bough_check();
}

/* SPDX-License-Identifier: MIT */
#include "ladder/incident.h"
#include <bough/ladder.h>
#include "ladder/times.h"

struct bo_incident bo_watched[BO_WATCHED];
unsigned bo_watched_count;

static uint64_t identity(uint64_t state)
{
    return state & ~(uint64_t)15;
}

bool bo_incident_over(const struct bo_incident *i)
{
    return identity(bo_load_seq(&i->record->state)) != i->state || !bo_record_stands(i->record);
}

static struct bo_incident *find_incident(const struct bo_record *r)
{
    for (unsigned i = 0; i < bo_watched_count; i++)
        if (bo_watched[i].record == r && !bo_incident_over(&bo_watched[i]))
            return &bo_watched[i];
    return NULL;
}

enum { TRIES = 8 }; /* limited, because the warden never waits */

/* If the table is full, the incident climbs nevertheless, but its end is not reported and its timer is not
 * cancelled. */
struct bo_incident *bo_incident_watch(struct bo_target *target, struct bo_record *r)
{
    static struct bo_incident spare;
    struct bo_incident *i = find_incident(r);
    if (i)
        return i;
    i = bo_watched_count < BO_WATCHED ? &bo_watched[bo_watched_count++] : &spare;
    uint64_t state = bo_load_seq(&r->state);
    struct bough_record posted;
    bo_record_describe(r, &posted);
    for (int tries = 0; tries < TRIES && identity(bo_load_seq(&r->state)) != identity(state); tries++) {
        state = bo_load_seq(&r->state); /* the record was closed and posted again: use the new post */
        bo_record_describe(r, &posted);
    }
    *i = (struct bo_incident){.record = r,
                              .state = identity(state),
                              .target = target,
                              .branch = bo_is_branch(target),
                              .climbs = bo_load_seq(&r->ceiling) >= BOUGH_RUNG_KILL,
                              .rung = bo_load_relaxed(&r->rung),
                              .serial = bo_record_serial(state),
                              .posted = posted};
    bo_name_of(target, i->name);
    const struct bo_branch *wider = bo_wider(target);
    if (wider) {
        i->wider = bo_branch_handle(wider);
        bo_name_of(&wider->t, i->wider_name);
    }
    bo_store_seq(&r->watched, 1);
    return i;
}

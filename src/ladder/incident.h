/* SPDX-License-Identifier: MIT */
/*
 * The incidents that the warden watches: those that may climb to the end of the process, or have climbed already. An
 * incident's standing is in its record, where it can be seen from outside; this table is only the warden's data. Only
 * the ticker's thread uses it. The data for reports is copied while the record is pending: later both record and target
 * may be reused.
 */
#ifndef BO_LADDER_INCIDENT_H
#define BO_LADDER_INCIDENT_H

#include "state/arena.h"

enum { BO_WATCHED = 256 };

struct bo_incident {
    struct bo_record *record;
    uint64_t state; /* the record's generation and serial, which change at the incident's end */
    struct bo_target *target;
    bool branch, climbs;
    bool reported; /* something was reported, so the end is reported, too */
    uint8_t rung;
    uint32_t serial;
    struct bough_record posted;
    char name[BO_NAME];
    uint64_t wider; /* the branch around the target; 0 at the root */
    char wider_name[BO_NAME];
};

extern struct bo_incident bo_watched[BO_WATCHED];
extern unsigned bo_watched_count;

/* Is the incident over? Then its record belongs to another incident, or to none. */
bool bo_incident_over(const struct bo_incident *i);
/* The entry of a pending record; created if it has none. */
struct bo_incident *bo_incident_watch(struct bo_target *target, struct bo_record *r);

#endif

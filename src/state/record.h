/* SPDX-License-Identifier: MIT */
/*
 * Records: which thread asked a target to stop, why, and when. There is one for each target and kind, in the arena.
 *
 *   state: generation of the target (32) | serial (28) | status (4); its low half is a futex word
 *
 *      EMPTY --poster--> WRITING --same poster--> PENDING --a point of the target fails--> DELIVERED
 *        ^                                           |                                       |
 *        +------- cleared, ended, lost: serial + 1; `last` keeps how the old serial ended ----+
 *
 * Writers hold a pin on the target, so a record belongs to one generation from WRITING to EMPTY (rule 6). A second post
 * finds the record not EMPTY and is only counted (rule 1), even if the record is still WRITING or is closed meanwhile:
 * `tally` has the serial that the count is for. Before a record is cleared its tally is sealed, unless it is final: a
 * post that finds the seal finishes the clearing and writes a record of its own, so no final post is cleared. The
 * fields after `tally` are written in WRITING only, and read when the status is PENDING or later. Each change of the
 * status is made, and reported, by one thread.
 *
 * The fields after the line belong to the ladder: the incident's state. Each poster (its origin) and the ladder, on the
 * ticker's thread, raise `rung`; posters increase the counts of events. The threads below the target set
 * `handler_events`, which has the serial: a handler's verdict never counts for a later post.
 */
#ifndef BO_STATE_RECORD_H
#define BO_STATE_RECORD_H

#include <sys/types.h>
#include <bough/interrupt.h>
#include "base/atomic.h"

enum bo_record_status { BO_EMPTY, BO_WRITING, BO_RECORD_PENDING, BO_DELIVERED };

struct bo_record {
    _Atomic uint64_t state;
    _Atomic uint32_t last; /* the last closed serial (28), and how it ended: enum bough_post_status (4) */
    _Atomic uint32_t waiters;
    _Atomic uint64_t tally; /* serial (28), SEALED or not (1), enum bough_post_flags (3), count (32) */
    _Atomic uint64_t seq;   /* the ticker may read this and `since` of a record that is being reused */
    _Atomic int64_t since;
    int64_t value;
    _Atomic uint64_t target; /* handle */
    pid_t source;
    int signo;
    _Atomic uint8_t delivered_rung; /* the highest rung that has reached the target (rule 22) */
    _Atomic uint8_t kind;
    _Atomic uint32_t handler_events; /* serial (28), enum bo_handler_event that the ladder has not read yet (4) */
    _Atomic int64_t grace_until;     /* absolute, of the delivered rung */
    /* ---- the ladder's ---- */
    _Atomic uint8_t rung;       /* the incident's present rung; 1: the flag */
    _Atomic uint8_t asked;      /* the rung that a post has requested as its origin */
    _Atomic uint8_t ceiling;    /* its highest rung (rule 38); 0: not set by the ladder yet */
    _Atomic uint8_t limit;      /* the highest rung that its posts allow, independently of the target's settings */
    _Atomic uint8_t limit_met;  /* the limit that `ceiling` was computed from */
    _Atomic uint8_t overdue;    /* the incident's time at its ceiling is used up */
    _Atomic uint64_t events;    /* the number of events (8), and when the last one began, in ms (56) */
    _Atomic uint32_t climbed;   /* events that the ladder has dealt with */
    _Atomic uint8_t watched;    /* the ladder is notified of the record's end */
    _Atomic int64_t hold_until; /* the time of a handler's verdict to resume */
    _Atomic int64_t rung_at, rung_until, cap_at; /* when this rung began, its deadline, the end. bo_now()'s clock */
    /* ---- */
    char reason[BOUGH_REASON_MAX + 1];
} __attribute__((aligned(64)));

/* Whether a point fails for a record that is due. A handler of the ladder can let it pass. */
enum bo_point { BO_POINT_FAILS, BO_POINT_PASSES };

/* Events at an incident's target. */
enum bo_handler_event {
    BO_CAME_BACK = 1, /* a handler has returned normally */
    BO_RESUMED = 2,   /* a handler has returned with the verdict to resume */
    BO_PROMOTED = 4,  /* a handler has returned with the verdict to promote */
    BO_FAULTED = 8    /* a handler has crashed, returned from rung 3, or jumped out */
};

enum { BO_ONE_EVENT = 250 /* ms: posts within this time are one event (rule 34) */ };

struct bo_target;

static inline uint32_t bo_record_serial(uint64_t state)
{
    return (uint32_t)state >> 4;
}
static inline enum bo_record_status bo_record_status(uint64_t state)
{
    return state & 15;
}
static inline uint32_t bo_record_count(const struct bo_record *r)
{
    return (uint32_t)bo_load_seq(&r->tally);
}
static inline uint32_t bo_record_flags(const struct bo_record *r)
{
    return bo_load_seq(&r->tally) >> 32 & (BOUGH_FINAL | BOUGH_ALONE);
}

/* The record of a target and kind. */
struct bo_record *bo_record_of(const struct bo_target *target, enum bough_kind kind);
/* Whether a post would count as a new event now. [signal] */
bool bo_record_is_event(const struct bo_record *r);
/* Count an event; false: the post belongs to the last event. [signal] */
bool bo_record_event(struct bo_record *r);
static inline unsigned bo_record_events(const struct bo_record *r)
{
    return bo_load_seq(&r->events) & 0xff;
}
/* The effect of a post: it has written a record, widened a record from a thread alone to all below it, or was only
 * counted. */
enum bo_posting { BO_POSTED, BO_WIDENED, BO_REPEATED };
/* Write or count a post that may climb to rung `limit`; returns its serial. The caller holds a pin on the target of
 * that generation. */
uint32_t bo_record_post(struct bo_record *r, uint64_t target, uint32_t generation, const struct bough_event *event,
                        int limit, enum bo_posting *how);
/* A point has failed for the record. */
void bo_record_deliver(struct bo_record *r);
/* The record is over; `how` is BOUGH_POST_CLEARED, ENDED or LOST. False: it was over already. */
bool bo_record_close(struct bo_record *r, enum bough_post_status how);
/* Close the record only if it is still of the post that it was of in `state`. */
bool bo_record_close_post(struct bo_record *r, uint64_t state, enum bough_post_status how);
/* The record of a post is cleared; or it stays, because a post has made it final; or another thread has ended it. */
enum bo_clearing { BO_CLEARED, BO_KEPT_FINAL, BO_ENDED_BEFORE };
enum bo_clearing bo_record_clear(struct bo_record *r, uint64_t state);
/* Called in a forked child: close all records of a target, even a record that a thread of the parent was writing. */
void bo_records_forget(const struct bo_target *t);
/* "stop", "timeout"...; "?" for an invalid kind. */
const char *bo_kind_name(unsigned kind);
/* Describe a record as its target can read it. */
void bo_record_describe(const struct bo_record *r, struct bough_record *record);
/* From now on the record cannot be cleared, unless its clearing has begun. [signal] */
void bo_record_make_final(struct bo_record *r);
/* Whether the record is PENDING or DELIVERED. */
bool bo_record_stands(const struct bo_record *r);
/* Whether the record stands, and is of the post that it was of in `state`. */
bool bo_record_is_of(const struct bo_record *r, uint64_t state);

#endif

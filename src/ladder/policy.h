/* SPDX-License-Identifier: MIT */
/*
 * The ladder's policy computes the next step from an incident's standing, an event and the time. It is a pure function,
 * without threads, clocks or locks; the warden carries out the step (rules 34 to 38).
 *
 * The steps at each rung; the same table drives the function, the exhaustive test and the diagram in
 * docs/ladder.svg:
 *
 *                   time is  second  handler   verdict: verdict: fault,   not     done
 *                   over     event   returned  resume   promote  jump     safe
 *   1 flag          up       up      -         -        up       -        -       -
 *   2 handler       up       up      renew     hold     up       up       -       -
 *   3 final handler up       up      up        up       up       up       -       -
 *   4 close         up       up      -         -        -        -        up      over
 *   5 exit          up       up      -         -        -        -        up      -
 *   6 kill          -        -       -         -        -        -        -       -
 *
 *   up      to the next rung below the ceiling that has something to run: 2 and 3 where handlers are installed, 4 where
 *           a thread can be closed, 5 and 6 always. If there is none, the incident is overdue, when its time is over
 *   renew   the thread makes progress: it has the flag's time again, to unwind
 *   hold    until the time in the handler's verdict, then the flag's time to unwind
 *   -       nothing: the event does not apply to this rung, or comes too late
 *
 * At any rung an incident can end by other causes: its target ends, its record is cleared, its loss is published.
 *
 * Deadlines. Each rung has its time, counted from its start. Critical sections pause rungs 1 to 3 (`paused_until`). The
 * deadlines of rungs 1 to 4 leave the exit its time, and the exit's leaves time for the dump; at the cap every incident
 * climbs to rung 6. With a grace period of 30 s: 5 + 1 + 5 + 2 + 8 s, 5 s of pauses, 2 s for the dump: the cap of 28 s.
 */
#ifndef BO_LADDER_POLICY_H
#define BO_LADDER_POLICY_H

#include <stdbool.h>
#include <stdint.h>
#include <bough/ladder.h>

enum bo_happening {
    BO_TIME_IS_OVER,
    BO_AGAIN,     /* a second event of the same kind */
    BO_RETURNED,  /* a handler has returned */
    BO_TO_RESUME, /* with this verdict: until means.resume_until */
    BO_TO_PROMOTE,
    BO_FAULT,
    BO_UNSAFE, /* the rung can't be carried out here */
    BO_DONE,   /* the rung has been carried out */
    BO_HAPPENINGS
};

/* An incident's standing. Times are on one clock, BO_FOREVER for none. */
struct bo_standing {
    uint8_t rung, ceiling;
    bool overdue; /* its time is over, and no rung is left */
    int64_t until, cap;
};

/* The means that the ladder has for this target. */
struct bo_means {
    bool handlers, finals, closable; /* something to run at rungs 2, 3, 4 */
    bool traced;                     /* a debugger is attached: rungs 4 to 6 are only reported (rule 39) */
    int64_t time[BOUGH_RUNGS];
    int64_t paused_until, resume_until; /* 0: not paused, not resumed */
};

enum bo_action {
    BO_NOTHING,
    BO_WAIT,    /* only a new deadline */
    BO_CLIMB,   /* to standing.rung: carry it out */
    BO_OVERDUE, /* report it */
    BO_FINISH   /* it is over */
};

struct bo_step {
    struct bo_standing standing; /* afterwards */
    enum bo_action action;
};

/* The first standing of an incident posted at `since` with this ceiling. Its deadline is the time for the first
 * look. */
struct bo_standing bo_policy_open(int64_t since, uint8_t ceiling, int64_t cap, const struct bo_means *means);
/* The standing after a later post that allows it to climb to `ceiling`, and to the end within `cap` from now. A post
 * never lowers either. */
struct bo_standing bo_policy_raise(struct bo_standing standing, uint8_t ceiling, int64_t cap,
                                   const struct bo_means *means, int64_t now);
/* The next step. BO_TIME_IS_OVER may be passed at any time: it has no effect before the deadline. */
struct bo_step bo_policy(struct bo_standing standing, enum bo_happening what, const struct bo_means *means,
                         int64_t now);

/* For the test and the diagram: the table's cell as a word. */
const char *bo_policy_cell(int rung, enum bo_happening what);

#endif

/* SPDX-License-Identifier: MIT */
#include "ladder/rungs.h"
#include <bough/ladder.h>
#include <stdio.h>
#include "base/hook.h"
#include "ladder/closer.h"
#include "ladder/exit.h"
#include "ladder/freeze.h"
#include "ladder/handler.h"
#include "ladder/helper_threads.h"
#include "ladder/holders.h"
#include "ladder/kill.h"
#include "ladder/log.h"
#include "ladder/target_threads.h"
#include "state/clock.h"
#include "wake/post.h"
#include "wake/ticker.h"

static void begin_scan(struct bo_scan *scan, const struct bo_incident *i)
{
    bo_scan_concerned(scan, i->target, i->record);
}

/* ---- rungs 2 and 3 ------------------------------------------------------------------------------------------ */

static void summon_below(const struct bo_incident *i)
{
    struct bo_scan scan;
    struct bo_thread *t;
    uint64_t w;
    begin_scan(&scan, i);
    while ((t = bo_scan_next(&scan, &w)))
        if (bo_load_relaxed(&t->incident.finals))
            bo_handler_summon(t, bo_word_generation(w));
}

static void wake_below(const struct bo_incident *i)
{
    if (bo_alone(i->record, i->branch))
        bo_wake((struct bo_thread *)i->target, bo_word_generation(bo_load_seq(&i->target->word)), true);
    else
        bo_wake_subtree(i->target, true);
}

/* ---- rung 4 --------------------------------------------------------------------------------------------------- */

static void close_it(void *thread)
{
    bo_close_thread(thread);
}

const char *bo_close_below(const struct bo_incident *i)
{
    struct bo_scan scan;
    struct bo_thread *t;
    uint64_t w;
    begin_scan(&scan, i);
    while ((t = bo_scan_next(&scan, &w))) {
        /* Main is not frozen: it waits for the closed threads, and then has the rung's time to end. */
        if (bo_has_children(t) || bo_is_main(t) || bo_load_relaxed(&t->freeze.closing))
            continue;
        const char *reason = "";
        enum bo_freezing f = bo_freeze(t, bo_word_generation(w), &reason);
        if (f == BO_NOT_SAFE)
            return reason;
        if (f == BO_FROZEN) {
            bo_store_relaxed(&t->freeze.closing, 1);
            if (!bo_help(close_it, t))
                return "there is no thread to run its closers";
        }
    }
    return NULL;
}

void bo_withdraw_below(const struct bo_incident *i)
{
    struct bo_scan scan;
    struct bo_thread *t;
    uint64_t w;
    begin_scan(&scan, i);
    while ((t = bo_scan_next(&scan, &w)))
        bo_freeze_withdraw(t, bo_word_generation(w));
}

/* ---- rungs 5 and 6 -------------------------------------------------------------------------------------------- */

/* Can the thread be closed now? Whether it reaches a safe place later is known only after a request. */
static bool can_be_closed(const struct bo_thread *t, uint64_t w)
{
    return (w & (BO_IN | BO_CLOSABLE)) && !((w & BO_DISABLED) && (w & BO_TIMED)) && !bo_is_main(t);
}

static struct bo_leaving exit_request;

enum { NO_DUMP, BEING_WRITTEN, WRITTEN };
static _Atomic uint32_t dumped;
static struct bo_incident dumped_for; /* used by the ticker only */
static char last_why[512];
static int64_t dump_until;

static void freeze_below(const struct bo_incident *i)
{
    struct bo_scan scan;
    struct bo_thread *t;
    uint64_t w;
    const char *why;
    if (i->target->index == BO_ROOT && i->branch)
        return;
    begin_scan(&scan, i);
    while ((t = bo_scan_next(&scan, &w)))
        if (can_be_closed(t, w))
            bo_freeze(t, bo_word_generation(w), &why);
}

static struct bo_incident exit_incident;

static bool leaving_is_over(void)
{
    return bo_incident_over(&exit_incident);
}

static bool leave_process(const struct bo_incident *i, int64_t until)
{
    if (!bo_leave_first())
        return true;
    freeze_below(i);
    exit_request.signo = i->posted.kind == BOUGH_SIGNAL ? i->posted.signo : 0;
    exit_request.until = bo_to_monotonic(until);
    exit_request.over = leaving_is_over;
    exit_incident = *i;
    snprintf(exit_request.reason, sizeof exit_request.reason, "the process exits: %s", bo_what_for(i));
    if (bo_help(bo_leave, &exit_request))
        return true;
    bo_leave_not();
    return false;
}

/* If no helper is there, the rung's time runs out. */
void bo_go_on_leaving(const struct bo_incident *i)
{
    if (!bo_is_leaving())
        leave_process(i, bo_load_seq(&i->record->rung_until));
}

static void write_dump(void *unused)
{
    (void)unused;
    BO_HOOK(dump_begins);
    bo_kill_dump(last_why, dump_until);
    bo_store_seq(&dumped, WRITTEN);
    bo_ticker_attend();
}

/* One dump serves all incidents that reach rung 6 together. A dump for an incident that was handled meanwhile does not
 * serve a later one. */
static bool has_last_words(void)
{
    return bo_load_seq(&dumped) == WRITTEN && !bo_incident_over(&dumped_for);
}

static void begin_kill(const struct bo_incident *i, int64_t until)
{
    char place[BO_PLACE];
    if (bo_load_seq(&dumped) == BEING_WRITTEN || has_last_words())
        return;
    bo_store_seq(&dumped, BEING_WRITTEN);
    dumped_for = *i;
    bo_find_place(i->target, i->record, place, sizeof place);
    snprintf(last_why, sizeof last_why, "%s (%s) was not handled; %s", bo_kind_name(i->posted.kind), bo_what_for(i),
             place);
    dump_until = bo_to_monotonic(until);
    if (!bo_help(write_dump, NULL))
        write_dump(NULL); /* without a helper the dump is written here, without waiting for the descriptor */
}

void bo_go_on_killing(const struct bo_incident *i)
{
    int64_t until = bo_load_seq(&i->record->rung_until);
    if (has_last_words() || bo_now() >= until)
        bo_kill_now();
    begin_kill(i, until);
}

void bo_rungs_after_fork(void)
{
    bo_store_relaxed(&dumped, NO_DUMP);
    bo_leave_not(); /* the parent's exit does not concern a forked child */
}

/* ---- carrying out any rung --------------------------------------------------------------------------------------- */

const char *bo_carry_out(struct bo_incident *i, int64_t until)
{
    switch (i->rung) {
    case BOUGH_RUNG_FINAL:
        summon_below(i);
        wake_below(i);
        return NULL;
    case BOUGH_RUNG_HANDLER:
        wake_below(i);
        return NULL;
    case BOUGH_RUNG_CLOSE:
        return bo_close_below(i);
    case BOUGH_RUNG_EXIT:
        return leave_process(i, until) ? NULL : "there is no thread to carry it out";
    case BOUGH_RUNG_KILL:
        begin_kill(i, until);
        return NULL;
    default:
        return NULL;
    }
}

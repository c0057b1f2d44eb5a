/* SPDX-License-Identifier: MIT */
#include "ladder/warden.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include "api/interrupt.h"
#include "base/hook.h"
#include "base/proc_status.h"
#include "inspect/mailbox.h"
#include "ladder/exit.h"
#include "ladder/helper_threads.h"
#include "ladder/holders.h"
#include "ladder/incident.h"
#include "ladder/kill.h"
#include "ladder/log.h"
#include "ladder/log_queue.h"
#include "ladder/notify.h"
#include "ladder/policy.h"
#include "ladder/post_watch.h"
#include "ladder/rungs.h"
#include "ladder/target_threads.h"
#include "ladder/times.h"
#include "state/clock.h"
#include "state/log.h"
#include "thread/level.h"
#include "thread/stranger.h"
#include "trace/recorder.h"
#include "upcalls.h"
#include "wake/ticker.h"

enum { FINAL_EVENT = 3 };
#define BUSY_POLL BO_MS(10)
#define HEARTBEAT BO_MS(500)
#define PAUSE_AGAIN BO_MS(250)

/* ---- means ------------------------------------------------------------------------------------------------------- */

bool bo_traced(void)
{
    char tracer[32];
    return bo_status_of_process("TracerPid:", tracer, sizeof tracer) && *tracer != '0';
}

static void add_thread(struct bo_means *m, const struct bo_thread *t, uint64_t w, bool *no_closing)
{
    m->handlers |= bo_load_relaxed(&t->incident.handlers) > 0;
    m->finals |= bo_load_relaxed(&t->incident.finals) > 0;
    if ((w & BO_DISABLED) && (w & BO_TIMED)) {
        int64_t end = bo_level_budget_end(t), soon = bo_now() + PAUSE_AGAIN;
        if (end != BO_FOREVER && end > soon)
            end = soon; /* check soon: if the section ends before its budget is used up, the time continues */
        if (end != BO_FOREVER && end > m->paused_until)
            m->paused_until = end;
    }
    if (bo_has_children(t))
        return;
    if (bo_is_main(t) || bo_is_strange(w))
        *no_closing = true;
    else
        m->closable = true;
}

static void set_times(struct bo_means *m, const struct bough_ladder *l)
{
    memcpy(m->time, l->time, sizeof m->time);
}

static struct bo_means means_of(const struct bo_target *target, const struct bo_record *r)
{
    struct bo_means m = {.traced = bo_load_relaxed(&r->ceiling) >= BOUGH_RUNG_CLOSE && bo_traced()};
    struct bough_ladder l;
    struct bo_scan scan;
    const struct bo_thread *t;
    uint64_t w;
    bool no_closing = false;
    bo_ladder_of(target, false, &l);
    set_times(&m, &l);
    m.resume_until = bo_load_seq(&r->hold_until);
    bo_scan_concerned(&scan, target, r);
    while ((t = bo_scan_next(&scan, &w)))
        add_thread(&m, t, w, &no_closing);
    m.closable = m.closable && !no_closing;
    return m;
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

static struct bo_standing standing_of(const struct bo_record *r)
{
    return (struct bo_standing){
        .rung = bo_load_relaxed(&r->rung),
        .ceiling = bo_load_relaxed(&r->ceiling),
        .overdue = bo_load_relaxed(&r->overdue),
        .until = bo_load_relaxed(&r->rung_until),
        .cap = bo_load_relaxed(&r->cap_at),
    };
}

static void keep_standing(struct bo_record *r, const struct bo_standing *s)
{
    if (s->rung != bo_load_relaxed(&r->rung))
        bo_store_seq(&r->rung_at, bo_now());
    bo_store_seq(&r->overdue, s->overdue);
    bo_store_seq(&r->rung_until, s->until);
    bo_store_seq(&r->rung, s->rung);
}

static const char *reason_for(enum bo_happening what, char *text, size_t size, const struct bo_incident *i)
{
    int64_t tenths = (bo_now() - bo_load_seq(&i->record->rung_at)) / BO_MS(100);
    switch (what) {
    case BO_AGAIN:
        return "a further event";
    case BO_TO_PROMOTE:
        return "its handler promoted it";
    case BO_RETURNED:
    case BO_TO_RESUME:
        return "its final handler has returned";
    case BO_FAULT:
        return "its handler has failed";
    default:
        snprintf(text, size, "not handled in %lld.%lld s", (long long)tenths / 10, (long long)tenths % 10);
        return text;
    }
}

/* Has a post requested a higher rung? Then no thread is closed and no exit begins on the way, because the exit would
 * end the process while the dump is written. */
static bool passes(const struct bo_incident *i)
{
    int asked = bo_load_relaxed(&i->record->asked), ceiling = bo_load_relaxed(&i->record->ceiling);
    return i->rung >= BOUGH_RUNG_CLOSE && i->rung < (asked < ceiling ? asked : ceiling);
}

static void take_step(struct bo_incident *i, const struct bo_step *step, const char *why)
{
    struct bo_record *r = i->record;
    int from = i->rung;
    keep_standing(r, &step->standing);
    i->rung = step->standing.rung;
    if (step->action == BO_OVERDUE)
        bo_log_transition(i, from, from, why);
    if (step->action != BO_CLIMB)
        return;
    if (from == BOUGH_RUNG_CLOSE)
        bo_withdraw_below(i);
    bo_log_transition(i, from, i->rung, why);
    const char *not_safe = passes(i) ? NULL : bo_carry_out(i, step->standing.until);
    if (not_safe) {
        struct bo_means m = means_of(i->target, r);
        struct bo_step next = bo_policy(step->standing, BO_UNSAFE, &m, bo_now());
        char text[128];
        snprintf(text, sizeof text, "rung %d is not safe here: %s", i->rung, not_safe);
        take_step(i, &next, text);
    }
}

/* `state`: as tend() has found it. False: the record was closed since then, and may have been posted again. The values
 * read before do not apply to the new post, which has no ceiling at first, and whose poster requests a look. */
static bool happen(struct bo_target *target, struct bo_record *r, uint64_t state, enum bo_happening what)
{
    if (!bo_record_is_of(r, state) || !bo_load_acquire(&r->ceiling))
        return false;
    struct bo_means m = means_of(target, r);
    struct bo_step step = bo_policy(standing_of(r), what, &m, bo_now());
    char text[96];
    if (!bo_record_is_of(r, state))
        return false;
    if (step.action == BO_NOTHING || step.action == BO_FINISH)
        return true;
    if (step.action == BO_WAIT) {
        keep_standing(r, &step.standing);
        return true;
    }
    BO_HOOK(step_decided);
    struct bo_incident *i = bo_incident_watch(target, r);
    if (!bo_record_is_of(r, state) || bo_incident_over(i))
        return false; /* the names may be those of the next user of the target's slot */
    take_step(i, &step, reason_for(what, text, sizeof text, i));
    return bo_record_is_of(r, state); /* a handler that this step woke may have ended the incident by now */
}

/* ---- looking at a record ----------------------------------------------------------------------------------------- */

static void read_handler_events(struct bo_target *target, struct bo_record *r, uint64_t state)
{
    uint32_t events = atomic_fetch_and(&r->handler_events, ~(uint32_t)15);
    if (events >> 4 != bo_record_serial(state))
        return;
    if (events & BO_FAULTED)
        happen(target, r, state, BO_FAULT);
    else if (events & BO_PROMOTED)
        happen(target, r, state, BO_TO_PROMOTE);
    else if (events & BO_RESUMED)
        happen(target, r, state, BO_TO_RESUME);
    else if (events & BO_CAME_BACK)
        happen(target, r, state, BO_RETURNED);
}

/* Handles a rung that a post has requested as its origin, and events after the first. */
static void read_events(struct bo_target *target, struct bo_record *r, uint64_t state)
{
    uint32_t dealt_with = bo_load_relaxed(&r->climbed), events = bo_record_events(r);
    while (bo_load_relaxed(&r->asked) > bo_load_relaxed(&r->rung)) {
        uint8_t before = bo_load_relaxed(&r->rung);
        if (!happen(target, r, state, BO_AGAIN))
            return;
        if (bo_load_relaxed(&r->rung) == before)
            bo_store_relaxed(&r->asked, before);
        dealt_with = events;
    }
    for (; dealt_with < events; dealt_with++)
        if (!happen(target, r, state, BO_AGAIN))
            return;
    bo_store_seq(&r->climbed, dealt_with);
    if (bo_record_is_of(r, state))
        return;
    bo_store_seq(&r->climbed, 1); /* a later post: only its first event is dealt with */
    bo_ticker_look(target);
}

static int64_t soon_at_least(int64_t when)
{
    int64_t soon = bo_now() + BO_MS(1);
    return when > soon ? when : soon;
}

/* Watches an incident that may end the process. */
static void watch_to_the_end(struct bo_target *target, struct bo_record *r)
{
    struct bo_incident *i = bo_incident_watch(target, r);
    i->climbs = bo_load_seq(&r->ceiling) >= BOUGH_RUNG_KILL;
    /* The supervisor is not notified of a Ctrl-C, because the program may handle it and continue. */
    if (bo_is_branch(target) && target->index == BO_ROOT &&
        (i->posted.kind != BOUGH_SIGNAL || i->posted.signo == SIGTERM))
        bo_notify_stopping(bo_load_seq(&r->cap_at) - bo_now());
}

static uint8_t ceiling_of(const struct bough_ladder *l, const struct bo_record *r, uint8_t limit)
{
    uint8_t set = l->ceiling[bo_load_relaxed(&r->kind)];
    return set < limit ? set : limit;
}

/* From the third event on, a program that dismisses every interrupt must not be able to dismiss this one. */
static void make_final_in_time(struct bo_record *r)
{
    if (bo_record_events(r) >= FINAL_EVENT && bo_load_acquire(&r->ceiling) >= BOUGH_RUNG_CLOSE)
        bo_record_make_final(r);
}

/* A later post may allow a higher rung than those before it. Posts with a limit come from the mailbox, which is read on
 * this thread: so a record can't get the limit of another post here. */
static void read_limit(struct bo_target *target, struct bo_record *r)
{
    uint64_t state = bo_load_seq(&r->state);
    uint8_t limit = bo_load_seq(&r->limit), was = bo_load_relaxed(&r->ceiling);
    if (limit <= bo_load_relaxed(&r->limit_met))
        return;
    struct bo_means m = means_of(target, r);
    struct bough_ladder l;
    bo_ladder_of(target, false, &l);
    struct bo_standing s = bo_policy_raise(standing_of(r), ceiling_of(&l, r, limit), l.cap, &m, bo_now());
    if (!bo_record_is_of(r, state))
        return;
    bo_store_relaxed(&r->limit_met, limit);
    if (s.ceiling == was)
        return;
    keep_standing(r, &s);
    bo_store_seq(&r->cap_at, s.cap);
    bo_store_release(&r->ceiling, s.ceiling);
    make_final_in_time(r);
    if (s.cap != BO_FOREVER)
        watch_to_the_end(target, r);
    if (s.ceiling >= BOUGH_RUNG_KILL)
        bo_kill_by(bo_to_monotonic(s.cap));
}

/* Each of these functions reads the record again, because the incident may be over by now. Returns when to look again,
 * on bo_now()'s clock. */
static int64_t tend(struct bo_target *target, struct bo_record *r)
{
    uint64_t state = bo_load_seq(&r->state);
    if (!bo_record_stands(r) || (bo_load_relaxed(&r->kind) == BOUGH_EXIT && bo_is_leaving()))
        return BO_FOREVER; /* the interrupt that rung 5 posts to the other threads does not escalate */
    if (!bo_load_acquire(&r->ceiling))
        return bo_now() + BO_MS(1); /* its poster is about to set it */
    read_limit(target, r);
    if (bo_load_seq(&r->cap_at) != BO_FOREVER && !bo_load_seq(&r->watched))
        watch_to_the_end(target, r);
    read_events(target, r, state);
    read_handler_events(target, r, state);
    if (bo_load_seq(&r->rung_until) <= bo_now())
        happen(target, r, state, BO_TIME_IS_OVER);
    /* bo_ladder_tick() continues a rung that is being carried out. */
    return bo_load_seq(&r->rung) >= BOUGH_RUNG_KILL ? BO_FOREVER : soon_at_least(bo_load_seq(&r->rung_until));
}

int64_t bo_ladder_look(struct bo_target *target)
{
    int64_t next = BO_FOREVER;
    for (uint32_t due = bo_load_seq(&target->due); due; due &= due - 1) {
        int64_t then = tend(target, bo_record_of(target, (enum bough_kind)__builtin_ctz(due)));
        if (then < next)
            next = then;
    }
    return next == BO_FOREVER ? BO_FOREVER : bo_to_monotonic(next);
}

/* ---- ticking ----------------------------------------------------------------------------------------------------- */

/* Of incidents that are over, reports only those that have climbed or were overdue. */
static void drop_those_over(void)
{
    for (unsigned i = 0; i < bo_watched_count;) {
        if (!bo_incident_over(&bo_watched[i])) {
            i++;
            continue;
        }
        if (bo_watched[i].reported)
            bo_log_over(&bo_watched[i]);
        bo_watched[i] = bo_watched[--bo_watched_count];
    }
}

/* Posters set the timer as well. So this also cancels the timer for a record that is over before it was first examined,
 * but not for a post that was made since the last tick, whose record this tick may have missed: then it returns false
 * (rule 39). */
static bool set_warden_timer(void)
{
    static uint64_t seen;
    int64_t earliest = BO_FOREVER;
    for (unsigned i = 0; i < bo_watched_count; i++) {
        int64_t cap = bo_load_seq(&bo_watched[i].record->cap_at);
        if (bo_watched[i].climbs && cap < earliest)
            earliest = cap;
    }
    if (earliest != BO_FOREVER && bo_traced())
        earliest = BO_FOREVER;
    BO_HOOK(caps_scanned);
    bool is_set = bo_kill_set(earliest == BO_FOREVER ? BO_FOREVER : bo_to_monotonic(earliest), seen);
    seen = bo_kill_seen();
    return is_set;
}

static bool work_on(struct bo_incident *i)
{
    if (i->rung == BOUGH_RUNG_KILL) {
        bo_go_on_killing(i);
        return true;
    }
    if (i->rung < BOUGH_RUNG_CLOSE || bo_load_seq(&i->record->overdue))
        return false;
    if (i->rung == BOUGH_RUNG_EXIT) {
        bo_go_on_leaving(i);
        return false;
    }
    const char *why = bo_close_below(i);
    if (!why)
        return true;
    struct bo_means m = means_of(i->target, i->record);
    struct bo_step step = bo_policy(standing_of(i->record), BO_UNSAFE, &m, bo_now());
    take_step(i, &step, why);
    return true;
}

static int64_t tend_watched(void)
{
    bool at_work = false, climbs = false;
    drop_those_over();
    for (unsigned i = 0; i < bo_watched_count; i++) {
        climbs |= bo_watched[i].climbs;
        if (!bo_incident_over(&bo_watched[i]))
            at_work |= work_on(&bo_watched[i]);
    }
    if (!set_warden_timer())
        return bo_clock();
    return at_work ? bo_clock() + BUSY_POLL : climbs ? bo_clock() + HEARTBEAT : BO_FOREVER;
}

int64_t bo_ladder_tick(void)
{
    int64_t mail = bo_mail_read(bo_help), next = tend_watched();
    const char *complaint = bo_trace_complaint();
    if (bo_unlikely(complaint != NULL))
        bo_report("%s", complaint);
    return mail < next ? mail : next;
}

/* ---- posts, in any thread and in signal handlers ----------------------------------------------------------------- */

static void open_incident(struct bo_target *target, struct bo_record *r)
{
    struct bough_ladder l;
    struct bo_means m = {0};
    bo_ladder_of(target, true, &l);
    set_times(&m, &l);
    struct bo_standing s =
        bo_policy_open(bo_load_relaxed(&r->since), ceiling_of(&l, r, bo_load_relaxed(&r->limit_met)), l.cap, &m);
    bo_store_relaxed(&r->rung_until, s.until);
    bo_store_relaxed(&r->cap_at, s.cap);
    bo_store_release(&r->ceiling, s.ceiling);
    if (s.ceiling < BOUGH_RUNG_KILL)
        return;
    bo_ticker_look_by(target, BO_FOREVER); /* on the ticker's list first, see kill.c */
    bo_kill_by(bo_to_monotonic(s.cap));
    BO_HOOK(timer_armed);
}

/* ---- another warden ---------------------------------------------------------------------------------------------- */

static void take_over(void *unused)
{
    (void)unused;
    bo_report("bough-ticker was ended from outside: starting a new one");
    bo_ticker_need();
}

/* If the ticker was killed, a helper starts a new one, because the poster may be a signal handler, which can't start a
 * thread. Without a helper only the kernel's timer is left. */
static void look_after_warden(void)
{
    if (bo_ticker_is_gone() && bo_help_is_there())
        bo_help(take_over, NULL);
}

void bo_ladder_posted(struct bo_target *target, struct bo_record *r, bool repeated)
{
    if (!repeated)
        open_incident(target, r);
    make_final_in_time(r);
    bool climbs = bo_load_seq(&r->cap_at) != BO_FOREVER;
    bool more = bo_record_events(r) > bo_load_relaxed(&r->climbed) ||
                bo_load_relaxed(&r->asked) > bo_load_relaxed(&r->rung) ||
                bo_load_seq(&r->limit) > bo_load_relaxed(&r->limit_met);
    if (climbs)
        look_after_warden();
    if (climbs || more)
        bo_ticker_look(target);
    else if (!repeated)
        bo_ticker_look_by(target, bo_to_monotonic(bo_load_seq(&r->rung_until)));
}

void bo_ladder_closed(struct bo_record *r)
{
    (void)r;
    bo_ticker_attend();
}

/* ---- the poster's view ------------------------------------------------------------------------------------------- */

int bough_post_progress(bough_post post, struct bough_progress *progress)
{
    struct bo_record *r = progress ? bo_record_of_post(post) : NULL;
    struct bo_target *target = bo_target_of(post.record);
    if (!r || !target || bough_post_status(post) > BOUGH_POST_DELIVERED)
        return errno = progress ? ESRCH : EINVAL, -1;
    /* The warden writes the rung after its deadline, and the ceiling after its cap: read first, they are never the newer
     * ones. */
    struct bough_progress p = {.rung = bo_load_seq(&r->rung)};
    p.ceiling = bo_load_seq(&r->ceiling);
    BO_HOOK(progress_half);
    int64_t until = bo_load_seq(&r->rung_until), cap = bo_load_seq(&r->cap_at);
    p.overdue = bo_load_seq(&r->overdue);
    p.events = bo_record_events(r);
    p.deadline = until == BO_FOREVER ? 0 : until;
    p.cap = cap == BO_FOREVER ? 0 : cap;
    bo_find_place(target, r, p.place, sizeof p.place);
    if (bough_post_status(post) > BOUGH_POST_DELIVERED)
        return errno = ESRCH, -1;
    *progress = p;
    return 0;
}

/* ---- initialisation ---------------------------------------------------------------------------------------------- */

void bo_ladder_prepare(void)
{
    bo_kill_prepare();
}

void bo_ladder_need_help(void)
{
    bo_help_need(); /* if there are no helpers, only reports and callbacks are missing */
}

void bo_ladder_forked(void)
{
    bo_watched_count = 0;
    bo_rungs_after_fork();
    bo_help_after_fork();
    bo_log_queue_after_fork();
    bo_post_watch_after_fork();
    bo_kill_after_fork();
    bo_mail_after_fork();
}

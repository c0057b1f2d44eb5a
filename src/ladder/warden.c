/* SPDX-License-Identifier: MIT */
#include "ladder/warden.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "api/interrupt.h"
#include "base/clock.h"
#include "base/futex.h"
#include "base/raw.h"
#include "core/level.h"
#include "core/post.h"
#include "core/report.h"
#include "core/self.h"
#include "core/ticker.h"
#include "core/tree.h"
#include "ladder/closer.h"
#include "ladder/exit.h"
#include "ladder/freeze.h"
#include "ladder/handler.h"
#include "ladder/help.h"
#include "ladder/kill.h"
#include "ladder/news.h"
#include "ladder/notify.h"
#include "ladder/policy.h"
#include "ladder/times.h"
#include "see/mail.h"
#include "see/where.h"

enum { WATCHED = 256, FINAL_EVENT = 3 };
#define AT_WORK BO_MS(10)
#define HEARTBEAT BO_MS(500)

/* ---- incidents that are watched -------------------------------------------------------------------------------------- */

/* The ticker's own. */
struct incident {
    struct bo_record *record;
    uint64_t state; /* the record's generation and serial, to see that it is over */
    struct bo_target *target;
    bool branch, climbs;
    bool told; /* of anything: its end is news as well */
    uint8_t rung;
    uint64_t handle;
    uint32_t serial;
    char name[BO_NAME];
};

static struct incident watched[WATCHED];
static unsigned watched_count;

static uint64_t identity(uint64_t state)
{
    return state & ~(uint64_t)15;
}

static bool is_over(const struct incident *i)
{
    return identity(bo_load_seq(&i->record->state)) != i->state || !bo_record_stands(i->record);
}

static struct incident *find(const struct bo_record *r)
{
    for (unsigned i = 0; i < watched_count; i++)
        if (watched[i].record == r && !is_over(&watched[i]))
            return &watched[i];
    return NULL;
}

/* A full table: the incident climbs all the same, only its end goes untold and its timer is not taken back. */
static struct incident *watch(struct bo_target *target, bool branch, struct bo_record *r)
{
    static struct incident spare;
    struct incident *i = find(r);
    if (i)
        return i;
    i = watched_count < WATCHED ? &watched[watched_count++] : &spare;
    uint64_t state = bo_load_seq(&r->state);
    *i = (struct incident){.record = r,
                           .state = identity(state),
                           .target = target,
                           .branch = branch,
                           .climbs = bo_load_seq(&r->ceiling) >= BOUGH_RUNG_KILL,
                           .rung = bo_load_relaxed(&r->rung),
                           .handle = r->target,
                           .serial = bo_record_serial(state)};
    bo_name_of(target, i->name);
    bo_store_seq(&r->watched, 1);
    return i;
}

/* ---- who is below ------------------------------------------------------------------------------------------------------- */

static bool alone(const struct bo_record *r, bool branch)
{
    return !branch && (bo_record_flags(r) & BOUGH_ALONE);
}

/* The next live thread below the target, from index *i on; its word as it was. NULL: no more. */
static struct bo_thread *next_below(const struct bo_target *target, bool branch, const struct bo_record *r, uint32_t *i,
                                    uint64_t *word)
{
    uint32_t high = bo_load_seq(&bo_arena.head->thread_high);
    for (; *i < high; (*i)++) {
        struct bo_thread *t = bo_thread_at(*i);
        *word = bo_load_seq(&t->t.word);
        if (!(*word & BO_LIVE) || (alone(r, branch) && &t->t != target) || !bo_below(t, target, branch))
            continue;
        (*i)++;
        return t;
    }
    return NULL;
}

static bool has_children(const struct bo_thread *t)
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

/* Main can't be lost: the process would never end. */
static bool is_main(const struct bo_thread *t)
{
    return bo_load_relaxed(&t->tid) == bo_load_relaxed(&bo_pid);
}

/* Now. Whether a thread ever comes by a safe place, only asking it tells. */
static bool can_be_closed(const struct bo_thread *t, uint64_t w)
{
    return (w & (BO_IN | BO_CLOSABLE)) && !((w & BO_MASKED) && (w & BO_TIMED)) && !is_main(t);
}

/* Where the first one is stuck that does not only wait for its children. */
static void find_place(const struct bo_target *target, bool branch, const struct bo_record *r, char *text, size_t size)
{
    uint64_t w;
    char name[BO_NAME];
    *text = '\0';
    for (uint32_t i = 1;;) {
        const struct bo_thread *t = next_below(target, branch, r, &i, &w);
        if (!t)
            return;
        if (has_children(t))
            continue;
        int n = snprintf(text, size, "thread %d (%s) is ", (int)bo_load_relaxed(&t->tid),
                         *bo_name_of(&t->t, name) ? name
                         : is_main(t)             ? "main"
                                                  : "unnamed");
        if (n > 0 && (size_t)n < size)
            bo_where(t, bo_word_generation(w), text + n, size - (size_t)n);
        return;
    }
}

/* ---- means ----------------------------------------------------------------------------------------------------------------- */

bool bo_traced(void)
{
    char status[4096];
    long fd = bo_raw4(SYS_openat, AT_FDCWD, (long)"/proc/self/status", O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    long n = bo_raw3(SYS_read, fd, (long)status, sizeof status - 1);
    bo_raw1(SYS_close, fd);
    status[n > 0 ? n : 0] = '\0';
    const char *tracer = strstr(status, "TracerPid:\t");
    return tracer && tracer[11] != '0';
}

static void add_thread(struct bo_means *m, const struct bo_thread *t, uint64_t w, bool *main_is_stuck)
{
    m->handlers |= bo_load_relaxed(&t->handlers) > 0;
    m->finals |= bo_load_relaxed(&t->finals) > 0;
    if ((w & BO_MASKED) && (w & BO_TIMED)) {
        int64_t end = bo_level_budget_end(t);
        if (end != BO_FOREVER && end > m->paused_until)
            m->paused_until = end;
    }
    if (has_children(t))
        return;
    if (is_main(t))
        *main_is_stuck = true;
    else
        m->closable = true;
}

static void set_times(struct bo_means *m, const struct bough_ladder *l)
{
    memcpy(m->time, l->time, sizeof m->time);
}

static struct bo_means means_of(const struct bo_target *target, bool branch, const struct bo_record *r)
{
    struct bo_means m = {.traced = bo_load_relaxed(&r->ceiling) >= BOUGH_RUNG_CLOSE && bo_traced()};
    struct bough_ladder l;
    uint64_t w;
    bool main_is_stuck = false;
    bo_ladder_of(target, branch, &l);
    set_times(&m, &l);
    m.resume_until = bo_load_seq(&r->hold_until);
    for (uint32_t i = 1;;) {
        const struct bo_thread *t = next_below(target, branch, r, &i, &w);
        if (!t)
            break;
        add_thread(&m, t, w, &main_is_stuck);
    }
    m.closable = m.closable && !main_is_stuck;
    return m;
}

/* ---- telling ------------------------------------------------------------------------------------------------------------------ */

static const char *const kinds[] = {"stop", "timeout", "sibling", "signal", "exit", "operator", "exception"};
static const char *const rungs[] = {"over",      "1 (flag)", "2 (handler)", "3 (final handler)",
                                    "4 (close)", "5 (exit)", "6 (kill)"};

static const char *what_for(const struct incident *i)
{
    return i->record->reason[0] ? i->record->reason : "no reason given";
}

static const char *who(const struct incident *i)
{
    return i->name[0] ? i->name : i->branch ? "a branch" : "a thread";
}

static void log_line(const struct incident *i, const struct bough_transition *tr)
{
    char line[480];
    const struct bo_branch *wider = bo_wider(i->target, i->branch);
    char around[BO_NAME + 8] = "", name[BO_NAME];
    if (wider && wider->t.index != BO_ROOT)
        snprintf(around, sizeof around, " in %s", bo_name_of(&wider->t, name));
    int64_t age = (tr->at - tr->since) / BO_MS(100);
    if (tr->to == 0)
        snprintf(line, sizeof line, "%s%s: the %s of %lld.%lld s ago is over: %s", who(i), around, kinds[tr->kind],
                 (long long)age / 10, (long long)age % 10, tr->why);
    else if (tr->to == tr->from)
        snprintf(line, sizeof line, "%s%s: %s (%s), posted %lld.%lld s ago, is overdue at rung %s: %s%s%s", who(i),
                 around, kinds[tr->kind], what_for(i), (long long)age / 10, (long long)age % 10, rungs[tr->to], tr->why,
                 *tr->place ? "; " : "", tr->place);
    else
        snprintf(line, sizeof line, "%s%s: %s (%s), posted %lld.%lld s ago, goes up to rung %s: %s%s%s", who(i), around,
                 kinds[tr->kind], what_for(i), (long long)age / 10, (long long)age % 10, rungs[tr->to], tr->why,
                 *tr->place ? "; " : "", tr->place);
    bo_report("%s", line);
}

static void tell(struct incident *i, int from, int to, const char *why)
{
    char place[160] = "";
    const struct bo_record *r = i->record;
    const struct bo_branch *wider = bo_wider(i->target, i->branch);
    if (to)
        find_place(i->target, i->branch, r, place, sizeof place);
    struct bough_transition tr = {
        .post = {.record = i->handle, .serial = i->serial << 4 | bo_load_relaxed(&r->kind)},
        .kind = (enum bough_kind)bo_load_relaxed(&r->kind),
        .from = from,
        .to = to,
        .target = (bough_target)(uintptr_t)i->handle,
        .wider = wider ? (bough_target)(uintptr_t)bo_branch_handle(wider) : NULL,
        .name = i->name,
        .why = why,
        .place = place,
        .source = r->source,
        .at = bo_now(),
        .since = bo_load_relaxed(&r->since),
    };
    i->told = true;
    log_line(i, &tr);
    bo_news_transition(&tr);
}

/* ---- rung 4 -------------------------------------------------------------------------------------------------------------------- */

static void close_it(void *thread)
{
    bo_close_thread(thread);
}

/* Leaves first: an owner that only waits for them goes on by itself. NULL, or why it can't be done. */
static const char *close_below(const struct incident *i)
{
    const char *why = NULL;
    uint64_t w;
    for (uint32_t at = 1;;) {
        struct bo_thread *t = next_below(i->target, i->branch, i->record, &at, &w);
        if (!t)
            return why;
        /* Main has waited for those that are closed, and has the rung's time to end. */
        if (has_children(t) || is_main(t) || bo_load_relaxed(&t->closing))
            continue;
        const char *reason = "";
        enum bo_freezing f = bo_freeze(t, bo_word_generation(w), &reason);
        if (f == BO_NOT_SAFE)
            return reason;
        if (f == BO_FROZEN) {
            bo_store_relaxed(&t->closing, 1);
            if (!bo_help(close_it, t))
                return "there is no thread to run its closers";
        }
    }
}

static void withdraw_below(const struct incident *i)
{
    uint64_t w;
    for (uint32_t at = 1;;) {
        struct bo_thread *t = next_below(i->target, i->branch, i->record, &at, &w);
        if (!t)
            return;
        bo_freeze_withdraw(t, bo_word_generation(w));
    }
}

/* ---- rungs 2 and 3 ---------------------------------------------------------------------------------------------------------------- */

static void summon_below(const struct incident *i)
{
    uint64_t w;
    for (uint32_t at = 1;;) {
        struct bo_thread *t = next_below(i->target, i->branch, i->record, &at, &w);
        if (!t)
            return;
        if (bo_load_relaxed(&t->finals))
            bo_handler_summon(t, bo_word_generation(w));
    }
}

static void wake_below(const struct incident *i)
{
    if (alone(i->record, i->branch))
        bo_wake((struct bo_thread *)i->target, bo_word_generation(bo_load_seq(&i->target->word)));
    else
        bo_spread(i->target, i->branch);
}

/* ---- rungs 5 and 6 ---------------------------------------------------------------------------------------------------------------- */

static struct bo_leaving leaving;
static _Atomic uint32_t dumped; /* 1: being written, 2: written */
static char last_why[320];

static void freeze_below(const struct incident *i)
{
    uint64_t w;
    const char *why;
    if (i->target->index == BO_ROOT && i->branch)
        return;
    for (uint32_t at = 1;;) {
        struct bo_thread *t = next_below(i->target, i->branch, i->record, &at, &w);
        if (!t)
            return;
        if (can_be_closed(t, w))
            bo_freeze(t, bo_word_generation(w), &why);
    }
}

static struct incident leaving_for;

static bool leaving_is_over(void)
{
    return is_over(&leaving_for);
}

static bool leave(const struct incident *i, int64_t until)
{
    if (bo_is_leaving())
        return true;
    freeze_below(i);
    leaving.signo = bo_load_relaxed(&i->record->kind) == BOUGH_SIGNAL ? i->record->signo : 0;
    leaving.until = bo_to_monotonic(until);
    leaving.over = leaving_is_over;
    leaving_for = *i;
    snprintf(leaving.reason, sizeof leaving.reason, "the process exits: %s", what_for(i));
    return bo_help(bo_leave, &leaving);
}

static void write_dump(void *unused)
{
    (void)unused;
    bo_kill_dump(last_why);
    bo_store_seq(&dumped, 2);
    bo_ticker_attend();
}

static void begin_kill(const struct incident *i)
{
    if (bo_swap_seq(&dumped, 1))
        return;
    char place[160];
    find_place(i->target, i->branch, i->record, place, sizeof place);
    snprintf(last_why, sizeof last_why, "%s (%s) was not handled; %s", kinds[bo_load_relaxed(&i->record->kind)],
             what_for(i), place);
    if (!bo_help(write_dump, NULL))
        write_dump(NULL); /* no other thread to do it: what does not take it at once is not waited for */
}

/* ---- steps ---------------------------------------------------------------------------------------------------------------------------- */

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

static void keep(struct bo_record *r, const struct bo_standing *s)
{
    if (s->rung != bo_load_relaxed(&r->rung))
        bo_store_seq(&r->rung_at, bo_now());
    bo_store_seq(&r->overdue, s->overdue);
    bo_store_seq(&r->rung_until, s->until);
    bo_store_seq(&r->rung, s->rung);
}

/* The rung that it stands at now. NULL, or why it can't be done. */
static const char *carry_out(struct incident *i, int64_t until)
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
        return close_below(i);
    case BOUGH_RUNG_EXIT:
        return leave(i, until) ? NULL : "there is no thread to carry it out";
    case BOUGH_RUNG_KILL:
        begin_kill(i);
        return NULL;
    default:
        return NULL;
    }
}

static const char *reason_for(enum bo_happening what, char *text, size_t size, const struct incident *i)
{
    int64_t tenths = (bo_now() - bo_load_seq(&i->record->rung_at)) / BO_MS(100);
    switch (what) {
    case BO_AGAIN:
        return "a further event";
    case BO_TO_PROMOTE:
        return "its handler says so";
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

static void take_step(struct incident *i, const struct bo_step *step, const char *why)
{
    struct bo_record *r = i->record;
    int from = i->rung;
    keep(r, &step->standing);
    i->rung = step->standing.rung;
    if (step->action == BO_OVERDUE)
        tell(i, from, from, why);
    if (step->action != BO_CLIMB)
        return;
    if (from == BOUGH_RUNG_CLOSE)
        withdraw_below(i);
    tell(i, from, i->rung, why);
    const char *not_safe = carry_out(i, step->standing.until);
    if (not_safe) {
        struct bo_means m = means_of(i->target, i->branch, r);
        struct bo_step next = bo_policy(step->standing, BO_UNSAFE, &m, bo_now());
        char text[128];
        snprintf(text, sizeof text, "rung %d is not safe here: %s", i->rung, not_safe);
        take_step(i, &next, text);
    }
}

static void happen(struct bo_target *target, bool branch, struct bo_record *r, enum bo_happening what)
{
    struct bo_means m = means_of(target, branch, r);
    struct bo_step step = bo_policy(standing_of(r), what, &m, bo_now());
    char text[96];
    if (step.action == BO_NOTHING || step.action == BO_FINISH)
        return;
    if (step.action == BO_WAIT) {
        keep(r, &step.standing);
        return;
    }
    struct incident *i = watch(target, branch, r);
    take_step(i, &step, reason_for(what, text, sizeof text, i));
}

/* ---- looking at a record ---------------------------------------------------------------------------------------------------------------- */

static void read_news(struct bo_target *target, bool branch, struct bo_record *r)
{
    uint8_t news = atomic_exchange(&r->news, 0);
    if (news & BO_FAULTED)
        happen(target, branch, r, BO_FAULT);
    else if (news & BO_PROMOTED)
        happen(target, branch, r, BO_TO_PROMOTE);
    else if (news & BO_RESUMED)
        happen(target, branch, r, BO_TO_RESUME);
    else if (news & BO_CAME_BACK)
        happen(target, branch, r, BO_RETURNED);
}

/* A rung that was asked for at the origin, and events after the first. */
static void read_events(struct bo_target *target, bool branch, struct bo_record *r)
{
    uint32_t dealt_with = bo_load_relaxed(&r->climbed), events = bo_record_events(r);
    while (bo_load_relaxed(&r->asked) > bo_load_relaxed(&r->rung)) {
        uint8_t before = bo_load_relaxed(&r->rung);
        happen(target, branch, r, BO_AGAIN);
        if (bo_load_relaxed(&r->rung) == before)
            bo_store_relaxed(&r->asked, before);
        dealt_with = events;
    }
    for (; dealt_with < events; dealt_with++)
        happen(target, branch, r, BO_AGAIN);
    bo_store_relaxed(&r->climbed, dealt_with);
}

static int64_t soon_at_least(int64_t when)
{
    int64_t soon = bo_now() + BO_MS(1);
    return when > soon ? when : soon;
}

/* Each of these looks at the record anew: it may be over by now. Returns when to come again, on bo_now()'s clock. */
static int64_t tend(struct bo_target *target, bool branch, struct bo_record *r)
{
    if (!bo_record_stands(r) || (bo_load_relaxed(&r->kind) == BOUGH_EXIT && bo_is_leaving()))
        return BO_FOREVER; /* rung 5's own way to tell the others climbs no ladder */
    if (!bo_load_acquire(&r->ceiling))
        return bo_now() + BO_MS(1); /* its poster is about to */
    if (bo_load_seq(&r->cap_at) != BO_FOREVER && !bo_load_seq(&r->watched)) {
        watch(target, branch, r);
        /* A Ctrl-C may be handled, and the process go on. */
        if (branch && target->index == BO_ROOT && (r->kind != BOUGH_SIGNAL || r->signo == SIGTERM))
            bo_notify_stopping(bo_load_seq(&r->cap_at) - bo_now());
    }
    read_events(target, branch, r);
    read_news(target, branch, r);
    if (bo_load_seq(&r->rung_until) <= bo_now())
        happen(target, branch, r, BO_TIME_IS_OVER);
    /* What is carried out now is the ticks' affair. */
    return bo_load_seq(&r->rung) >= BOUGH_RUNG_KILL ? BO_FOREVER : soon_at_least(bo_load_seq(&r->rung_until));
}

static int64_t look(struct bo_target *target, bool branch)
{
    int64_t next = BO_FOREVER;
    for (uint32_t due = bo_load_seq(&target->due); due; due &= due - 1) {
        int64_t then = tend(target, branch, bo_record_of(target, (enum bough_kind)__builtin_ctz(due)));
        if (then < next)
            next = then;
    }
    return next == BO_FOREVER ? BO_FOREVER : bo_to_monotonic(next);
}

/* ---- ticking ---------------------------------------------------------------------------------------------------------------------------------- */

static const char *how_over(const struct incident *i)
{
    uint32_t last = bo_load_seq(&i->record->last);
    if (last >> 4 != i->serial)
        return "handled";
    switch (last & 15) {
    case BOUGH_POST_CLEARED:
        return "it was cleared";
    case BOUGH_POST_ENDED:
        return "its target has ended";
    case BOUGH_POST_LOST:
        return "its target was published as lost";
    default:
        return "handled";
    }
}

/* Only those that have gone up, or were overdue, are news when they are over. */
static void drop_those_over(void)
{
    for (unsigned i = 0; i < watched_count;) {
        if (!is_over(&watched[i])) {
            i++;
            continue;
        }
        if (watched[i].told)
            tell(&watched[i], watched[i].rung, 0, how_over(&watched[i]));
        watched[i] = watched[--watched_count];
    }
}

static void set_timer(void)
{
    int64_t earliest = BO_FOREVER;
    for (unsigned i = 0; i < watched_count; i++) {
        int64_t cap = bo_load_seq(&watched[i].record->cap_at);
        if (watched[i].climbs && cap < earliest)
            earliest = cap;
    }
    if (earliest != BO_FOREVER && bo_traced())
        earliest = BO_FOREVER;
    bo_kill_set(earliest == BO_FOREVER ? BO_FOREVER : bo_to_monotonic(earliest));
}

static bool work_on(struct incident *i)
{
    if (i->rung == BOUGH_RUNG_KILL) {
        if (bo_load_seq(&dumped) == 2 || bo_now() >= bo_load_seq(&i->record->rung_until))
            bo_kill_now();
        return true;
    }
    if (i->rung != BOUGH_RUNG_CLOSE || bo_load_seq(&i->record->overdue))
        return false;
    const char *why = close_below(i);
    if (!why)
        return true;
    struct bo_means m = means_of(i->target, i->branch, i->record);
    struct bo_step step = bo_policy(standing_of(i->record), BO_UNSAFE, &m, bo_now());
    take_step(i, &step, why);
    return true;
}

static int64_t tend_watched(void)
{
    bool at_work = false, climbs = false;
    if (bo_likely(!watched_count))
        return BO_FOREVER;
    drop_those_over();
    for (unsigned i = 0; i < watched_count; i++) {
        climbs |= watched[i].climbs;
        if (!is_over(&watched[i]))
            at_work |= work_on(&watched[i]);
    }
    set_timer();
    return at_work ? bo_clock() + AT_WORK : climbs ? bo_clock() + HEARTBEAT : BO_FOREVER;
}

static int64_t tick(void)
{
    int64_t mail = bo_mail_read(bo_help), next = tend_watched();
    return mail < next ? mail : next;
}

/* ---- posts, in any thread and in signal handlers ------------------------------------------------------------------------------------------------ */

static void open_incident(const struct bo_target *target, bool branch, struct bo_record *r)
{
    struct bough_ladder l;
    struct bo_means m = {0};
    bo_ladder_of(target, branch, &l);
    set_times(&m, &l);
    struct bo_standing s = bo_policy_open(bo_load_relaxed(&r->since), l.ceiling[bo_load_relaxed(&r->kind)], l.cap, &m);
    bo_store_relaxed(&r->rung_until, s.until);
    bo_store_relaxed(&r->cap_at, s.cap);
    bo_store_release(&r->ceiling, s.ceiling);
    if (s.ceiling >= BOUGH_RUNG_KILL)
        bo_kill_by(bo_to_monotonic(s.cap));
}

static void posted(struct bo_target *target, bool branch, struct bo_record *r, bool repeated)
{
    if (!repeated)
        open_incident(target, branch, r);
    if (bo_record_events(r) >= FINAL_EVENT && bo_load_acquire(&r->ceiling) >= BOUGH_RUNG_CLOSE)
        bo_record_make_final(r);
    bool climbs = bo_load_seq(&r->cap_at) != BO_FOREVER;
    bool more =
        bo_record_events(r) > bo_load_relaxed(&r->climbed) || bo_load_relaxed(&r->asked) > bo_load_relaxed(&r->rung);
    if (climbs || more)
        bo_ticker_look(target);
    else if (!repeated)
        bo_ticker_look_by(target, bo_to_monotonic(bo_load_seq(&r->rung_until)));
}

/* Defined here, and not where it is called: so whoever links to the static library and posts has the ladder with it. */
void (*bo_on_posted)(struct bo_target *, bool, struct bo_record *, bool) = posted;

static void closed(struct bo_record *r)
{
    (void)r;
    bo_ticker_attend();
}

/* ---- the poster's view ---------------------------------------------------------------------------------------------------------------------------- */

int bough_post_progress(bough_post post, struct bough_progress *progress)
{
    struct bo_record *r = progress ? bo_record_of_post(post) : NULL;
    struct bo_target *target = bo_target_of(post.record);
    if (!r || !target || bough_post_status(post) > BOUGH_POST_DELIVERED)
        return errno = progress ? ESRCH : EINVAL, -1;
    int64_t until = bo_load_seq(&r->rung_until), cap = bo_load_seq(&r->cap_at);
    struct bough_progress p = {
        .rung = bo_load_seq(&r->rung),
        .ceiling = bo_load_seq(&r->ceiling),
        .overdue = bo_load_seq(&r->overdue),
        .events = bo_record_events(r),
        .deadline = until == BO_FOREVER ? 0 : until,
        .cap = cap == BO_FOREVER ? 0 : cap,
    };
    find_place(target, bo_handle_is_branch(post.record), r, p.place, sizeof p.place);
    if (bough_post_status(post) > BOUGH_POST_DELIVERED)
        return errno = ESRCH, -1;
    *progress = p;
    return 0;
}

/* ---- beginning -------------------------------------------------------------------------------------------------------------------------------------- */

static void in_child(void)
{
    watched_count = 0;
    bo_store_relaxed(&dumped, 0);
    bo_help_after_fork();
    bo_news_after_fork();
    bo_kill_after_fork();
}

static void outside(void)
{
    bo_help_need();
}

/* core/self.c asks for it by name: so a program that is linked to the static library has a ladder. */
const char bo_ladder_linked = 1;

__attribute__((constructor)) static void at_load(void)
{
    bo_on_closed = closed;
    bo_on_look = look;
    bo_on_tick = tick;
    bo_on_ticker_start = bo_kill_prepare;
    bo_on_outside = outside;
    bo_on_meet = bo_handler_meet;
    bo_on_summons = bo_handler_summoned;
    bo_on_jump = bo_handler_jumped;
    pthread_atfork(NULL, NULL, in_child);
}

/* SPDX-License-Identifier: MIT */
/*
 * A handler runs at a point, in ordinary code, and its verdict decides whether the point fails. While a handler runs,
 * its incident is suppressed for the thread up to its rung (`resumed`): only other incidents interrupt calls in it, or
 * this one once it climbs. Each thread runs handlers once for a record and rung.
 *
 * How a handler can fail, and how that is detected:
 *
 *      hangs                      the rung's time is over
 *      faults                     ladder/fault.c jumps out of it
 *      returns from rung 3        the verdict is read here
 *      throws                     a cleanup in the frame that runs it: rule 36
 *      jumps out of rung 2        bough_longjmp() reports it; after another jump `handling` is below the stack pointer
 *                                 when the thread's next region begins or ends, or when a point of it is about to fail
 *      posts to its own target    this counts as an event, like any other post
 */
#define _GNU_SOURCE
#include "ladder/handler.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "api/interrupt.h"
#include "arch/frame.h"
#include "arch/window.h"
#include "base/futex.h"
#include "base/hook.h"
#include "base/raw.h"
#include "branch/end.h"
#include "ladder/fault.h"
#include "ladder/freeze.h"
#include "ladder/helper_threads.h"
#include "state/arena.h"
#include "state/clock.h"
#include "state/current.h"
#include "state/log.h"
#include "state/tree.h"
#include "state/undo.h"
#include "thread/foreign_call.h"
#include "thread/level.h"
#include "upcalls.h"
#include "wake/ticker.h"
#include "wake/wake.h"

/* Notes an event of the post that the record was of in `state`; of an earlier post, there is nothing to note. */
static void note_event(struct bo_record *r, uint64_t state, enum bo_handler_event event)
{
    uint32_t was = bo_load_seq(&r->handler_events);
    do
        if (was >> 4 != bo_record_serial(state))
            return;
    while (!bo_cas_seq(&r->handler_events, &was, was | (uint32_t)event));
    struct bo_target *target = bo_target_of(bo_load_relaxed(&r->target));
    if (target)
        bo_ticker_look(target);
}

/* ---- running one ------------------------------------------------------------------------------------------------- */

/* The warden may raise the rung meanwhile: the handler gets the rung at which it runs. The deadline is never that of an
 * earlier rung. False: the post is over, and the description may be of two posts. */
static bool describe(struct bough_incident *incident, const struct bo_handling *h)
{
    const struct bo_record *r = h->record;
    BO_HOOK(handler_chosen);
    memset(incident, 0, sizeof *incident);
    bo_record_describe(r, &incident->record);
    incident->rung = incident->record.rung = h->rung;
    int64_t until = bo_load_seq(&r->rung_until), cap = bo_load_seq(&r->cap_at);
    incident->deadline = until == BO_FOREVER ? 0 : until;
    incident->cap = cap == BO_FOREVER ? 0 : cap;
    return bo_record_is_of(r, h->state);
}

static void not_for_this_incident(struct bo_thread *t, uint64_t seq, int rung, int64_t until)
{
    bo_suppress(&t->resumed, seq, until, (uint8_t)rung);
}

/* ---- a handler that does not return ------------------------------------------------------------------------------ */

/* A jump or an exception has left the handler's frame. A handler of rung 3 is meant to end that way. */
void bo_ladder_jumped(struct bo_thread *t, struct bo_handling *until)
{
    t->incident.handling = until;
    bo_store_seq(&t->resumed.seq, 0);
    t->incident.jumped = t->incident.handled_rung == BOUGH_RUNG_HANDLER;
    bo_level_recompute(t); /* the record counts again */
}

/* A call of a handler, and what was open in the thread before. */
struct running {
    struct bo_thread *t;
    struct bo_handling *h;
    uint32_t top;
    bool returned;
};

/* A C++ exception leaves the handler, and also the library's call that the handler ran in. It has not left outer
 * handlers and their calls yet. */
static void left_by_exception(const struct running *call)
{
    if (call->returned)
        return;
    struct bo_thread *t = call->t;
    struct bo_handling *outer = call->h->outer;
    bo_level_end_abandoned(t, (uintptr_t)call); /* by address: the memory of these regions may be overwritten already */
    bo_branch_unwind(t, call->top);
    if (!outer)
        bo_foreign_abandon(t);
    bo_undo_until(outer ? outer->undo : NULL);
    bo_busy = outer ? outer->busy : 0;
    t->call.last_was_cut = 1; /* the exception counts as caused by the interrupt */
    bo_ladder_jumped(t, outer);
}

/* A separate function, so that the jump after a fault does not clobber `returned`. */
__attribute__((noinline)) static int call_guarded(struct bo_thread *t, struct bo_handling *h,
                                                  const struct bough_region *region, struct bough_incident *incident)
{
    __attribute__((cleanup(left_by_exception))) struct running call = {.t = t, .h = h, .top = bo_load_relaxed(&t->top)};
    int verdict = ((bough_handler_fn *)bo_region_code(region))(incident, bo_region_argument(region));
    call.returned = true;
    return verdict;
}

/* Returns the verdict; -1: the handler has faulted. */
static int call(struct bo_thread *t, struct bo_handling *h, const struct bough_region *region,
                struct bough_incident *incident)
{
    struct bough_region *const inside = t->regions;
    const uint32_t top = bo_load_relaxed(&t->top);
    volatile int verdict = -1;
    h->outer = t->incident.handling;
    h->signo = 0;
    h->busy = bo_busy;
    h->undo = bo_undo;
    if (sigsetjmp(h->fault, 1) == 0) {
        t->incident.handling = h;
        bo_signal_fence();
        verdict = call_guarded(t, h, region, incident);
    } else {
        bo_undo_until(h->undo);
        bo_branch_unwind(t, top);
        bo_level_unwind(t, inside);
    }
    bo_signal_fence();
    t->incident.handling = h->outer;
    return verdict;
}

static void report_fault(const struct bo_thread *t, const struct bough_region *region, int signo)
{
    char name[BO_NAME];
    if (signo)
        bo_report("the handler of %s:%d in thread %d (%s) was ended by signal %d: the incident goes to the next rung",
                  region->file, region->line, (int)bo_load_relaxed(&t->tid), bo_name_of(&t->t, name), signo);
    else
        bo_report(
            "the final handler of %s:%d in thread %d (%s) has returned: it has to end the thread; the incident goes "
            "up",
            region->file, region->line, (int)bo_load_relaxed(&t->tid), bo_name_of(&t->t, name));
}

/* ---- verdicts ---------------------------------------------------------------------------------------------------- */

enum outcome { FAILS, GOES_ON, OUTWARDS };

static enum outcome resume(struct bo_thread *t, const struct bo_handling *h, const struct bough_incident *incident)
{
    struct bo_record *r = h->record;
    int64_t until = incident->resume_until, cap = bo_load_seq(&r->cap_at);
    if (until > cap)
        until = cap;
    not_for_this_incident(t, h->seq, h->rung, until);
    bo_store_seq(&r->hold_until, until); /* without the event it has no effect */
    note_event(r, h->state, BO_RESUMED);
    bo_ticker_look(&t->t); /* at the end of that time the record counts again */
    return until > bo_now() ? GOES_ON : FAILS;
}

static enum outcome dismiss_record(struct bo_thread *t, const struct bo_handling *h)
{
    struct bo_record *r = h->record;
    if (!bo_record_is_of(r, h->state))
        return GOES_ON;
    if (!bo_may_clear(t, r))
        bo_report(
            "a handler can dismiss only an interrupt of its thread, of a branch that its thread has opened, or of the root: "
            "this one stays pending");
    else if (bo_record_events(r) < 3 && bo_clear_post(t, r, h->state) != BO_KEPT_FINAL)
        return GOES_ON;
    else
        bo_report("a handler cannot dismiss an interrupt that is final or was posted 3 times: it stays pending");
    note_event(r, h->state, BO_CAME_BACK);
    return FAILS;
}

static enum outcome judge_verdict(struct bo_thread *t, const struct bo_handling *h, int verdict,
                                  const struct bough_incident *incident)
{
    switch (verdict) {
    case BOUGH_UNWIND:
        note_event(h->record, h->state, BO_CAME_BACK);
        return FAILS;
    case BOUGH_RESUME:
        return resume(t, h, incident);
    case BOUGH_DISMISS:
        return dismiss_record(t, h);
    default:
        return OUTWARDS;
    }
}

/* ---- all handlers of a thread ------------------------------------------------------------------------------------ */

static bool of_rung(const struct bough_region *region, int rung)
{
    if (region->kind != BO_HANDLER_REGION)
        return false;
    return ((bo_region_flags(region) & BOUGH_HANDLER_FINAL) != 0) == (rung == BOUGH_RUNG_FINAL);
}

/* If the post is over before its handler runs, the thread goes on: the next point fails for a later post. */
static enum outcome run_handler(struct bo_thread *t, const struct bough_region *region, struct bo_handling h)
{
    struct bough_incident incident;
    if (!describe(&incident, &h))
        return GOES_ON;
    not_for_this_incident(t, h.seq, h.rung, BO_FOREVER);
    int verdict = call(t, &h, region, &incident);
    bo_store_seq(&t->resumed.seq, 0);
    if (!h.signo && h.rung == BOUGH_RUNG_FINAL && verdict == BOUGH_LEAVE)
        return FAILS;
    if (h.signo || h.rung == BOUGH_RUNG_FINAL) {
        report_fault(t, region, h.signo);
        note_event(h.record, h.state, BO_FAULTED);
        return FAILS;
    }
    return judge_verdict(t, &h, verdict, &incident);
}

/* The handlers of this rung are run now, and not again. False: the post is over. */
static bool begin_handling(struct bo_thread *t, struct bo_handling *h)
{
    h->seq = bo_load_relaxed(&h->record->seq);
    if (!bo_record_is_of(h->record, h->state))
        return false;
    t->incident.handled_seq = h->seq;
    t->incident.handled_rung = (uint8_t)h->rung;
    return true;
}

/* Run the thread's handlers from the inside out, until one does not promote the incident. */
static enum bo_point run_handlers(struct bo_thread *t, struct bo_record *r, uint64_t state, int rung)
{
    struct bo_handling h = {.record = r, .state = state, .rung = rung};
    enum outcome outcome = OUTWARDS;
    bool any = false;
    if (!begin_handling(t, &h))
        return BO_POINT_PASSES;
    for (struct bough_region *region = t->regions; region && outcome == OUTWARDS; region = region->outer)
        if (of_rung(region, rung)) {
            any = true;
            outcome = run_handler(t, region, h);
        }
    if (any && outcome == OUTWARDS)
        note_event(r, h.state, BO_PROMOTED);
    return outcome == GOES_ON ? BO_POINT_PASSES : BO_POINT_FAILS;
}

void bo_ladder_end_abandoned(struct bo_thread *t, uintptr_t sp)
{
    if ((uintptr_t)t->incident.handling >= sp)
        return;
    bo_undo = NULL;            /* the list lies in frames that are gone */
    bo_ladder_jumped(t, NULL); /* outer handlers are unknown: the jump may have left them too */
}

void bo_ladder_undo(const struct bo_handling *until)
{
    bo_undo_until(until ? until->undo : NULL);
}

static void note_jump(struct bo_thread *t, struct bo_record *r, uint64_t state)
{
    t->incident.jumped = false;
    bo_report(
        "a handler of thread %d has left by a jump or an exception instead of returning its verdict: the incident "
        "goes up",
        (int)bo_load_relaxed(&t->tid));
    note_event(r, state, BO_FAULTED);
}

/* The state is loaded first: a rung that is loaded later is of this post, or the state has changed. */
enum bo_point bo_ladder_verdict(struct bo_thread *t, struct bo_record *r)
{
    uint64_t state = bo_load_seq(&r->state);
    if (t->incident.handling)
        bo_ladder_end_abandoned(t, BO_FRAME());
    if (t->incident.jumped && bo_load_relaxed(&r->seq) == t->incident.handled_seq)
        note_jump(t, r, state);
    if (bo_freeze_wanted(t))
        bo_freeze_here(t);
    int rung = bo_load_seq(&r->rung);
    if (rung != BOUGH_RUNG_HANDLER && rung != BOUGH_RUNG_FINAL)
        return BO_POINT_FAILS;
    if (t->incident.handled_seq == bo_load_relaxed(&r->seq) && t->incident.handled_rung >= rung)
        return BO_POINT_FAILS;
    return run_handlers(t, r, state, rung);
}

/* ---- asynchronously ---------------------------------------------------------------------------------------------- */

void bo_handler_summon(struct bo_thread *t, uint32_t generation)
{
    if (bo_load_seq(&t->t.word) & BO_CLOSABLE)
        bo_summon(t, generation);
}

static const struct bough_region *async_final(const struct bo_thread *t)
{
    const struct bough_region *region = t->regions;
    while (region && !(region->kind == BO_HANDLER_REGION && (bo_region_flags(region) & BOUGH_HANDLER_ASYNC)))
        region = region->outer;
    return region;
}

/* Runs the final handler inside the wake signal's handler, with the signal mask of the interrupted code. */
static void run_on_top(struct bo_thread *t, struct bo_handling h, const struct bough_region *region, void *context)
{
    const ucontext_t *uc = context;
    uint64_t blocked, all = ~(uint64_t)0;
    memcpy(&blocked, &uc->uc_sigmask, sizeof blocked);
    if (!begin_handling(t, &h))
        return;
    bo_raw4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&blocked, 0, sizeof blocked);
    run_handler(t, region, h);
    bo_raw4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, 0, sizeof all);
}

void bo_ladder_summoned(struct bo_thread *t, void *context)
{
    bo_freeze_summoned(t, context); /* returns if no freeze was requested, or if it is not safe here */
    bo_word_clear(&t->t.word, BO_SUMMONED, BO_BY_ANSWER);
    struct bo_record *r = bo_pending_record(t, true);
    uint64_t state = r ? bo_load_seq(&r->state) : 0;
    const struct bough_region *region = async_final(t);
    bool wanted =
        r && region && bo_load_seq(&r->rung) == BOUGH_RUNG_FINAL && !t->open.critical &&
        !(t->incident.handled_seq == bo_load_relaxed(&r->seq) && t->incident.handled_rung >= BOUGH_RUNG_FINAL);
    if (wanted)
        run_on_top(t, (struct bo_handling){.record = r, .state = state, .rung = BOUGH_RUNG_FINAL}, region, context);
}

/* ---- the interface ----------------------------------------------------------------------------------------------- */

int bough_handler_begin(struct bough_region *region, bough_handler_fn *fn, void *argument, unsigned flags,
                        const char *file, int line)
{
    const unsigned known = BOUGH_HANDLER_FINAL | BOUGH_HANDLER_ASYNC;
    if (region)
        region->kind = 0;
    if (!fn || (flags & ~known) || (flags & known) == BOUGH_HANDLER_ASYNC)
        return errno = EINVAL, -1;
    bo_help_need(); /* if there are no helpers, only reports are missing */
    bo_fault_catch();
    return bo_level_begin_handler(region, (bo_code *)fn, argument, flags, file, line, BO_FRAME());
}

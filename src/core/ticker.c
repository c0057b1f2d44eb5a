/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "core/ticker.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <bough/types.h>
#include "base/clock.h"
#include "base/futex.h"
#include "base/hook.h"
#include "base/raw.h"
#include "core/above.h"
#include "core/deliver.h"
#include "core/level.h"
#include "core/post.h"
#include "core/report.h"
#include "core/self.h"

/*
 * Waking the ticker. It sleeps in sigtimedwait on the wake signal, which a kernel timer of ours sends it.
 * `next_wake` is when that timer goes off: whoever needs it earlier lowers `next_wake` and sets the timer,
 * a system call that needs no descriptor, no lock and, unlike waking a thread at once, no
 * processor: a post that is answered within 50 ms costs the ticker one look, later.
 *
 * Two who set the timer at the same time may do so in the wrong order. Each looks at `next_wake` again
 * afterwards, and sets the timer again if it is earlier than what it has set.
 */
enum { NOT_RUNNING, STARTING, RUNNING, FAILED };
enum { HEARTBEAT_MS = 500 };
#define ANSWER_WITHIN BO_MS(50)
#define FIRST_REPEAT 200000
#define LAST_REPEAT BO_MS(10)
#define LATE BO_SEC(1)
#define STACK (256 * 1024)

static _Atomic uint32_t running;
static _Atomic int64_t next_wake;   /* CLOCK_MONOTONIC */
static _Atomic int64_t stood_still; /* how long the library's clock did, rule 33 */
static _Atomic uint32_t attended;   /* somebody wants a tick */
static int timer_id;
static struct bo_lock starting;

int64_t bo_now(void)
{
    return bo_clock() - bo_load_relaxed(&stood_still);
}

bough_time bough_now(void)
{
    return bo_now();
}

int64_t bo_to_monotonic(int64_t when)
{
    return bo_add_time(when, bo_load_relaxed(&stood_still));
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void set_timer(int64_t when)
{
    struct itimerspec at = {.it_value = bo_timespec(when > 0 ? when : 1)};
    bo_raw4(SYS_timer_settime, timer_id, TIMER_ABSTIME, (long)&at, 0);
}

/* By `when` on CLOCK_MONOTONIC at the latest. */
static void wake_by(int64_t when)
{
    int64_t next = bo_load_seq(&next_wake);
    if (bo_load_acquire(&running) != RUNNING)
        return;
    do
        if (when >= next)
            return;
    while (!bo_cas_seq(&next_wake, &next, when));
    for (;;) {
        set_timer(when);
        next = bo_load_seq(&next_wake);
        if (next >= when)
            return;
        when = next;
    }
}

/* ---- the work list: a stack of slots ----------------------------------------------------------------- */

#define IS_BRANCH (1u << 31)
static _Atomic uint32_t work; /* item on top; BO_NONE: empty */

static bool is_branch(const struct bo_target *t)
{
    return (const char *)t >= (const char *)bo_arena.branch;
}

static uint32_t item_of(const struct bo_target *t)
{
    return t->index | (is_branch(t) ? IS_BRANCH : 0);
}

static struct bo_target *target_of(uint32_t item)
{
    return item & IS_BRANCH ? &bo_branch_at(item & ~IS_BRANCH)->t : &bo_thread_at(item)->t;
}

static void enlist(struct bo_target *t)
{
    if (bo_swap_seq(&t->work_here, 1))
        return; /* is there already; the ticker takes the mark off before it looks */
    uint32_t top = bo_load_relaxed(&work);
    do
        bo_store_relaxed(&t->work_next, top);
    while (!bo_cas_seq(&work, &top, item_of(t)));
}

void bo_ticker_look(struct bo_target *t)
{
    enlist(t);
    wake_by(bo_clock());
}

void bo_ticker_look_by(struct bo_target *t, int64_t when)
{
    enlist(t);
    wake_by(when);
}

void bo_ticker_attend(void)
{
    bo_store_seq(&attended, 1); /* it may be about to sleep, and look at the list only */
    wake_by(bo_clock());
}

bool bo_ticker_is_me(void)
{
    return bo_raw0(SYS_gettid) == bo_load_relaxed(&bo_arena.head->ticker);
}

pid_t bo_ticker_tid(void)
{
    return bo_load_relaxed(&bo_arena.head->ticker);
}

void bo_ticker_watch(struct bo_thread *t)
{
    int64_t now = bo_clock();
    bool repeats = bo_load_relaxed(&t->t.word) & BO_REPEAT;
    bo_store_relaxed(&t->asked_at, now);
    enlist(&t->t);
    wake_by(now + (repeats ? FIRST_REPEAT : ANSWER_WITHIN));
}

void bo_ticker_spread(struct bo_target *t)
{
    bo_store_seq(&t->spread, 1);
    bo_ticker_look(t);
}

void bo_ticker_deadline(struct bo_branch *b)
{
    int64_t deadline = bo_load_relaxed(&b->deadline), soon = bo_clock() + BO_MS(HEARTBEAT_MS);
    enlist(&b->t);
    /* Not at the deadline: the clock has to be watched until then (notice_standstill). */
    wake_by(deadline == BO_FOREVER ? BO_FOREVER : earlier(bo_to_monotonic(deadline), soon));
}

/* ---- the heap: when to look at which slot, the ticker's own ------------------------------------------- */

static uint32_t heap[BO_THREADS + BO_BRANCHES], heap_size;
static uint32_t place_of_thread[BO_THREADS], place_of_branch[BO_BRANCHES]; /* 0: not in the heap, else place + 1 */

static uint32_t *place(uint32_t item)
{
    return item & IS_BRANCH ? &place_of_branch[item & ~IS_BRANCH] : &place_of_thread[item];
}

static int64_t when_of(uint32_t item)
{
    return bo_load_relaxed(&target_of(item)->tick_at);
}

static void put(uint32_t at, uint32_t item)
{
    heap[at] = item;
    *place(item) = at + 1;
}

static void sift_up(uint32_t at, uint32_t item)
{
    for (; at && when_of(heap[(at - 1) / 2]) > when_of(item); at = (at - 1) / 2)
        put(at, heap[(at - 1) / 2]);
    put(at, item);
}

static void sift_down(uint32_t at, uint32_t item)
{
    for (uint32_t child; (child = 2 * at + 1) < heap_size; at = child) {
        if (child + 1 < heap_size && when_of(heap[child + 1]) < when_of(heap[child]))
            child++;
        if (when_of(heap[child]) >= when_of(item))
            break;
        put(at, heap[child]);
    }
    put(at, item);
}

static void drop(uint32_t item)
{
    uint32_t at = *place(item);
    if (!at--)
        return;
    *place(item) = 0;
    uint32_t last = heap[--heap_size];
    if (last == item)
        return;
    sift_down(at, last);
    sift_up(*place(last) - 1, last);
}

static void schedule(struct bo_target *t, int64_t when)
{
    uint32_t item = item_of(t);
    drop(item);
    bo_store_relaxed(&t->tick_at, when);
    if (when != BO_FOREVER)
        sift_up(heap_size++, item);
}

/* ---- looking at a thread: each returns when to look again --------------------------------------------- */

/* Sent and not answered for 50 ms, counted again after each diagnosis. */
static int64_t look_at_wake(struct bo_thread *t, int64_t now)
{
    int64_t due = bo_load_relaxed(&t->asked_at) + ANSWER_WITHIN;
    if (now < due)
        return bo_load_relaxed(&t->t.word) & BO_REPEAT ? earlier(due, now + BO_MS(1)) : due;
    bool told = bo_load_relaxed(&t->told);
    bo_deliver_diagnose(t);
    bo_store_relaxed(&t->asked_at, told ? now + LATE - ANSWER_WITHIN : now);
    return now + (told ? LATE : ANSWER_WITHIN);
}

/* A call that repeats: answered, but the thread is in it still. Backoff from 0.2 to 10 ms. */
static int64_t look_at_repeat(struct bo_thread *t, uint64_t w, int64_t now)
{
    uint32_t asks = bo_load_relaxed(&t->asks);
    int64_t pause = asks > 6 ? LAST_REPEAT : earlier((int64_t)FIRST_REPEAT << asks, LAST_REPEAT);
    int64_t due = bo_load_relaxed(&t->asked_at) + pause;
    if (now < due)
        return due;
    if (!bo_cas_seq(&t->t.word, &w, bo_word_sent(w)))
        return now;
    bo_store_relaxed(&t->asked_at, now);
    bo_store_relaxed(&t->asks, asks + 1);
    BO_HOOK(post_sent);
    bo_deliver_send(t);
    return now + pause;
}

/* An asynchronous region has had 50 ms to meet a point (rule 14). */
static int64_t look_at_async(struct bo_thread *t, uint64_t w, int64_t now)
{
    int64_t due = bo_load_relaxed(&t->asked_at) + ANSWER_WITHIN;
    if (now < due)
        return due;
    if (!bo_cas_seq(&t->t.word, &w, bo_word_sent(w)))
        return now;
    BO_HOOK(post_sent);
    bo_deliver_send(t);
    return now + LAST_REPEAT;
}

/* The innermost section that is noted: regions of other kinds may be open in it. */
__attribute__((no_sanitize("thread"))) static void report_overrun(const struct bo_thread *t)
{
    char name[BO_NAME];
    uint32_t depth = bo_load_acquire(&t->depth);
    uint32_t i = depth < BO_REGIONS ? depth : BO_REGIONS;
    while (i && t->region[i - 1].kind != BO_CRITICAL)
        i--;
    if (i)
        bo_report("the critical section at %s:%d in thread %d (%s) has used up its budget and no longer protects",
                  t->region[i - 1].file, t->region[i - 1].line, (int)bo_load_relaxed(&t->tid), bo_name_of(&t->t, name));
}

/* A critical section's budget is used up: it protects no longer (rule 17). */
static int64_t look_at_section(struct bo_thread *t, uint64_t w)
{
    int64_t end = bo_level_budget_end(t);
    if (bo_now() < end)
        return bo_to_monotonic(end);
    uint64_t next = (w & ~(uint64_t)(BO_MASKED | BO_TIMED)) | BO_OVERRUN;
    if (!bo_cas_seq(&t->t.word, &w, next))
        return bo_clock();
    bo_wake(t, bo_word_generation(w)); /* due, now that it is not masked: as if posted at this moment */
    report_overrun(t);
    return bo_clock() + ANSWER_WITHIN;
}

/* A cleanup's grace is over, or the time that a handler's verdict has named: what it was shielded from is due again
 * (rules 20, 35). */
static int64_t look_at_shield(struct bo_thread *t, uint64_t w)
{
    int64_t until = BO_FOREVER, now = bo_now();
    if (bo_load_seq(&t->shield_seq) && bo_load_relaxed(&t->shield_until) > now)
        until = bo_load_relaxed(&t->shield_until);
    if (bo_load_seq(&t->resumed_seq) && bo_load_relaxed(&t->resumed_until) > now)
        until = earlier(until, bo_load_relaxed(&t->resumed_until));
    if (until != BO_FOREVER)
        return bo_to_monotonic(until);
    if (bo_load_seq(&t->resumed_seq) && bo_load_relaxed(&t->resumed_until) == BO_FOREVER)
        return BO_FOREVER; /* a handler runs */
    bo_wake(t, bo_word_generation(w));
    return BO_FOREVER;
}

static int64_t look_at_thread(struct bo_thread *t, int64_t now)
{
    uint64_t w = bo_load_seq(&t->t.word);
    if (!(w & BO_LIVE))
        return BO_FOREVER;
    if (w & BO_SENT)
        return look_at_wake(t, now);
    if ((w & BO_PENDING) && (w & BO_TIMED))
        return look_at_section(t, w);
    if ((w & BO_DUE) && (w & BO_REPEAT))
        return look_at_repeat(t, w, now);
    if ((w & BO_DUE) && (w & BO_ASYNC) && !(w & BO_IN))
        return look_at_async(t, w, now);
    bool shielded = (w & BO_PENDING) && !(w & (BO_DUE | BO_MASKED)) &&
                    (bo_load_seq(&t->shield_seq) || bo_load_seq(&t->resumed_seq));
    return shielded ? look_at_shield(t, w) : BO_FOREVER;
}

/* ---- looking at a branch ------------------------------------------------------------------------------ */

static int64_t look_at_branch(struct bo_branch *b)
{
    static const struct bough_event passed = {.kind = BOUGH_TIMEOUT, .reason = "the deadline has passed"};
    uint64_t w = bo_load_seq(&b->t.word);
    if (!(w & BO_LIVE))
        return BO_FOREVER;
    int64_t next = BO_FOREVER, now = bo_now(), deadline = bo_load_seq(&b->deadline);
    if (deadline <= now)
        bo_post(bo_handle_make(b->t.index, bo_word_generation(w), true), &passed, NULL);
    else if (deadline != BO_FOREVER)
        next = bo_to_monotonic(deadline);
    bool shielded = bo_load_relaxed(&b->shield_seq) != 0;
    int64_t until = bo_load_relaxed(&b->shield_until);
    if (shielded && now < until)
        next = earlier(next, bo_to_monotonic(until));
    else if (shielded)
        bo_spread(&b->t, true);
    return next;
}

static void look(uint32_t item)
{
    struct bo_target *t = target_of(item);
    if (bo_swap_seq(&t->spread, 0))
        bo_spread(t, item & IS_BRANCH);
    int64_t next =
        item & IS_BRANCH ? look_at_branch((struct bo_branch *)t) : look_at_thread((struct bo_thread *)t, bo_clock());
    if (bo_load_seq(&t->due) && (bo_load_seq(&t->word) & BO_LIVE))
        next = earlier(next, bo_ladder_look(t, item & IS_BRANCH));
    schedule(t, next);
}

/* ---- the thread ---------------------------------------------------------------------------------------- */

static void take_work(void)
{
    uint32_t item = bo_swap_seq(&work, BO_NONE);
    while (item != BO_NONE) {
        struct bo_target *t = target_of(item);
        uint32_t next = bo_load_relaxed(&t->work_next);
        bo_store_seq(&t->work_here, 0); /* before the look: what comes after it enlists again */
        look(item);
        item = next;
    }
}

static void take_due(void)
{
    while (heap_size && when_of(heap[0]) <= bo_clock())
        look(heap[0]);
}

/* A clock that comes late by more than a second was stopped with the whole process: what is to come is
 * postponed by it (rule 33). Looks at least twice a second while anything is scheduled, to tell. */
static void notice_standstill(int64_t expected)
{
    int64_t late = bo_clock() - expected;
    if (expected != BO_FOREVER && late > LATE)
        bo_store_relaxed(&bo_arena.head->stood_still, bo_add_seq(&stood_still, late) + late);
}

static int64_t plan(void)
{
    int64_t next = bo_ladder_tick();
    if (heap_size)
        next = earlier(next, when_of(heap[0]));
    return next == BO_FOREVER ? next : earlier(next, bo_clock() + BO_MS(HEARTBEAT_MS));
}

/* `next_wake` is put to zero while we look, so that nobody sets the timer for nothing; whoever enlisted
 * meanwhile is found by the last look at the list, or sees the new value. */
static void sleep_until(int64_t when)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, bo_wake_signal());
    bo_store_seq(&next_wake, when);
    if (bo_load_seq(&work) != BO_NONE || bo_load_seq(&attended))
        return;
    if (when != BO_FOREVER)
        set_timer(when);
    int64_t other = bo_load_seq(&next_wake);
    if (other < when)
        set_timer(other);
    sigwaitinfo(&set, NULL);
    notice_standstill(earlier(when, bo_load_seq(&next_wake)));
}

static void *tick(void *unused)
{
    (void)unused;
    pthread_setname_np(pthread_self(), "bough-ticker");
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = bo_wake_signal();
#ifdef sigev_notify_thread_id
    event.sigev_notify_thread_id = (pid_t)bo_raw0(SYS_gettid);
#else
    event._sigev_un._tid = (pid_t)bo_raw0(SYS_gettid);
#endif
    int64_t awake = bo_clock();
    bo_arena.head->wake_signal = bo_wake_signal();
    bo_store_release(&bo_arena.head->ticker, (pid_t)bo_raw0(SYS_gettid));
    long r = bo_raw3(SYS_timer_create, CLOCK_MONOTONIC, (long)&event, (long)&timer_id);
    bo_store_seq(&running, r < 0 ? FAILED : RUNNING);
    bo_futex_wake(&running, INT_MAX);
    while (r >= 0) {
        notice_standstill(awake);   /* it may come while we look, too */
        bo_store_seq(&attended, 0); /* before the look: what comes after it is seen by the last one */
        sleep_until(plan());
        awake = bo_clock();
        bo_store_seq(&next_wake, 0);
        take_work();
        take_due();
    }
    return NULL;
}

/* ---- starting ------------------------------------------------------------------------------------------- */

static int start(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, old;
    bo_store_seq(&next_wake, 0);
    bo_store_seq(&running, STARTING);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, (size_t)STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int error = pthread_create(&thread, &attributes, tick, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attributes);
    if (error)
        bo_store_seq(&running, NOT_RUNNING);
    while (!error && bo_load_seq(&running) == STARTING)
        bo_futex_sleep(&running, STARTING, BO_FOREVER);
    if (bo_load_seq(&running) == RUNNING)
        return 0;
    bo_store_seq(&running, NOT_RUNNING);
    return errno = EAGAIN, -1;
}

bool bo_ticker_runs(void)
{
    return bo_load_acquire(&running) == RUNNING;
}

int bo_ticker_need(void)
{
    if (bo_likely(bo_load_acquire(&running) == RUNNING))
        return 0;
    bo_ladder_prepare();
    bo_lock(&starting);
    int r = bo_load_acquire(&running) == RUNNING ? 0 : start();
    bo_unlock(&starting);
    return r;
}

void bo_ticker_after_fork(void)
{
    bo_store_relaxed(&bo_arena.head->stood_still, bo_load_relaxed(&stood_still));
    bo_store_relaxed(&running, NOT_RUNNING);
    bo_store_relaxed(&bo_arena.head->ticker, 0);
    bo_store_relaxed(&work, BO_NONE);
    bo_store_relaxed(&starting.state, 0);
    heap_size = 0;
    memset(place_of_thread, 0, sizeof place_of_thread);
    memset(place_of_branch, 0, sizeof place_of_branch);
}

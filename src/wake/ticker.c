/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "wake/ticker.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "base/futex.h"
#include "base/hook.h"
#include "base/mask.h"
#include "base/raw.h"
#include "state/arena.h"
#include "state/clock.h"
#include "state/current.h"
#include "state/library_threads.h"
#include "state/mailbox_layout.h"
#include "upcalls.h"
#include "wake/fallback_signal.h"
#include "wake/frames.h"
#include "wake/timer_heap.h"

/*
 * Waking the ticker. It sleeps in sigtimedwait() on a signal that libc keeps out of all masks and handlers of the
 * program, and that is never sent to the process, because the ticker must not take signals that are pending for the
 * process. A kernel timer of the library sends the signal. `next_wake` is the timer's time: a thread that needs the
 * ticker earlier lowers `next_wake` and sets the timer. That system call needs no descriptor and no lock and, unlike
 * waking a thread at once, no processor time of the ticker: a post that is answered within 50 ms costs the ticker only
 * one check, later.
 *
 * Two threads that set the timer at the same time may do so in the wrong order. So each loads `next_wake` again
 * afterwards, and sets the timer again if that is earlier than the time it has set.
 */
enum { NOT_RUNNING, STARTING, RUNNING };
enum { HEARTBEAT_MS = 500 };
#define STACK (256 * 1024)

static _Atomic uint32_t ticker_state;
static _Atomic int64_t next_wake;       /* CLOCK_MONOTONIC */
static _Atomic uint32_t attended;       /* a tick is wanted */
static _Atomic uint32_t ticker_awaited; /* in a forked child: deadlines are open, and no ticker watches them yet */
static int ticker_timer;
static _Atomic bool has_timer;  /* false: the timer could not be created, because of RLIMIT_SIGPENDING */
static _Atomic uint32_t alarms; /* a futex word: the ticker sleeps on it if it has no timer */
static struct bo_lock ticker_starting;

static void set_ticker_timer(int64_t when)
{
    struct itimerspec at = {.it_value = bo_timespec(when > 0 ? when : 1)};
    if (bo_unlikely(!bo_load_seq(&has_timer))) {
        bo_add_seq(&alarms, 1);
        bo_futex_wake(&alarms, 1);
        return;
    }
    bo_raw4(SYS_timer_settime, ticker_timer, TIMER_ABSTIME, (long)&at, 0);
}

static void lower_next_wake(int64_t when)
{
    int64_t next = bo_load_seq(&next_wake);
    do
        if (when >= next)
            return;
    while (!bo_cas_seq(&next_wake, &next, when));
    BO_HOOK(timer_late);
    for (;;) {
        set_ticker_timer(when);
        next = bo_load_seq(&next_wake);
        if (next >= when)
            return;
        when = next;
    }
}

/* Wakes the ticker at `when` on CLOCK_MONOTONIC, or earlier. All signals are blocked between the two steps: a thread
 * that finds `next_wake` low does not set the timer, even if it is a signal handler that has interrupted this one. */
static void wake_by(int64_t when)
{
    int64_t next = bo_load_seq(&next_wake);
    if (bo_load_acquire(&ticker_state) != RUNNING || when >= next)
        return;
    uint64_t mask = bo_signals_off();
    lower_next_wake(when);
    bo_signals_on(mask);
}

/* ---- the work list: a bit for each slot, and a bit for each word of these bits ------------------------ */

enum { LISTED_WORDS = (BO_THREADS + BO_BRANCHES) / 64 };
static _Atomic uint64_t listed[LISTED_WORDS], listed_words[LISTED_WORDS / 64];

/* A signal handler may jump out between the two steps. So each request makes both, even if the slot is listed. */
static void enlist(const struct bo_target *t)
{
    uint32_t n = t->index + (bo_is_branch(t) ? BO_THREADS : 0);
    bo_or_seq(&listed[n / 64], (uint64_t)1 << n % 64);
    BO_HOOK(work_half);
    bo_or_seq(&listed_words[n / 4096], (uint64_t)1 << n / 64 % 64);
}

static bool has_work(void)
{
    for (uint32_t i = 0; i < LISTED_WORDS / 64; i++)
        if (bo_load_seq(&listed_words[i]))
            return true;
    return false;
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
    bo_store_seq(&attended, 1); /* the ticker may be about to sleep, and would only check the list */
    wake_by(bo_clock());
}

void bo_trace_limited(void)
{
    if (bo_ticker_runs())
        bo_ticker_attend();
}

void bo_ticker_attend_by(int64_t when)
{
    bo_store_seq(&attended, 1); /* makes the ticker plan again, as in bo_ticker_attend() */
    wake_by(when);
}

bool bo_ticker_is_me(void)
{
    return bo_raw0(SYS_gettid) == bo_ticker_tid();
}

pid_t bo_ticker_tid(void)
{
    return bo_arena.head ? bo_load_relaxed(&bo_arena.head->ticker) : 0; /* the arena may have found no memory */
}

void bo_ticker_watch(struct bo_thread *t)
{
    int64_t now = bo_clock();
    bool repeats = bo_load_relaxed(&t->t.word) & BO_REPEAT;
    bo_store_relaxed(&t->t.last_wake_at, now);
    enlist(&t->t);
    wake_by(now + (repeats ? BO_FIRST_REPEAT : BO_ANSWER_WITHIN));
}

void bo_ticker_wake_subtree(struct bo_target *t)
{
    bo_store_seq(&t->wake_subtree, 1);
    bo_ticker_look(t);
}

void bo_ticker_deadline(struct bo_branch *b)
{
    int64_t deadline = bo_load_relaxed(&b->deadline), soon = bo_clock() + BO_MS(HEARTBEAT_MS);
    enlist(&b->t);
    if (deadline != BO_FOREVER && !bo_ticker_runs())
        bo_store_relaxed(&ticker_awaited, 1);
    /* Earlier than the deadline, because the clock has to be watched until then (bo_notice_standstill). */
    wake_by(deadline == BO_FOREVER ? BO_FOREVER : bo_earlier(bo_to_monotonic(deadline), soon));
}

/* The ticker's processor time, which excludes the time for which it was stopped. */
static int64_t time_worked(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return BO_SEC(t.tv_sec) + t.tv_nsec;
}

/* When the ticker last looked for a standstill, and its processor time then; only the ticker's thread uses them. Each
 * interval begins with the clock value that ended the last interval, so that no standstill is missed (rule 33). */
static int64_t looked, worked;

/* The process may also be stopped while the ticker works. The time for the work itself, which is long with thousands of
 * threads, is no standstill. */
static void look_for_standstill(void)
{
    looked = bo_notice_standstill(looked + time_worked() - worked);
    worked = time_worked();
}

/* If the planned time was before the last look, that look has counted it. */
static void look_after_sleep(int64_t when)
{
    int64_t planned = bo_earlier(when, bo_load_seq(&next_wake));
    looked = bo_notice_standstill(planned > looked ? planned : looked);
    worked = time_worked();
}

static void look_at_item(uint32_t item)
{
    struct bo_target *t = bo_item_target(item);
    if (bo_unlikely(bo_clock() - looked > BO_SEC(1))) /* a standstill moves deadlines: move them before they fire */
        look_for_standstill();
    BO_HOOK(ticker_looks);
    bo_timer_heap_put(t, bo_service(t));
}

/* ---- the thread ---------------------------------------------------------------------------------------- */

/* Clears the bits before it examines the slots: a later request lists a slot again. */
static void take_word(uint32_t word)
{
    for (uint64_t bits = bo_swap_seq(&listed[word], 0); bits; bits &= bits - 1) {
        uint32_t n = word * 64 + (uint32_t)__builtin_ctzll(bits);
        look_at_item(n < BO_THREADS ? n : (n - BO_THREADS) | BO_ITEM_BRANCH);
    }
}

static void take_work(void)
{
    for (uint32_t i = 0; i < LISTED_WORDS / 64; i++)
        for (uint64_t words = bo_swap_seq(&listed_words[i], 0); words; words &= words - 1)
            take_word(i * 64 + (uint32_t)__builtin_ctzll(words));
}

static void forget_work(void)
{
    for (uint32_t i = 0; i < LISTED_WORDS / 64; i++)
        for (uint64_t words = bo_swap_seq(&listed_words[i], 0); words; words &= words - 1)
            bo_store_relaxed(&listed[i * 64 + (uint32_t)__builtin_ctzll(words)], 0);
}

static void take_due(void)
{
    int64_t when;
    for (uint32_t item; (item = bo_timer_heap_next(&when)) != BO_NONE && when <= bo_clock();)
        look_at_item(item);
}

static int64_t plan(void)
{
    int64_t next = bo_service_tick(), when;
    bo_timer_heap_next(&when);
    next = bo_earlier(next, when);
    return next == BO_FOREVER ? next : bo_earlier(next, looked + BO_MS(HEARTBEAT_MS));
}

/* pthread_sigmask() may have unblocked the signal. No request is lost by that, because the ticker checks all of them
 * before it sleeps. */
static void block_ticker_signal(void)
{
    static const uint64_t set = (uint64_t)1 << (BO_FALLBACK_SIGNAL - 1);
    bo_raw4(SYS_rt_sigprocmask, SIG_BLOCK, (long)&set, 0, sizeof set);
}

/* A thread that lowers `next_wake` wakes the ticker by a futex. Other processes can't do that, so the ticker also
 * checks twice a second. */
static void sleep_without_timer(uint32_t seen, int64_t when)
{
    int64_t soon = bo_clock() + BO_MS(HEARTBEAT_MS);
    bo_futex_sleep(&alarms, seen, bo_earlier(bo_earlier(when, bo_load_seq(&next_wake)), soon));
    look_after_sleep(when);
}

/* `next_wake` is 0 while the ticker works, so that no thread sets the timer needlessly. A target that is enlisted
 * meanwhile is found by the last check of the list, or its poster sees the new value. */
static void sleep_until(int64_t when)
{
    static const uint64_t set = (uint64_t)1 << (BO_FALLBACK_SIGNAL - 1);
    block_ticker_signal();
    bool timed = bo_load_relaxed(&has_timer);
    uint32_t seen = bo_load_seq(&alarms);
    bo_store_seq(&next_wake, when);
    if (has_work() || bo_load_seq(&attended))
        return;
    if (bo_unlikely(!timed)) {
        sleep_without_timer(seen, when);
        return;
    }
    if (when != BO_FOREVER)
        set_ticker_timer(when);
    int64_t other = bo_load_seq(&next_wake);
    if (other < when)
        set_ticker_timer(other);
    bo_raw4(SYS_rt_sigtimedwait, (long)&set, 0, 0, sizeof set);
    look_after_sleep(when);
}

/* Called at each tick until it succeeds. */
static void make_ticker_timer(void)
{
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = BO_FALLBACK_SIGNAL;
#ifdef sigev_notify_thread_id
    event.sigev_notify_thread_id = (pid_t)bo_raw0(SYS_gettid);
#else
    event._sigev_un._tid = (pid_t)bo_raw0(SYS_gettid);
#endif
    if (bo_raw3(SYS_timer_create, CLOCK_MONOTONIC, (long)&event, (long)&ticker_timer) == 0)
        bo_store_seq(&has_timer, true); /* before next_wake: a thread that lowers it later sets the timer */
}

_Static_assert((int)BO_MAIL_SIGNAL == (int)BO_FALLBACK_SIGNAL,
               "a process that writes to the mailbox sends the signal that the ticker waits for");

static void *tick(void *unused)
{
    (void)unused;
    pthread_setname_np(pthread_self(), "bough-ticker");
    bo_library_thread_begin();
    looked = bo_clock();
    worked = time_worked();
    bo_fallback_open(); /* installs a handler first, as the signal's default action ends the process */
    bo_arena.head->ticker_signal = BO_FALLBACK_SIGNAL;
    bo_store_release(&bo_arena.head->ticker, (pid_t)bo_raw0(SYS_gettid));
    bo_store_seq(&has_timer, false); /* a killed ticker's timer, or the parent's, is gone */
    make_ticker_timer();
    bo_store_seq(&ticker_state, RUNNING);
    bo_futex_wake(&ticker_state, INT_MAX);
    for (;;) {
        look_for_standstill();
        bo_store_seq(&attended, 0); /* first: a later request is seen by the last check */
        sleep_until(plan());
        bo_store_seq(&next_wake, 0);
        if (bo_unlikely(!bo_load_relaxed(&has_timer)))
            make_ticker_timer();
        take_work();
        take_due();
    }
    return NULL;
}

/* ---- starting ------------------------------------------------------------------------------------------- */

static int start_ticker_thread(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, old;
    bo_store_seq(&next_wake, 0);
    bo_store_seq(&ticker_state, STARTING);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, (size_t)STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int error = pthread_create(&thread, &attributes, tick, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attributes);
    if (error)
        bo_store_seq(&ticker_state, NOT_RUNNING);
    while (!error && bo_load_seq(&ticker_state) == STARTING)
        bo_futex_sleep(&ticker_state, STARTING, BO_FOREVER);
    bo_store_relaxed(&ticker_awaited, 0); /* also after a failure: the rest of the library works without the ticker */
    if (bo_load_seq(&ticker_state) == RUNNING)
        return 0;
    bo_store_seq(&ticker_state, NOT_RUNNING);
    return errno = EAGAIN, -1;
}

bool bo_ticker_runs(void)
{
    return bo_load_acquire(&ticker_state) == RUNNING;
}

/* The ticker can only be killed from outside, while it sleeps: then its plan is complete, and the next ticker continues
 * with that plan. */
bool bo_ticker_is_gone(void)
{
    uint32_t runs = RUNNING;
    if (!bo_ticker_runs() || bo_raw3(SYS_tgkill, bo_load_relaxed(&bo_pid), bo_ticker_tid(), 0) != -ESRCH)
        return false;
    if (!bo_cas_seq(&ticker_state, &runs, NOT_RUNNING))
        return false;
    bo_library_thread_end();
    return true;
}

int bo_ticker_need(void)
{
    if (bo_likely(bo_load_acquire(&ticker_state) == RUNNING))
        return 0;
    bo_ladder_prepare();
    bo_lock(&ticker_starting);
    int r = bo_load_acquire(&ticker_state) == RUNNING ? 0 : start_ticker_thread();
    bo_unlock(&ticker_starting);
    return r;
}

bool bo_ticker_is_awaited(void)
{
    return bo_load_relaxed(&ticker_awaited);
}

void bo_ticker_after_fork(void)
{
    bo_store_relaxed(&ticker_awaited, 0);
    bo_clock_after_fork();
    bo_store_relaxed(&ticker_state, NOT_RUNNING);
    forget_work();
    bo_store_relaxed(&ticker_starting.state, 0);
    bo_timer_heap_clear();
}

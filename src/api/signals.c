/* SPDX-License-Identifier: MIT */
/*
 * Signals and exit: one state machine for Ctrl-C (rule 32).
 *
 *      QUIET --event--> ASKED --event--> PROMOTED --event--> FINAL
 *        ^                |                 |
 *        +---- the root was cleared --------+
 *
 *      event      SIGHUP, SIGINT, SIGTERM or bough_signal_event(); what comes within 250 ms of the one before is the
 *                 same event. SIGINT and SIGTERM are one incident.
 *      ASKED      a record of kind BOUGH_SIGNAL stands at the root: everything is interrupted
 *      PROMOTED   the record's rung goes up by one: the ladder acts on it
 *      FINAL      the default action is restored and the signal raised: the process ends now
 *
 * The state is one atomic word, so that a handler can move it on any thread: bits 0-7 events, 8-15 the signal.
 */
#define _GNU_SOURCE
#include <bough/signals.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <bough/interrupt.h>
#include "api/signals.h"
#include "base/clock.h"
#include "base/raw.h"
#include "core/call.h"
#include "core/post.h"
#include "core/report.h"
#include "core/self.h"
#include "core/ticker.h"
#include "core/tree.h"

enum { FINAL_EVENT = 3, TAKEN = 3 };
#define ONE_EVENT BO_MS(250)

static const int taken_signals[TAKEN] = {SIGHUP, SIGINT, SIGTERM};
static struct sigaction before[TAKEN];
static sigset_t taken, mask_before;
static _Atomic uint32_t incident;      /* events (8) and the first signal (8) */
static _Atomic int64_t last_event;
static _Atomic uint32_t active, waiting;
static pthread_t main_thread, waiter;

/* ---- the machine ----------------------------------------------------------------------------------------- */

static void die_of(int signo)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t set;
    sigaction(signo, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, signo);
    bo_raw3(SYS_tgkill, getpid(), bo_raw0(SYS_gettid), signo);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void post_at_root(int signo)
{
    struct bough_event event = {.kind = BOUGH_SIGNAL, .signo = signo, .reason = strsignal(signo)};
    bo_post((uint64_t)(uintptr_t)bough_root(), &event, NULL);
}

static void promote(void)
{
    struct bo_record *r = bo_record_of(&bo_branch_at(BO_ROOT)->t, BOUGH_SIGNAL);
    if (bo_load_relaxed(&r->rung) < r->ceiling)
        bo_add_relaxed(&r->rung, 1);
}

/* Is this one a repeat of the one before? Two that come at once agree by the exchange. */
static bool same_event(void)
{
    int64_t now = bo_clock();
    int64_t before_it = atomic_exchange(&last_event, now);
    return before_it && now - before_it < ONE_EVENT && (bo_load_seq(&incident) & 0xff);
}

static uint32_t count_event(int signo)
{
    uint32_t was = bo_load_seq(&incident), now;
    do {
        uint32_t events = (was & 0xff) < FINAL_EVENT ? (was & 0xff) + 1 : FINAL_EVENT;
        now = was & 0xff ? (was & ~0xffu) | events : ((uint32_t)signo & 0xff) << 8 | 1;
    } while (!bo_cas_seq(&incident, &was, now));
    return now & 0xff;
}

int bough_signal_event(int signo)
{
    if (same_event())
        return (int)(bo_load_seq(&incident) & 0xff);
    uint32_t events = count_event(signo);
    if (events == 1)
        post_at_root(signo);
    else if (events < FINAL_EVENT)
        promote();
    else
        die_of(signo);
    return (int)events;
}

void bo_signals_handled(void)
{
    bo_store_seq(&incident, 0);
}

/* ---- taking part -------------------------------------------------------------------------------------------- */

static void handle(int signo)
{
    int saved = errno;
    bough_signal_event(signo);
    errno = saved;
}

static bool wanted(int signo, unsigned flags)
{
    struct sigaction now;
    return (flags & BOUGH_SIGNALS_TAKE) || (sigaction(signo, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
}

static int choose(unsigned flags)
{
    int count = 0;
    sigemptyset(&taken);
    for (int i = 0; i < TAKEN; i++)
        if (wanted(taken_signals[i], flags)) {
            sigaddset(&taken, taken_signals[i]);
            count++;
        }
    return count;
}

static void install_handlers(void)
{
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    for (int i = 0; i < TAKEN; i++)
        if (sigismember(&taken, taken_signals[i]))
            sigaction(taken_signals[i], &action, &before[i]);
}

static void *wait_for_signals(void *unused)
{
    (void)unused;
    pthread_setname_np(pthread_self(), "bough-signals");
    for (int signo; bo_load_seq(&waiting);)
        if (sigwait(&taken, &signo) == 0 && bo_load_seq(&waiting))
            bough_signal_event(signo);
    return NULL;
}

static int start_waiter(void)
{
    sigset_t all, old;
    pthread_sigmask(SIG_BLOCK, &taken, &mask_before);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    bo_store_seq(&waiting, 1);
    int error = pthread_create(&waiter, NULL, wait_for_signals, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!error)
        return 0;
    bo_store_seq(&waiting, 0);
    pthread_sigmask(SIG_SETMASK, &mask_before, NULL);
    return errno = error, -1;
}

static void at_exit(void);

int bough_signals(unsigned flags)
{
    static _Atomic uint32_t registered;
    if (flags & ~(unsigned)(BOUGH_SIGNALS_TAKE | BOUGH_SIGNALS_WAIT))
        return errno = EINVAL, -1;
    if (bo_load_seq(&active))
        return errno = EALREADY, -1;
    if (!bo_self_or_adopt() || bo_ticker_need() != 0)
        return -1;
    int count = choose(flags);
    main_thread = pthread_self();
    if ((flags & BOUGH_SIGNALS_WAIT) && start_waiter() != 0)
        return -1;
    if (!(flags & BOUGH_SIGNALS_WAIT))
        install_handlers();
    bo_store_seq(&active, 1);
    if (!bo_swap_seq(&registered, 1))
        atexit(at_exit);
    return count;
}

static void stop_waiter(void)
{
    if (!bo_swap_seq(&waiting, 0))
        return;
    pthread_kill(waiter, SIGTERM); /* one of those it waits for, or blocked: either way it looks */
    pthread_join(waiter, NULL);
    pthread_sigmask(SIG_SETMASK, &mask_before, NULL);
}

int bough_signals_undo(void)
{
    if (!bo_swap_seq(&active, 0))
        return errno = ENOENT, -1;
    if (bo_load_seq(&waiting))
        stop_waiter();
    else
        for (int i = 0; i < TAKEN; i++)
            if (sigismember(&taken, taken_signals[i]))
                sigaction(taken_signals[i], &before[i], NULL);
    bo_store_seq(&incident, 0);
    return 0;
}

/* ---- the end of the process ---------------------------------------------------------------------------------- */

/* Threads that are known, live, and not the caller: those that an exit has to wait for. */
static bool others_live(void)
{
    uint32_t high = bo_load_seq(&bo_arena.thread_high);
    for (uint32_t i = 1; i < high; i++)
        if (bo_thread_at(i) != bo_self && (bo_load_seq(&bo_thread_at(i)->t.word) & BO_LIVE))
            return true;
    return false;
}

static bool await_others(int64_t grace)
{
    static const struct timespec moment = {0, 2000000};
    int64_t until = bo_add_time(bo_clock(), grace);
    while (others_live() && bo_clock() < until)
        nanosleep(&moment, NULL);
    return !others_live();
}

/* The main thread leaves while an unhandled signal stands at the root: the others were told, and are waited for;
 * then the process ends by that signal, as the shell expects. An exit by another thread is its own affair. */
static void at_exit(void)
{
    const struct bo_target *root = &bo_branch_at(BO_ROOT)->t;
    int signo = (int)(bo_load_seq(&incident) >> 8 & 0xff);
    bool stands = (bo_load_seq(&root->due) & 1u << BOUGH_SIGNAL) && bo_record_stands(bo_record_of(root, BOUGH_SIGNAL));
    if (!bo_load_seq(&active) || !signo || !stands || !pthread_equal(pthread_self(), main_thread))
        return;
    if (!await_others(BO_SEC(5)))
        bo_report("threads are left 5 s after signal %d: the process ends without them", signo);
    fflush(NULL);
    die_of(signo);
}

void bough_exit(int status, int64_t grace)
{
    struct bough_event event = {.kind = BOUGH_EXIT, .reason = "the process exits"};
    struct bo_thread *t = bo_self_or_adopt();
    if (t)
        bo_post((uint64_t)(uintptr_t)bough_root(), &event, NULL);
    if (t && !await_others(grace > 0 ? grace : BO_SEC(5)))
        bo_report("threads are left after the grace of an exit: the process ends without them");
    exit(status);
}

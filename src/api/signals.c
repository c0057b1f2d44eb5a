/* SPDX-License-Identifier: MIT */
/*
 * Signals: one state machine for Ctrl-C (rule 32). api/exit.c ends the process.
 *
 *      QUIET --event--> ASKED --event--> PROMOTED --event--> PROMOTED, FINAL --event--> ...
 *        ^                |                 |
 *        +---- the root was cleared --------+
 *
 *      event      SIGHUP, SIGINT, SIGTERM or bough_signal_event(). A signal within 250 ms of the start of an event
 *                 belongs to that event. The time does not start again at the event's last signal: otherwise a key that
 *                 is hit five times a second would always be one event. SIGINT and SIGTERM are one incident.
 *      ASKED      a record of kind BOUGH_SIGNAL is pending at the root: all threads are interrupted
 *      PROMOTED   the ladder goes up to the next rung that is not skipped: in a program without handlers the second
 *                 Ctrl-C begins the exit, the third writes the dump and kills
 *      FINAL      the record can't be cleared any more
 *
 * All of this state is in the record: the number of events, the start of the last one, the signal that ends the
 * process.
 */
#define _GNU_SOURCE
#include "api/signals.h"
#include <bough/signals.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <bough/interrupt.h>
#include "base/raw.h"
#include "state/arena.h"
#include "state/current.h"
#include "state/library_threads.h"
#include "thread/adopt.h"
#include "upcalls.h"
#include "wake/post.h"
#include "wake/ticker.h"

enum { FINAL_EVENT = 3, TAKEN = 3 };

static const int taken_signals[TAKEN] = {SIGHUP, SIGINT, SIGTERM};
static struct sigaction taken_before[TAKEN];
static sigset_t taken, mask_before;
static int one_taken; /* one of the signals that were taken */
static _Atomic uint32_t active, is_waiter_wanted;
static pthread_t waiter;

/* ---- the machine ----------------------------------------------------------------------------------------- */

/* strsignal() is not async-signal-safe. */
static const char *name_of(int signo)
{
    switch (signo) {
    case SIGHUP:
        return "SIGHUP";
    case SIGINT:
        return "SIGINT";
    case SIGTERM:
        return "SIGTERM";
    default:
        return "a signal of the program";
    }
}

static const struct bo_record *root_record(void)
{
    return bo_record_of(&bo_branch_at(BO_ROOT)->t, BOUGH_SIGNAL);
}

static bool belongs_to_the_last(void)
{
    return bo_arena.branch && bo_record_stands(root_record()) && !bo_record_is_event(root_record());
}

/* Each event posts, not only the first: the record counts the events, and the ladder climbs, on the ticker's thread. If
 * that thread does not run, the third event ends the process. */
int bough_signal_event(int signo)
{
    struct bough_event event = {.kind = BOUGH_SIGNAL, .signo = signo, .reason = name_of(signo)};
    int saved = errno, events = 1;
    if (!belongs_to_the_last() && bo_post((uint64_t)(uintptr_t)bough_root(), &event, NULL) != 0)
        bo_exit_by_signal(signo); /* the library could not be set up, and the signal must not be lost */
    if (bo_record_stands(root_record()))
        events = (int)bo_record_events(root_record());
    if (events >= FINAL_EVENT && !bo_ticker_runs())
        bo_exit_by_signal(signo);
    errno = saved;
    return events;
}

/* ---- taking part ------------------------------------------------------------------------------------------- */

static void take_part_in_signal(int signo)
{
    bough_signal_event(signo);
}

static bool is_wanted_signal(int signo, unsigned flags)
{
    struct sigaction now;
    return (flags & BOUGH_SIGNALS_TAKE) || (sigaction(signo, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
}

static int choose(unsigned flags)
{
    int count = 0;
    sigemptyset(&taken);
    for (int i = 0; i < TAKEN; i++)
        if (is_wanted_signal(taken_signals[i], flags)) {
            sigaddset(&taken, one_taken = taken_signals[i]);
            count++;
        }
    return count;
}

static void install_handlers(void)
{
    struct sigaction action = {.sa_handler = take_part_in_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    for (int i = 0; i < TAKEN; i++)
        if (sigismember(&taken, taken_signals[i]))
            sigaction(taken_signals[i], &action, &taken_before[i]);
}

/* If the program has installed another handler since then, that handler stays. */
static void restore_handlers(void)
{
    struct sigaction now;
    for (int i = 0; i < TAKEN; i++)
        if (sigismember(&taken, taken_signals[i]) && sigaction(taken_signals[i], NULL, &now) == 0 &&
            now.sa_handler == take_part_in_signal)
            sigaction(taken_signals[i], &taken_before[i], NULL);
}

/* stop_waiter() sends a signal to this thread (SI_TKILL); other signals are events until the end. This uses the system
 * call, because glibc's sigwaitinfo() changes SI_TKILL to SI_USER. */
static void *wait_for_signals(void *unused)
{
    siginfo_t info;
    (void)unused;
    pthread_setname_np(pthread_self(), "bough-signals");
    bo_library_thread_begin();
    for (;;) {
        int signo = (int)bo_raw4(SYS_rt_sigtimedwait, (long)&taken, (long)&info, 0, sizeof(uint64_t));
        if (signo > 0 && info.si_code == SI_TKILL && !bo_load_seq(&is_waiter_wanted))
            break;
        if (signo > 0)
            bough_signal_event(signo);
    }
    bo_library_thread_end();
    return NULL;
}

/* Runs as the last of the library's fork handlers in the child, because earlier ones restore a signal mask. */
static void unblock_in_child(void)
{
    sigset_t set = taken;
    if (!bo_swap_seq(&is_waiter_wanted, 0))
        return;
    for (int i = 0; i < TAKEN; i++)
        if (sigismember(&mask_before, taken_signals[i]))
            sigdelset(&set, taken_signals[i]);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static int unblock_in_children(void)
{
    static _Atomic uint32_t registered;
    if (bo_swap_seq(&registered, 1) || pthread_atfork(NULL, NULL, unblock_in_child) == 0)
        return 0;
    bo_store_seq(&registered, 0);
    return errno = ENOMEM, -1;
}

static int start_waiter(void)
{
    sigset_t all, blocked;
    if (unblock_in_children() != 0)
        return -1;
    pthread_sigmask(SIG_BLOCK, &taken, &mask_before);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &blocked);
    bo_store_seq(&is_waiter_wanted, 1);
    int error = pthread_create(&waiter, NULL, wait_for_signals, NULL);
    pthread_sigmask(SIG_SETMASK, error ? &mask_before : &blocked, NULL);
    if (!error)
        return 0;
    bo_store_seq(&is_waiter_wanted, 0);
    return errno = error, -1;
}

static void stop_waiter(void)
{
    bo_store_seq(&is_waiter_wanted, 0);
    pthread_kill(waiter, one_taken);
    pthread_join(waiter, NULL);
    pthread_sigmask(SIG_SETMASK, &mask_before, NULL);
}

static int take_part(unsigned flags)
{
    if (!bo_self_or_adopt() || bo_ticker_need() != 0 || bo_exit_keep_status(flags & BOUGH_SIGNALS_STATUS) != 0)
        return -1;
    bo_self_find_stack(bo_self); /* a post needs the bounds to detect that it runs in a signal handler (rule 4) */
    bo_exit_await_threads();
    bo_ladder_need_help();
    int count = choose(flags);
    if (flags & BOUGH_SIGNALS_WAIT)
        return count && start_waiter() != 0 ? -1 : count;
    install_handlers();
    if (!(flags & BOUGH_SIGNALS_QUIET))
        bo_signals_warn(taken_signals, TAKEN, &taken, name_of);
    return count;
}

int bough_signals(unsigned flags)
{
    if (flags & ~(unsigned)(BOUGH_SIGNALS_TAKE | BOUGH_SIGNALS_WAIT | BOUGH_SIGNALS_STATUS | BOUGH_SIGNALS_QUIET))
        return errno = EINVAL, -1;
    if (bo_swap_seq(&active, 1))
        return errno = EALREADY, -1;
    int count = take_part(flags);
    if (count < 0)
        bo_store_seq(&active, 0);
    return count;
}

/* A pending record stays: restoring the signals' handlers does not mean that the signal was handled. */
int bough_signals_undo(void)
{
    if (!bo_load_seq(&active))
        return errno = ENOENT, -1;
    if (bo_load_seq(&is_waiter_wanted))
        stop_waiter();
    else
        restore_handlers();
    bo_store_seq(&active, 0);
    return 0;
}

/* A forked child may never reach an interruption point, and has no thread that climbs the ladder: its former handlers
 * are restored. */
void bo_signals_forked(void)
{
    if (bo_swap_seq(&active, 0) && !bo_load_seq(&is_waiter_wanted))
        restore_handlers();
    bo_exit_keep_status(false);
}

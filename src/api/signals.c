/* SPDX-License-Identifier: MIT */
/*
 * Signals and exit: one state machine for Ctrl-C (rule 32).
 *
 *      QUIET --event--> ASKED --event--> PROMOTED --event--> PROMOTED, FINAL --event--> ...
 *        ^                |                 |
 *        +---- the root was cleared --------+
 *
 *      event      SIGHUP, SIGINT, SIGTERM or bough_signal_event(). What comes within 250 ms after the beginning of one
 *                 is the same event: not after its last repeat, or a key that is hit five times a second would
 *                 never count as more than one. SIGINT and SIGTERM are one incident.
 *      ASKED      a record of kind BOUGH_SIGNAL stands at the root: everything is interrupted
 *      PROMOTED   the ladder goes up by one rung that has something to run: in a program without handlers the second
 *                 Ctrl-C begins the exit, the third writes the dump and kills
 *      FINAL      the record can't be cleared any more
 *
 * All of that is the record's to say: how many events there were, when the last began, by which signal the process ends.
 *
 * The end. Threads are awaited early, the signal is raised late:
 *
 *      main returns --> atexit handlers registered after bough_signals() --> the threads are awaited
 *        --> older atexit handlers, C++ destructors, other destructors --> streams are flushed, the signal raised
 *
 * so that no thread runs into what those have taken down, and each of them runs as in any other exit.
 */
#define _GNU_SOURCE
#include "api/signals.h"
#include <bough/signals.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
#include <bough/interrupt.h>
#include "base/clock.h"
#include "base/futex.h"
#include "base/hook.h"
#include "base/raw.h"
#include "state/arena.h"
#include "state/current.h"
#include "state/generation.h"
#include "state/library_threads.h"
#include "state/log.h"
#include "state/reach.h"
#include "thread/adopt.h"
#include "thread/stranger.h"
#include "upcalls.h"
#include "wake/post.h"
#include "wake/ticker.h"

enum { FINAL_EVENT = 3, TAKEN = 3 };
#define LAST_GRACE BO_SEC(5)

static const int taken_signals[TAKEN] = {SIGHUP, SIGINT, SIGTERM};
static struct sigaction before[TAKEN];
static sigset_t taken, mask_before;
static int one_taken;                           /* any of them */
static _Atomic uint32_t exiter;                 /* the thread that exits; 0: none yet */
static _Atomic int64_t wait_until = BO_FOREVER; /* whoever waits for threads at the exit, at most till then */
static _Atomic uint32_t active, waiting;
static _Atomic uint32_t keeps_status; /* BOUGH_SIGNALS_STATUS */
static int dying_of_signal;           /* the ladder's exit: also if it is not main's */
static pthread_t waiter;

static void await_at_exit(void), die_at_quick_exit(void);

/* ---- dying of a signal ----------------------------------------------------------------------------------- */

/* What is no signal, or one that by default would not end the process, still gives the shell its 128 + n. That is
 * also how it ends as pid 1, to which default actions do not apply. */
static bool deadly(int signo)
{
    switch (signo) {
    case SIGCHLD:
    case SIGCONT:
    case SIGURG:
    case SIGWINCH:
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
        return false;
    default:
        return signo > 0 && signo < NSIG;
    }
}

/* The process's _exit() may be a replacement, which comes here. */
__attribute__((noreturn)) static void end_at_once(int status)
{
    for (;;)
        bo_raw1(SYS_exit_group, status);
}

static void die_of(int signo)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t set;
    if (deadly(signo) && sigemptyset(&set) == 0 && sigaddset(&set, signo) == 0) {
        prctl(PR_SET_DUMPABLE, 0); /* some leave a core, and there is nothing to find in it */
        sigaction(signo, &action, NULL);
        bo_raw3(SYS_tgkill, getpid(), bo_raw0(SYS_gettid), signo);
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    }
    end_at_once(128 + (signo & 127));
}

/* ---- the machine ----------------------------------------------------------------------------------------- */

/* strsignal() is not for handlers. */
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
        return "a signal of the program's own";
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

/* Each event posts, not only the first: the record counts them, and the ladder, on the ticker's thread, climbs. Where
 * that does not run the third event is the last. */
int bough_signal_event(int signo)
{
    struct bough_event event = {.kind = BOUGH_SIGNAL, .signo = signo, .reason = name_of(signo)};
    int saved = errno, events = 1;
    if (!belongs_to_the_last() && bo_post((uint64_t)(uintptr_t)bough_root(), &event, NULL) != 0)
        die_of(signo); /* the library could not be set up here: it must not swallow a signal */
    if (bo_record_stands(root_record()))
        events = (int)bo_record_events(root_record());
    if (events >= FINAL_EVENT && !bo_ticker_runs())
        die_of(signo);
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
            sigaction(taken_signals[i], &action, &before[i]);
}

/* A handler that the program has put in since then stays. */
static void restore_handlers(void)
{
    struct sigaction now;
    for (int i = 0; i < TAKEN; i++)
        if (sigismember(&taken, taken_signals[i]) && sigaction(taken_signals[i], NULL, &now) == 0 &&
            now.sa_handler == take_part_in_signal)
            sigaction(taken_signals[i], &before[i], NULL);
}

/* stop_waiter()'s is a signal to this very thread; those from elsewhere are events to the last. glibc's sigwaitinfo()
 * hides the difference. */
static void *wait_for_signals(void *unused)
{
    siginfo_t info;
    (void)unused;
    pthread_setname_np(pthread_self(), "bough-signals");
    bo_own_begin();
    for (;;) {
        int signo = (int)bo_raw4(SYS_rt_sigtimedwait, (long)&taken, (long)&info, 0, sizeof(uint64_t));
        if (signo > 0 && info.si_code == SI_TKILL && !bo_load_seq(&waiting))
            break;
        if (signo > 0)
            bough_signal_event(signo);
    }
    bo_own_end();
    return NULL;
}

/* The last of the library's handlers in the child, because each that blocks signals puts back a mask. */
static void unblock_in_child(void)
{
    sigset_t set = taken;
    if (!bo_swap_seq(&waiting, 0))
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
    bo_store_seq(&waiting, 1);
    int error = pthread_create(&waiter, NULL, wait_for_signals, NULL);
    pthread_sigmask(SIG_SETMASK, error ? &mask_before : &blocked, NULL);
    if (!error)
        return 0;
    bo_store_seq(&waiting, 0);
    return errno = error, -1;
}

static void stop_waiter(void)
{
    bo_store_seq(&waiting, 0);
    pthread_kill(waiter, one_taken);
    pthread_join(waiter, NULL);
    pthread_sigmask(SIG_SETMASK, &mask_before, NULL);
}

/* Handlers of at_quick_exit() run in reverse: those that the program registers later come before this one. */
static int keep_status(bool keep)
{
    static _Atomic uint32_t registered;
    bo_store_seq(&keeps_status, keep);
    if (!keep || bo_swap_seq(&registered, 1) || at_quick_exit(die_at_quick_exit) == 0)
        return 0;
    bo_store_seq(&registered, 0);
    return errno = ENOMEM, -1;
}

static int take_part(unsigned flags)
{
    static _Atomic uint32_t registered;
    if (!bo_self_or_adopt() || bo_ticker_need() != 0 || keep_status(flags & BOUGH_SIGNALS_STATUS) != 0)
        return -1;
    bo_self_find_stack(bo_self); /* by which a post tells that it comes from a handler: rule 4 */
    if (!bo_swap_seq(&registered, 1))
        atexit(await_at_exit);
    bo_ladder_need_help();
    int count = choose(flags);
    if (flags & BOUGH_SIGNALS_WAIT)
        return count && start_waiter() != 0 ? -1 : count;
    install_handlers();
    bo_signals_warn(taken_signals, TAKEN, &taken, name_of);
    return count;
}

int bough_signals(unsigned flags)
{
    if (flags & ~(unsigned)(BOUGH_SIGNALS_TAKE | BOUGH_SIGNALS_WAIT | BOUGH_SIGNALS_STATUS))
        return errno = EINVAL, -1;
    if (bo_swap_seq(&active, 1))
        return errno = EALREADY, -1;
    int count = take_part(flags);
    if (count < 0)
        bo_store_seq(&active, 0);
    return count;
}

/* A record that stands stays: who gives the signals back has not said that one was handled. */
int bough_signals_undo(void)
{
    if (!bo_load_seq(&active))
        return errno = ENOENT, -1;
    if (bo_load_seq(&waiting))
        stop_waiter();
    else
        restore_handlers();
    bo_store_seq(&active, 0);
    return 0;
}

/* A forked child may never come to a point, and has no thread that climbs the ladder: it gets the signals back. */
void bo_signals_forked(void)
{
    if (bo_swap_seq(&active, 0) && !bo_load_seq(&waiting))
        restore_handlers();
    bo_store_seq(&keeps_status, 0);
}

/* In a forked child: what was asked of the parent is not asked of it. */
static void restore_in_child(void)
{
    bo_store_seq(&exiter, 0);
    bo_store_seq(&wait_until, BO_FOREVER);
    dying_of_signal = 0;
}

__attribute__((constructor)) static void take_signals_at_load(void)
{
    pthread_atfork(NULL, NULL, restore_in_child);
}

/* ---- the end of the process ---------------------------------------------------------------------------------- */

/* A live thread that an exit has to wait for: neither the caller, nor one that waits for the caller itself, nor one that does
 * not know of bough. */
static bool is_other(const struct bo_thread *t, uint64_t w)
{
    return !bo_is_strange(w) && t != bo_self && !(bo_self && bo_below(bo_self, &t->t));
}

/* The search goes on at the slot of the one before, and comes round once. */
static struct bo_thread *other_thread(uint32_t from, uint64_t *word)
{
    uint32_t high = bo_load_seq(&bo_arena.head->thread_high);
    for (uint32_t n = 1; n < high; n++, from++) {
        struct bo_thread *t = bo_thread_at(from = from < high ? from : 1);
        BO_HOOK(slot_looked_at);
        *word = bo_load_seq(&t->t.word);
        if ((*word & BO_LIVE) && is_other(t, *word))
            return t;
    }
    return NULL;
}

/* One after the other; the end of each is the end of its generation. Looks up now and then: the ladder may say that it is
 * enough. */
static bool await_one(struct bo_thread *t, uint64_t w, int64_t until)
{
    int64_t soon = bo_clock() + BO_MS(100);
    bo_add_seq(&t->t.join_waiters, 1);
    bo_futex_sleep(bo_generation_of(t), bo_word_generation(w), soon < until ? soon : until);
    bo_sub_seq(&t->t.join_waiters, 1);
    return bo_clock() < until && bo_clock() < bo_load_seq(&wait_until);
}

static void report_left(void)
{
    char threads[512];
    unsigned count = bo_ladder_name(is_other, threads, sizeof threads);
    if (count)
        bo_report("the process ends without waiting longer for %u thread%s: %s", count, count == 1 ? "" : "s", threads);
}

/* A report of the incident, or of another thread's exit, must not name who waits here as the cause. */
static void says_it_awaits(bool is)
{
    if (bo_self)
        bo_store_relaxed(&bo_self->joins, is ? BO_ROOT : BO_NONE);
}

void bo_await_others(int64_t until, bool (*enough)(void))
{
    struct bo_thread *t;
    uint64_t w;
    uint32_t at = 1;
    says_it_awaits(true);
    BO_HOOK(exit_waits);
    for (; (t = other_thread(at, &w)); at = t->t.index)
        if (!await_one(t, w, until) || (enough && enough()))
            break;
    if (t && !(enough && enough()))
        report_left();
    says_it_awaits(false);
}

static void await_others(int64_t grace)
{
    bo_await_others(bo_add_time(bo_clock(), grace), NULL);
}

/* What was asked of this process was not asked of a child that runs on its memory (vfork()), or on a copy that was made without
 * the fork handlers' knowledge (_Fork(), clone()). */
static bool same_process(void)
{
    return bo_raw0(SYS_getpid) == bo_load_relaxed(&bo_pid);
}

/* The signal that has asked everything to stop, if the program has not said that it is handled; else 0. */
static int unhandled(void)
{
    if (!bo_arena.branch || !same_process())
        return 0;
    const struct bo_target *root = &bo_branch_at(BO_ROOT)->t;
    const struct bo_record *r = bo_record_of(root, BOUGH_SIGNAL);
    uint64_t state = bo_load_seq(&r->state);
    if (!(bo_load_seq(&root->due) & 1u << BOUGH_SIGNAL) || !bo_record_stands(r))
        return 0;
    struct bough_record posted;
    bo_record_describe(r, &posted);
    return bo_record_serial(bo_load_seq(&r->state)) == bo_record_serial(state) ? posted.signo : 0;
}

/* An exit by another thread is its own affair: main may be waiting for it. */
static bool in_main(void)
{
    return bo_raw0(SYS_gettid) == getpid();
}

/* One thread exits: C libraries have no exit() for two. The other one waits for the end. */
static bool may_exit(void)
{
    uint32_t none = 0, me = (uint32_t)bo_raw0(SYS_gettid);
    return bo_cas_seq(&exiter, &none, me) || none == me;
}

static void claim_exit(void)
{
    while (!may_exit())
        bo_futex_sleep(&exiter, bo_load_seq(&exiter), BO_FOREVER);
}

static bool awaited; /* once is enough, also if it was in vain */

static void await_at_exit(void)
{
    claim_exit();
    if (awaited || !unhandled() || !in_main())
        return;
    awaited = true;
    await_others(LAST_GRACE);
}

static _Atomic int dying_of;

#define FLUSH_TIME BO_SEC(1)
static int64_t flush_time = FLUSH_TIME;

void bo_exit_from_here(int signo, int status, int64_t flush)
{
    bo_store_seq(&wait_until, bo_clock()); /* main may be waiting at its exit: then that one goes on */
    if (!may_exit())
        return;
    awaited = true;
    dying_of_signal = signo;
    flush_time = flush < FLUSH_TIME ? flush : FLUSH_TIME;
    exit(signo ? 128 + (signo & 127) : status);
}

/* Of the program's threads none is left whose mask this could have. */
static void *exit_for_all(void *unused)
{
    sigset_t none;
    sigemptyset(&none);
    pthread_setname_np(pthread_self(), "bough-exit");
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    bo_exit_from_here(unhandled(), EXIT_SUCCESS, FLUSH_TIME);
    return unused;
}

void bo_last_one_out(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, exit_for_all, NULL) == 0) /* not now: asked again in a moment */
        pthread_detach(thread);
}

static void flush_is_late(int unused)
{
    (void)unused;
    die_of(bo_load_relaxed(&dying_of));
}

/* A stream can be locked for ever, by a thread that reads from a terminal say, and a pipe be full for ever: the end
 * does not wait for that. SIGALRM is free, the program is through. */
static void flush_streams(int signo)
{
    struct sigaction late = {.sa_handler = flush_is_late};
    struct itimerval time = {.it_value = {flush_time / BO_SEC(1), flush_time % BO_SEC(1) / 1000 + 1}};
    sigset_t set;
    bo_store_relaxed(&dying_of, signo);
    sigaction(SIGALRM, &late, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    setitimer(ITIMER_REAL, &time, NULL);
    fflush(NULL);
}

static int asked_to_die_of(bool in_any_thread)
{
    if (dying_of_signal && same_process())
        return dying_of_signal;
    return in_any_thread || in_main() ? unhandled() : 0;
}

/* The last of this library's, and of a program's it is linked to, to run in an exit. */
__attribute__((destructor(101))) static void die_at_exit(void)
{
    await_at_exit();
    int signo = asked_to_die_of(bo_load_seq(&keeps_status));
    if (signo <= 0)
        return;
    flush_streams(signo);
    die_of(signo);
}

static void die_if_asked(void)
{
    int signo = asked_to_die_of(true);
    if (signo > 0)
        die_of(signo);
}

static void die_at_quick_exit(void)
{
    if (bo_load_seq(&keeps_status))
        die_if_asked();
}

void bough_exit_now(int status)
{
    die_if_asked();
    end_at_once(status);
}

void bough_exit(int status, int64_t grace)
{
    struct bough_event event = {.kind = BOUGH_EXIT, .reason = "the process exits"};
    if (bo_self_or_adopt() && bo_post((uint64_t)(uintptr_t)bough_root(), &event, NULL) == 0)
        await_others(grace > 0 ? grace : LAST_GRACE);
    awaited = true;
    exit(status);
}

/* SPDX-License-Identifier: MIT */
/*
 * The end of the process. Threads are awaited early, the signal is raised late:
 *
 *      main returns --> atexit handlers registered after bough_signals() --> the threads are awaited
 *        --> older atexit handlers, C++ destructors, other destructors --> streams are flushed, the signal raised
 *
 * So no thread uses an object that these handlers and destructors have destroyed, and each of them runs as in any exit.
 */
#define _GNU_SOURCE
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
#include "api/signals.h"
#include "base/clock.h"
#include "base/futex.h"
#include "base/hook.h"
#include "base/raw.h"
#include "state/arena.h"
#include "state/current.h"
#include "state/generation.h"
#include "state/log.h"
#include "state/reach.h"
#include "thread/adopt.h"
#include "thread/stranger.h"
#include "upcalls.h"
#include "wake/post.h"

#define LAST_GRACE BO_SEC(5)

static _Atomic uint32_t exiter;                 /* the thread that exits; 0: none yet */
static _Atomic int64_t wait_until = BO_FOREVER; /* the latest time until which the exit waits for threads */
static _Atomic uint32_t keeps_status;           /* BOUGH_SIGNALS_STATUS */
static int dying_of_signal;                     /* the signal of an exit by the ladder, which may run on any thread */

/* ---- dying of a signal ----------------------------------------------------------------------------------- */

/* Whether the default action of `signo` ends the process. If not, or if `signo` is no signal, the process exits with
 * the status 128 + n, as a shell would report it. So does pid 1, to which the kernel does not apply default actions. */
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

/* This does not call _exit(), because the program may replace it with a function that calls this one. */
__attribute__((noreturn)) static void end_at_once(int status)
{
    for (;;)
        bo_raw1(SYS_exit_group, status);
}

void bo_exit_by_signal(int signo)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t set;
    if (deadly(signo) && sigemptyset(&set) == 0 && sigaddset(&set, signo) == 0) {
        prctl(PR_SET_DUMPABLE, 0); /* by default some signals dump core, which would be useless here */
        sigaction(signo, &action, NULL);
        bo_raise(signo);
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    }
    end_at_once(128 + (signo & 127));
}

/* ---- waiting for threads ----------------------------------------------------------------------------------- */

/* Whether an exit has to wait for the live thread: it is not the caller, does not wait for the caller itself, and has
 * used bough. */
static bool is_other(const struct bo_thread *t, uint64_t w)
{
    return !bo_is_strange(w) && t != bo_self && !(bo_self && bo_below(bo_self, &t->t));
}

/* Searches all slots once, starting at the slot of the last thread found. */
static struct bo_thread *other_thread(uint32_t from, uint64_t *word)
{
    uint32_t high = bo_threads_used();
    for (uint32_t n = 1; n < high; n++, from++) {
        struct bo_thread *t = bo_thread_at(from = from < high ? from : 1);
        BO_HOOK(slot_looked_at);
        *word = bo_load_seq(&t->t.word);
        if ((*word & BO_LIVE) && is_other(t, *word))
            return t;
    }
    return NULL;
}

/* Waits for the end of one thread's generation. Wakes up every 100 ms, because the ladder may have ended the wait.
 * False: the time is over. */
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

/* Marks the calling thread as waiting at its exit: reports of delays must not name it as the cause. */
static void mark_awaiting(bool is)
{
    if (bo_self)
        bo_store_relaxed(&bo_self->join.branch, is ? BO_ROOT : BO_NONE);
}

void bo_await_others(int64_t until, bool (*enough)(void))
{
    struct bo_thread *t;
    uint64_t w;
    uint32_t at = 1;
    mark_awaiting(true);
    BO_HOOK(exit_waits);
    for (; (t = other_thread(at, &w)); at = t->t.index)
        if (!await_one(t, w, until) || (enough && enough()))
            break;
    if (t && !(enough && enough()))
        report_left();
    mark_awaiting(false);
}

static void await_others(int64_t grace)
{
    bo_await_others(bo_add_time(bo_clock(), grace), NULL);
}

/* False in a child process that runs on this process's memory (vfork()), or on a copy that was made without the fork
 * handlers (_Fork(), clone()): such a child does not act on requests to this process. */
static bool same_process(void)
{
    return bo_raw0(SYS_getpid) == bo_load_relaxed(&bo_pid);
}

/* The signal whose record is pending at the root, if the program has not cleared that record; otherwise 0. */
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

/* An exit() on another thread does not wait for threads, because main may be waiting for that thread. */
static bool in_main(void)
{
    return bo_raw0(SYS_gettid) == getpid();
}

/* Only one thread may call exit(): C libraries do not support two calls at a time. Any other thread waits here until
 * the process ends. */
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

/* The time for a helper to deliver the last reports. A callback that hangs must not delay the exit for long. */
#define REPORTS_TIME BO_MS(250)

static _Atomic bool threads_awaited; /* so that the exit waits only once, even if some threads did not end in time */

static void await_at_exit(void)
{
    claim_exit();
    if (bo_load_relaxed(&threads_awaited) || !unhandled() || !in_main())
        return;
    bo_store_relaxed(&threads_awaited, true);
    await_others(LAST_GRACE);
    bo_ladder_drain(bo_add_time(bo_clock(), REPORTS_TIME));
}

static _Atomic int dying_of;

#define FLUSH_TIME BO_SEC(1)
static int64_t flush_time = FLUSH_TIME;

void bo_exit_from_here(int signo, int status, int64_t flush)
{
    bool mine = may_exit(); /* before main stops waiting: otherwise main could exit first, with another status */
    bo_store_seq(&wait_until, bo_clock());
    if (!mine)
        return; /* main has begun to exit, and continues now */
    BO_HOOK(exit_begins);
    bo_store_relaxed(&threads_awaited, true);
    dying_of_signal = signo;
    flush_time = flush < FLUSH_TIME ? flush : FLUSH_TIME;
    exit(signo ? 128 + (signo & 127) : status);
}

/* Sets an empty signal mask, because no thread of the program is left to inherit a mask from. */
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
    if (pthread_create(&thread, NULL, exit_for_all, NULL) == 0) /* after a failure the caller tries again soon */
        pthread_detach(thread);
}

static void flush_is_late(int unused)
{
    (void)unused;
    bo_exit_by_signal(bo_load_relaxed(&dying_of));
}

/* A stream can stay locked, for example by a thread that reads from a terminal, and a pipe can stay full: a timer
 * limits the time for flushing. The timer can use SIGALRM, because the program has finished. */
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

static int asked_to_bo_exit_by_signal(bool in_any_thread)
{
    if (dying_of_signal && same_process())
        return dying_of_signal;
    return in_any_thread || in_main() ? unhandled() : 0;
}

/* Runs last of all destructors of this library, and of a program that the library is linked into. */
__attribute__((destructor(101))) static void die_at_exit(void)
{
    await_at_exit();
    int signo = asked_to_bo_exit_by_signal(bo_load_seq(&keeps_status));
    if (signo <= 0)
        return;
    flush_streams(signo);
    bo_exit_by_signal(signo);
}

static void die_if_asked(void)
{
    int signo = asked_to_bo_exit_by_signal(true);
    if (signo > 0)
        bo_exit_by_signal(signo);
}

static void die_at_quick_exit(void)
{
    if (bo_load_seq(&keeps_status))
        die_if_asked();
}

/* Handlers of at_quick_exit() run in reverse order: those that the program registers later run before this handler. */
int bo_exit_keep_status(bool keep)
{
    static _Atomic uint32_t registered;
    bo_store_seq(&keeps_status, keep);
    if (!keep || bo_swap_seq(&registered, 1) || at_quick_exit(die_at_quick_exit) == 0)
        return 0;
    bo_store_seq(&registered, 0);
    return errno = ENOMEM, -1;
}

/* Registers an atexit() handler, so that the exit waits for the threads before older handlers run. */
void bo_exit_await_threads(void)
{
    static _Atomic uint32_t at_exit_is_registered;
    if (!bo_swap_seq(&at_exit_is_registered, 1))
        atexit(await_at_exit);
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
    bo_store_relaxed(&threads_awaited, true);
    exit(status);
}

/* Called in a forked child, which does not act on a request to its parent. */
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

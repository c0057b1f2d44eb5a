/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "core/deliver.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include "arch/action.h"
#include "base/raw.h"
#include "core/above.h"
#include "core/call.h"
#include "core/level.h"
#include "core/report.h"
#include "core/second_road.h"
#include "core/self.h"
#include "core/ticker.h"

enum { IN_VAIN = 16, RUNS_FOR_LONG = 4 };

static int wake_signal;
static struct sigaction before; /* who had the wake signal before */
static uintptr_t restorer;
bool (*_Atomic bo_on_ask)(void *context);

int bo_wake_signal(void)
{
    return wake_signal;
}

BO_BARE static uint64_t bit(int signo)
{
    return (uint64_t)1 << (signo - 1);
}

/* ---- the handler ----------------------------------------------------------------------------------- */

BO_BARE static void answered(struct bo_thread *t)
{
    bo_and_seq(&t->t.word, ~(uint64_t)BO_SENT);
}

/*
 * A handler of the program runs on top of a blocked call of ours (or the thread is just entering or leaving
 * it): what the signal is for lies below. Block it in the code that was interrupted and send it again: it
 * comes when that handler returns, or when the call's exit lets it in (rule 5). SENT stays.
 */
BO_BARE static void come_back(struct bo_thread *t, ucontext_t *uc)
{
    uint64_t mask; /* as the kernel has it */
    sigaddset(&uc->uc_sigmask, wake_signal);
    memcpy(&mask, &uc->uc_sigmask, sizeof mask);
    bo_store_relaxed(&t->held, mask);
    bo_raw3(SYS_tgkill, bo_load_relaxed(&bo_pid), bo_load_relaxed(&t->tid), wake_signal);
}

/* `on_top`: a handler of the program ran on top of the call while this wake was waiting. An EINTR is that one's. */
BO_BARE static void in_call(struct bo_thread *t, uint64_t w, ucontext_t *uc, bool on_top)
{
    switch (bo_arch_where(uc)) {
    case BO_BEFORE:
        if (w & BO_DUE)
            bo_arch_cancel(uc);
        answered(t);
        return;
    case BO_AFTER:
        if (!on_top)
            bo_arch_woken(uc);
        answered(t);
        return;
    case BO_ELSEWHERE:
        if (!(w & BO_REPEAT)) {
            come_back(t, uc);
            return;
        }
        /* Inside libc: end its wait by its own timeout; the ticker asks again if that was too early. */
        for (struct bo_libc_wait *wait = t->libc_wait; wait; wait = wait->outer)
            wait->until = (struct timespec){0, 0};
        bo_arch_woken(uc);
        answered(t);
        return;
    }
}

BO_BARE static void wake_arrived(struct bo_thread *t, ucontext_t *uc)
{
    bool held = bo_load_relaxed(&t->held);
    bo_store_relaxed(&t->held, 0);
    uint64_t w = bo_load_seq(&t->t.word);
    if (w & BO_IN) {
        in_call(t, w, uc, held);
        return;
    }
    if (bo_puts_off(wake_signal))
        return; /* SENT stays */
    answered(t);
    if ((w & BO_SUMMONED) && (w & BO_CLOSABLE))
        bo_ladder_summoned(t, uc);
    if ((w & BO_ASYNC) && (w & BO_DUE))
        bo_async_cut(t, uc); /* does not return if it may leave the region here */
}

/* Whoever took the signal from us and from whom we took it back may hand on to us: once round is enough. */
BO_BARE static void hand_on(int signo, siginfo_t *info, void *context)
{
    static BO_TLS bool handing_on;
    if (handing_on)
        return;
    handing_on = true;
    if (before.sa_flags & SA_SIGINFO)
        before.sa_sigaction(signo, info, context);
    else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
        before.sa_handler(signo);
    handing_on = false;
}

/* It may have come for two reasons: the kernel keeps one of a kind. */
BO_BARE static bool asked(void *context)
{
    bool (*on_ask)(void *) = bo_load_acquire(&bo_on_ask);
    return on_ask && on_ask(context);
}

BO_BARE static void handle(int signo, siginfo_t *info, void *context)
{
    int saved = errno;
    struct bo_thread *t = bo_self;
    /* Without room for queued signals (RLIMIT_SIGPENDING) the kernel sends ours and forgets who sent it. */
    bool ours = info->si_code == SI_TKILL ? info->si_pid == bo_load_relaxed(&bo_pid)
                                          : info->si_code == SI_USER && info->si_pid == 0;
    bool answered_one = ours && asked(context);
    uint64_t w = t ? bo_load_seq(&t->t.word) : 0;
    /* Ours was sent once more, after nobody had answered (RESENT): the kernel may have dropped it for this one, which then
     * stands for it; or it comes right behind, before the thread has done anything else (rule 13). */
    bool stands_for_ours = (w & BO_SENT) && (w & BO_RESENT) && bo_load_relaxed(&t->unanswered);
    if (!answered_one && !(ours && (w & BO_SENT)))
        hand_on(signo, info, context);
    if ((ours && (w & BO_SENT)) || stands_for_ours)
        wake_arrived(t, context);
    errno = saved;
}

/* ---- whose signal it is ------------------------------------------------------------------------------ */

/* First by libc, whose restorer the kernel then tells us; then as we want it. */
static int install(void)
{
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    if (sigaction(wake_signal, &action, &before) != 0)
        return -1;
    struct bo_kernel_action ours;
    bo_kernel_sigaction(wake_signal, NULL, &ours);
    restorer = bo_action_restorer(&ours);
    ours.handler = handle;
    ours.flags |= SA_SIGINFO | SA_ONSTACK | (BO_ARCH_WINDOW ? SA_RESTART : 0);
    ours.mask = ~(uint64_t)0;
    bo_kernel_sigaction(wake_signal, &ours, NULL);
    return 0;
}

static bool ours_still(void)
{
    struct bo_kernel_action now;
    return bo_kernel_sigaction(wake_signal, NULL, &now) != 0 || now.handler == handle;
}

static void take_signal_back(void)
{
    bo_report("signal %d was taken by other code: bough takes it back and hands on what is not its own; "
              "set BOUGH_SIGNAL to one that is free",
              wake_signal);
    install();
}

/* ---- sending --------------------------------------------------------------------------------------- */

static void send_first(struct bo_thread *t)
{
    bo_raw3(SYS_tgkill, bo_load_relaxed(&bo_pid), bo_load_relaxed(&t->tid), wake_signal);
}

/* The second road first: it is the wake signal that clears SENT, and when that is handled the other one has been,
 * or is before any other code runs. Sent after it, it could find the thread in foreign code (rule 13). */
void bo_deliver_send(struct bo_thread *t)
{
    /* Without a window a wake ends a call by not restarting it. Whoever has taken the signal since may restart calls, and
     * hand on to us all the same: each wake is answered, and none ends the call. */
    if (!BO_ARCH_WINDOW && bo_load_relaxed(&t->asks) >= IN_VAIN && !ours_still())
        take_signal_back();
    if (bo_unlikely(bo_load_relaxed(&t->blocks_wake)) && bo_second_road_is_open())
        bo_second_road_send(t);
    send_first(t);
}

void bo_deliver_again(struct bo_thread *t)
{
    uint64_t mask = bit(wake_signal), old = 0;
    bo_raw4(SYS_rt_sigprocmask, SIG_BLOCK, (long)&mask, (long)&old, sizeof mask);
    if (!(old & mask))
        bo_store_relaxed(&t->held, old | mask);
    if (bo_or_seq(&t->t.word, BO_SENT) & BO_SENT)
        return; /* it is watched since then: not anew, or handlers that keep coming would keep it from ever being late */
    send_first(t);
    bo_ticker_watch(t); /* the thread may block the signal below the handler, too: then it takes the second road */
}

int bo_deliver_open(void)
{
    uint64_t mask = bit(wake_signal), old = 0;
    bo_raw4(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&mask, (long)&old, sizeof mask);
    return (old & mask) != 0;
}

/* Who is one system call away, and may have been preempted there, is given the processor. */
static void wait_a_moment(int tries)
{
    static const struct timespec moment = {0, 50000};
    if (tries < 64)
        bo_raw0(SYS_sched_yield);
    else
        bo_raw2(SYS_nanosleep, (long)&moment, 0);
}

/*
 * The signal was blocked by come_back(), in code with the mask `held`. That may be not the caller but code below it: a handler
 * of the program runs where the thread has just left a call, and has taken by a call of its own the wake that waits for that
 * call's exit. So the handler leaves all as it was, blocked and under way, and the exit finds it (rules 5, 13). A handler
 * has more signals blocked than what it runs on.
 */
static void hand_down(struct bo_thread *t, uint64_t held)
{
    uint64_t mask = bit(wake_signal);
    bo_raw4(SYS_rt_sigprocmask, SIG_BLOCK, (long)&mask, 0, sizeof mask);
    bo_store_relaxed(&t->held, held);
    bo_or_seq(&t->t.word, BO_SENT);
    send_first(t);
    bo_ticker_watch(t);
}

/* The poster may still be between its step on the word and its signal: wait until the handler has answered. If the ticker
 * has sent one as well, that may have been the one which was answered, and the other comes yet. */
void bo_deliver_settle(struct bo_thread *t)
{
    uint64_t mask = bit(wake_signal), old = 0;
    uint64_t held = bo_load_relaxed(&t->held);
    bo_raw4(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&mask, (long)&old, sizeof mask);
    for (int tries = 0; bo_load_seq(&t->t.word) & (BO_SENT | BO_RESEND); tries++)
        if (tries >= 64 && bo_raw0(SYS_getpid) != bo_load_relaxed(&bo_pid))
            return; /* a vfork()'s child: the wake waits for its parent */
        else
            wait_a_moment(tries);
    if (bo_load_seq(&t->t.word) & BO_RESENT) {
        for (int tries = 0; bo_load_seq(&t->t.senders); tries++)
            wait_a_moment(tries);
        bo_raw0(SYS_sched_yield);
        bo_and_seq(&t->t.word, ~(uint64_t)BO_RESENT);
    }
    /* A program that blocks the signal itself finds it blocked again; come_back()'s block ends here. */
    if (!(old & mask))
        return;
    if (!held) {
        bo_store_relaxed(&t->blocks_wake, 1);
        bo_raw4(SYS_rt_sigprocmask, SIG_BLOCK, (long)&mask, 0, sizeof mask);
    } else if (old != held && (old | held) == old) {
        hand_down(t, held);
    }
}

/* ---- installing ------------------------------------------------------------------------------------ */

/* Not those that tell of a fault of the thread's own, that can't be caught, or that libc keeps to itself. */
static bool can_wake(long signo)
{
    switch (signo) {
    case SIGKILL:
    case SIGSTOP:
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
        return false;
    default:
        return (signo > 0 && signo < BO_SECOND_ROAD) || (signo >= SIGRTMIN && signo <= SIGRTMAX);
    }
}

/* -1: BOUGH_SIGNAL names none. */
static int choose_signal(void)
{
    const char *name = getenv("BOUGH_SIGNAL");
    if (!name || !*name)
        return SIGURG;
    char *end;
    long n = strtol(name, &end, 10);
    return *end == '\0' && can_wake(n) ? (int)n : -1;
}

int bo_deliver_init(void)
{
    wake_signal = choose_signal();
    if (wake_signal > 0 && install() == 0) /* libc keeps some to itself, which only it can tell */
        return 0;
    wake_signal = SIGURG;
    bo_report("BOUGH_SIGNAL=%s is not the number of a signal that can be used: using SIGURG", getenv("BOUGH_SIGNAL"));
    return install();
}

/* ---- when a wake is not answered (rule 13) ---------------------------------------------------------- */

static const char *field(const char *status, const char *name)
{
    const char *at = strstr(status, name);
    return at ? at + strlen(name) : NULL;
}

/* The signals it blocks, and its state as the kernel calls it. */
static uint64_t blocked_by(pid_t tid, char *state)
{
    char path[48], status[4096];
    *state = '?';
    snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)tid);
    bo_read_file(path, status, sizeof status);
    const char *how = field(status, "State:\t"), *mask = field(status, "SigBlk:\t");
    if (how)
        *state = *how;
    return mask ? strtoull(mask, NULL, 16) : 0;
}

/*
 * The wake once more. It may be answered at this very moment, and then this one would come for nothing, in foreign
 * code: RESEND keeps the thread from leaving until it has been sent. From then on the kernel delivers it on the
 * thread's way back from its next system call at the latest: RESENT has bo_deliver_settle() make one.
 */
static bool send_again(struct bo_thread *t, void (*send)(struct bo_thread *))
{
    uint64_t w = bo_load_seq(&t->t.word);
    do
        if (!(w & BO_SENT))
            return false;
    while (!bo_cas_seq(&t->t.word, &w, w | BO_RESEND));
    send(t);
    w = bo_load_seq(&t->t.word);
    while (!bo_cas_seq(&t->t.word, &w, (w & ~(uint64_t)BO_RESEND) | BO_RESENT))
        ;
    return true;
}

static void report_silence(struct bo_thread *t)
{
    char name[BO_NAME];
    if ((bo_load_seq(&t->t.word) & BO_SENT) && !bo_swap_seq(&t->told, 1))
        bo_report("thread %d (%s) has not answered a wake for 50 ms: it is in an uninterruptible kernel wait, "
                  "stopped, or a signal handler on top of its call does not return",
                  (int)bo_load_relaxed(&t->tid), bo_name_of(&t->t, name));
}

static void diagnose_blocked(struct bo_thread *t)
{
    char name[BO_NAME];
    bool for_good = !bo_load_relaxed(&t->held); /* not by us, below a handler that takes its time */
    bo_second_road_open();
    if (!send_again(t, bo_second_road_send))
        return;
    if (!for_good) {
        report_silence(t);
        return;
    }
    bo_store_relaxed(&t->blocks_wake, 1);
    if (!bo_swap_seq(&t->told, 1))
        bo_report("thread %d (%s) blocks signal %d: waking it by signal %d from now on", (int)bo_load_relaxed(&t->tid),
                  bo_name_of(&t->t, name), wake_signal, BO_SECOND_ROAD);
}

/* Why no answer? Not the least reason: somebody else's signal of that number was waiting to be delivered. The kernel
 * keeps one of a kind, and drops ours: from now on any stands for it (handle). Who is runnable waits for a processor only,
 * perhaps in the handler, where all is blocked: one of a thousand that were woken at once. It is looked at again; but who
 * is found so each time may be doing nothing else than take such signals. */
void bo_deliver_diagnose(struct bo_thread *t)
{
    char state;
    uint32_t times = bo_add_relaxed(&t->unanswered, 1);
    uint64_t blocked = blocked_by(bo_load_relaxed(&t->tid), &state);
    if (!ours_still()) {
        take_signal_back();
        send_again(t, send_first);
    } else if (state == 'R' && times < RUNS_FOR_LONG) {
        return;
    } else if (blocked & bit(wake_signal)) {
        diagnose_blocked(t);
    } else if (send_again(t, send_first)) {
        report_silence(t);
    }
}

/* ---- handlers on top ------------------------------------------------------------------------------- */

static bool on_alternate_stack(void)
{
    stack_t alternate;
    return sigaltstack(NULL, &alternate) == 0 && (alternate.ss_flags & SS_ONSTACK);
}

int bo_deliver_between(uintptr_t low, uintptr_t high)
{
    const struct bo_thread *t = bo_self;
    if (!t || !restorer || !t->stack_high || low < t->stack_low || high > t->stack_high)
        return -1;
    return bo_arch_handler_between(low, high, restorer);
}

int bo_deliver_on_handler(uintptr_t sp)
{
    return on_alternate_stack() ? 1 : bo_self ? bo_deliver_between(sp, bo_self->stack_high) : -1;
}

/* Is this a signal handler, on top of anything? A handler runs with a signal blocked, which is one call to
 * find out; a thread that blocks signals for good is told from one by the frames on its stack. */
bool bo_deliver_in_handler(void)
{
    uint64_t blocked = 0;
    bo_raw4(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&blocked, sizeof blocked);
    return blocked && bo_deliver_on_handler((uintptr_t)__builtin_frame_address(0)) != 0;
}

const sigset_t *bo_open_mask(const sigset_t *mask, sigset_t *copy)
{
    if (!mask)
        return NULL;
    *copy = *mask;
    sigdelset(copy, wake_signal);
    return copy;
}

/* What a fault raises, in the middle of computing: its handler, which few install with SA_RESTART, has not ended the
 * call. */
static bool by_fault(int signo)
{
    return signo == SIGILL || signo == SIGTRAP || signo == SIGABRT || signo == SIGBUS || signo == SIGFPE ||
           signo == SIGSEGV || signo == SIGSYS;
}

bool bo_handlers_restart(void)
{
    for (int signo = 1; signo < NSIG; signo++) {
        struct bo_kernel_action action;
        if (signo == wake_signal || by_fault(signo) || bo_kernel_sigaction(signo, NULL, &action) != 0)
            continue;
        if (bo_action_catches(&action) && !(action.flags & SA_RESTART))
            return false;
    }
    return true;
}

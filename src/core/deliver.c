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
#include "core/arena.h"
#include "core/call.h"
#include "core/current.h"
#include "core/foreign.h"
#include "core/level.h"
#include "core/look.h"
#include "core/report.h"
#include "core/second_road.h"
#include "core/ticker.h"

enum { IN_VAIN = 16, RUNS_FOR_LONG = 4 };
enum { COOKIE = 0x77616b65 };

static int wake_signal;
static struct sigaction before; /* who had the wake signal before */
static uintptr_t restorer;
static _Atomic uint32_t plain_sends; /* some are sent by tgkill(), without a sign */
bool (*_Atomic bo_on_ask)(void *context);

int bo_wake_signal(void)
{
    return wake_signal;
}

BO_BARE static uint64_t bit(int signo)
{
    return (uint64_t)1 << (signo - 1);
}

/* ---- the signal ------------------------------------------------------------------------------------ */

/* With a sign that it is bough's: SIGURG may be the program's as well. Where a sandbox forbids that, without. */
BO_BARE long bo_deliver_signal(pid_t tid)
{
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = wake_signal;
    info.si_code = SI_QUEUE;
    info.si_value.sival_int = COOKIE;
    pid_t pid = bo_load_relaxed(&bo_pid);
    long r = bo_raw4(SYS_rt_tgsigqueueinfo, pid, tid, wake_signal, (long)&info);
    if (r == 0 || r == -EAGAIN || r == -ESRCH)
        return r;
    bo_store_relaxed(&plain_sends, 1);
    return bo_raw3(SYS_tgkill, pid, tid, wake_signal);
}

/* ---- the handler ----------------------------------------------------------------------------------- */

/* To the thread itself, which blocks it until a handler returns. It may still be blocked where the call ends: the note has it let
 * in there. */
BO_BARE static void send_to_self(struct bo_thread *t)
{
    bo_or_seq(&t->t.word, BO_NOTE);
    bo_store_relaxed(&t->below_handler, 1);
    if (bo_deliver_signal(bo_load_relaxed(&t->tid)) != 0)
        bo_store_seq(&t->t.unsent, 1);
}

/* Inside libc: end its wait by its own timeout; the ticker asks again if that was too early. */
BO_BARE static void end_libc_waits(const struct bo_thread *t)
{
    for (struct bo_libc_wait *wait = t->libc_wait; wait; wait = wait->outer)
        wait->until = (struct timespec){0, 0};
}

/* What the signal is for lies below a handler of the program: block it in that handler's frame and send it again: it comes when the
 * handler returns (rule 5). */
BO_BARE static void come_back(struct bo_thread *t, ucontext_t *uc)
{
    sigaddset(&uc->uc_sigmask, wake_signal);
    send_to_self(t);
}

/*
 * A handler of the program runs on top of a blocked call of ours, if the call was not left by a jump. Any due bit counts: where the call below is
 * foreign code's (rule 22), it need not be due, but the call that the handler makes may be. By the owner; the word was loaded before.
 */
BO_BARE static void elsewhere(struct bo_thread *t, uint64_t w, ucontext_t *uc)
{
    if (bo_call_was_left(t, bo_arch_sp(uc), bo_deliver_was_on_alternate_stack(uc, t->call_frame))) {
        if (bo_call_at_hook)
            return;
        t->libc_wait = NULL;
        bo_and_seq(&t->t.word, ~(uint64_t)(BO_IN | BO_REPEAT));
    } else if (w & BO_REPEAT) {
        end_libc_waits(t);
        bo_arch_woken(uc, BO_EWOKEN);
    } else if (w & BO_ALL_DUE) {
        come_back(t, uc);
    }
}

/* A call that is cut on top of another leaves the wake to the call below at once: a handler may leave it by a jump, before it can.
 * `foreign`: another's signal, for which no handler of the program has run. `below`: one has run on top of the call since this
 * signal was sent first. An EINTR where nothing is due, or after that, is the handler's. */
BO_BARE static void in_call(struct bo_thread *t, uint64_t w, ucontext_t *uc, bool foreign, bool below)
{
    bool due = w & bo_foreign_due_bit(t);
    switch (bo_arch_where(uc)) {
    case BO_ENTERING:
        return;
    case BO_BEFORE:
        if (due && bo_arch_cancel(uc) && !bo_call_at_hook)
            come_back(t, uc);
        return;
    case BO_AFTER:
        if (due ? !below : foreign)
            bo_arch_woken(uc, due ? BO_EWOKEN : BO_ECUT);
        return;
    case BO_ELSEWHERE:
        elsewhere(t, w, uc);
        return;
    }
}

/* It may have come for several reasons, and for nothing: the word says what there is to do. */
BO_BARE static void wake_arrived(struct bo_thread *t, ucontext_t *uc, bool foreign)
{
    uint64_t w = bo_load_seq(&t->t.word);
    bool below = bo_load_relaxed(&t->below_handler);
    bo_store_relaxed(&t->below_handler, 0);
    if (w & BO_IN) {
        in_call(t, w, uc, foreign, below);
        return;
    }
    if (!(w & (BO_SUMMONED | BO_ASYNC)) || bo_puts_off(wake_signal))
        return;
    if ((w & BO_SUMMONED) && (w & BO_CLOSABLE))
        bo_ladder_summoned(t, uc);
    if ((w & BO_ASYNC) && (w & BO_DUE))
        bo_async_cut(t, uc); /* does not return if it may leave the region here */
}

/* Whoever took the signal from us and from whom we took it back may hand on to us: once round is enough. Returns whether a
 * handler has run. */
BO_BARE static bool hand_on(int signo, siginfo_t *info, void *context)
{
    static BO_TLS bool handing_on;
    bool catches = (before.sa_flags & SA_SIGINFO) || (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN);
    if (handing_on || !catches)
        return false;
    handing_on = true;
    if (before.sa_flags & SA_SIGINFO)
        before.sa_sigaction(signo, info, context);
    else
        before.sa_handler(signo);
    handing_on = false;
    return true;
}

/* It may have come for two reasons: the kernel keeps one of a kind. */
BO_BARE static bool asked(void *context)
{
    bool (*on_ask)(void *) = bo_load_acquire(&bo_on_ask);
    return on_ask && on_ask(context);
}

/* Sent by bough, for certain; by others; or the kernel had no room to say who has sent it (RLIMIT_SIGPENDING). */
enum sender { OURS, THEIRS, UNKNOWN };

BO_BARE static enum sender sent_by(const siginfo_t *info)
{
    if (info->si_code == SI_QUEUE && info->si_value.sival_int == COOKIE)
        return OURS;
    if (info->si_code == SI_TKILL && info->si_pid == bo_load_relaxed(&bo_pid) && bo_load_relaxed(&plain_sends))
        return UNKNOWN;
    return info->si_code == SI_USER && info->si_pid == 0 ? UNKNOWN : THEIRS;
}

BO_BARE static void handle(int signo, siginfo_t *info, void *context)
{
    int saved = errno;
    struct bo_thread *t = bo_self;
    enum sender sender = sent_by(info);
    bool answered = sender != THEIRS && asked(context);
    bool handled = sender != OURS && !answered && hand_on(signo, info, context);
    if (t)
        wake_arrived(t, context, sender != OURS && !handled);
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

bool bo_deliver_send(struct bo_thread *t)
{
    /* Without a window a wake ends a call by not restarting it. Whoever has taken the signal since may restart calls, and
     * hand on to us all the same: each wake is answered, and none ends the call. */
    if (!BO_ARCH_WINDOW && bo_load_relaxed(&t->t.asks) >= IN_VAIN && !ours_still())
        take_signal_back();
    bool needs_second = bo_unlikely(bo_load_relaxed(&t->t.blocks_wake)) && bo_second_road_is_open();
    bool second = needs_second && bo_second_road_send(t), first = bo_deliver_signal(bo_load_relaxed(&t->tid)) == 0;
    return needs_second ? second : first;
}

void bo_deliver_again(struct bo_thread *t, bool anew)
{
    uint64_t mask = bit(wake_signal);
    if (bo_call_was_left_here(t))
        return; /* the next call finds that out */
    bo_raw4(SYS_rt_sigprocmask, SIG_BLOCK, (long)&mask, 0, sizeof mask);
    send_to_self(t);
    /* The thread may block the signal below the handler, too: then it takes the second road. */
    if (anew)
        bo_ticker_watch(t);
    else
        bo_ticker_look_by(&t->t, bo_load_relaxed(&t->t.asked_at) + BO_ANSWER_WITHIN);
}

int bo_deliver_open(void)
{
    uint64_t mask = bit(wake_signal), old = 0;
    bo_raw4(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&mask, (long)&old, sizeof mask);
    return (old & mask) != 0;
}

/* The note is taken off in a step that sees no sender. Whatever was sent before that step has come with the end of the system
 * call after it. */
void bo_deliver_settle(struct bo_thread *t)
{
    uint64_t mask = bit(wake_signal), w;
    if (bo_raw0(SYS_getpid) != bo_load_relaxed(&bo_pid))
        return; /* a vfork()'s child, on its parent's memory: the wake is its parent's */
    do {
        bo_word_await_senders(&t->t.word);
        w = bo_load_seq(&t->t.word);
    } while ((w & BO_SENDERS) || !bo_word_step(&t->t.word, &w, w & ~(uint64_t)BO_NOTE));
    if (!bo_deliver_open())
        return;
    /* A program that blocks the signal itself finds it blocked again. */
    bo_store_relaxed(&t->t.blocks_wake, 1);
    bo_raw4(SYS_rt_sigprocmask, SIG_BLOCK, (long)&mask, 0, sizeof mask);
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
    const char *name = secure_getenv("BOUGH_SIGNAL");
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
    bo_report("BOUGH_SIGNAL=%s is not the number of a signal that can be used: using SIGURG",
              secure_getenv("BOUGH_SIGNAL"));
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

bool bo_deliver_tells(struct bo_thread *t, enum bo_told of)
{
    return !(bo_or_seq(&t->t.told, of) & of);
}

static void report_silence(struct bo_thread *t, enum bo_told of, const char *why)
{
    char name[BO_NAME];
    if (bo_deliver_tells(t, of))
        bo_report("thread %d (%s) has not answered a wake for 50 ms: %s", (int)bo_load_relaxed(&t->tid),
                  bo_name_of(&t->t, name), why);
}

static void report_second_road(struct bo_thread *t)
{
    char name[BO_NAME];
    if (bo_deliver_tells(t, BO_TOLD_SECOND_ROAD))
        bo_report("thread %d (%s) blocks signal %d: waking it by signal %d from now on", (int)bo_load_relaxed(&t->tid),
                  bo_name_of(&t->t, name), wake_signal, BO_SECOND_ROAD);
}

static const char *const waits =
    "it is in an uninterruptible kernel wait, stopped, or a signal handler on top of its call "
    "does not return";
static const char *const refused =
    "its signal could not be sent: there is no room for queued signals (RLIMIT_SIGPENDING), "
    "or a sandbox forbids tgkill() and rt_tgsigqueueinfo(). bough tries again";

/*
 * Why no answer? Who is runnable waits for a processor only, perhaps in the handler, where all is blocked: one of a thousand
 * that were woken at once. It is looked at again; but who is found so each time may be doing nothing else than take such
 * signals. Who blocks the signal is sent another, unless it is bough that blocks it, in a handler of the program that takes its time.
 */
bool bo_deliver_diagnose(struct bo_thread *t)
{
    char state;
    uint32_t times = bo_add_relaxed(&t->t.unanswered, 1);
    uint64_t blocked = blocked_by(bo_load_relaxed(&t->tid), &state);
    bool below = bo_load_relaxed(&t->below_handler);
    if (bo_load_relaxed(&t->t.unsent))
        report_silence(t, BO_TOLD_REFUSAL, refused);
    if (!ours_still()) {
        take_signal_back();
    } else if (state == 'R' && times < RUNS_FOR_LONG) {
        return false;
    } else if ((blocked & bit(wake_signal)) && !below) {
        bo_second_road_open();
        bo_store_relaxed(&t->t.blocks_wake, 1);
        report_second_road(t);
    } else if (!bo_load_relaxed(&t->t.unsent)) {
        report_silence(t, BO_TOLD_SILENCE, waits);
    }
    return true;
}

/* ---- handlers on top ------------------------------------------------------------------------------- */

bool bo_deliver_on_alternate_stack(void)
{
    stack_t alternate;
    return sigaltstack(NULL, &alternate) == 0 && (alternate.ss_flags & SS_ONSTACK);
}

BO_BARE bool bo_deliver_was_on_alternate_stack(const void *context, uintptr_t at)
{
    const ucontext_t *uc = context;
    uintptr_t low = (uintptr_t)uc->uc_stack.ss_sp, size = uc->uc_stack.ss_size;
    return !(uc->uc_stack.ss_flags & SS_DISABLE) && bo_arch_sp(uc) - low < size && at - low >= size;
}

int bo_deliver_between(uintptr_t low, uintptr_t high)
{
    const struct bo_thread *t = bo_self;
    if (!t || !t->stack_high || low < t->stack_low || high > t->stack_high)
        return -1;
    return bo_deliver_frame_in(low, high);
}

int bo_deliver_frame_in(uintptr_t low, uintptr_t high)
{
    return restorer ? bo_arch_handler_between(low, high, restorer) : -1;
}

int bo_deliver_on_handler(uintptr_t sp)
{
    return bo_deliver_on_alternate_stack() ? 1 : bo_self ? bo_deliver_between(sp, bo_self->stack_high) : -1;
}

/* Is this a signal handler, on top of anything? A handler runs with a signal blocked, which is one call to
 * find out; a thread that blocks signals for good is told from one by the frames on its stack. */
bool bo_deliver_in_handler(uint64_t blocked)
{
    return blocked && bo_deliver_on_handler((uintptr_t)__builtin_frame_address(0)) != 0;
}

bool bo_deliver_in_handler_now(void)
{
    uint64_t blocked = 0;
    bo_raw4(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&blocked, sizeof blocked);
    return bo_deliver_in_handler(blocked);
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
        if (signo == wake_signal || signo == BO_SECOND_ROAD || by_fault(signo) ||
            bo_kernel_sigaction(signo, NULL, &action) != 0)
            continue;
        if (bo_action_catches(&action) && !(action.flags & SA_RESTART))
            return false;
    }
    return true;
}

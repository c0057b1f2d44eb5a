/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "wake/wake_signal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include "arch/action.h"
#include "base/raw.h"
#include "state/arena.h"
#include "state/current.h"
#include "state/log.h"
#include "upcalls.h"
#include "wake/fallback_signal.h"
#include "wake/frames.h"
#include "wake/wake_send.h"

enum { MAX_UNHEEDED_WAKES = 16, HANDED_ON = 0x68616e64 };

static struct sigaction wake_before; /* the previous handler of the wake signal */
bool (*_Atomic bo_on_ask)(void *context);

/* ---- the handler ----------------------------------------------------------------------------------- */

/* Ends waits inside libc by their timeouts. If libc had not read a timeout yet, the ticker sends the signal again. */
BO_BARE static void end_libc_waits(const struct bo_thread *t)
{
    for (struct bo_libc_wait *wait = t->call.libc_wait; wait; wait = wait->outer)
        wait->until = (struct timespec){0, 0};
}

/* The signal is for a call that a handler of the program has interrupted: block it in that handler's frame and send it
 * again, so that it is delivered when the handler returns (rule 5). */
BO_BARE static void come_back(struct bo_thread *t, ucontext_t *uc)
{
    sigaddset(&uc->uc_sigmask, bo_wake_signo);
#if BO_HOOKS && BO_ARCH_WINDOW
    if (bo_call_at_hook)
        bo_blocked_at_hook = bo_wake_bit();
#endif
    bo_wake_send_to_self(t);
}

/*
 * A handler of the application has interrupted a blocked call of the library, unless a jump has left that call. Any due
 * bit counts: the interrupted call of foreign code (rule 22) need not be due, but the handler's call may be. `ends`:
 * without a window, this signal ends the call. Called by the owner; the word was loaded before.
 */
BO_BARE static void elsewhere(struct bo_thread *t, uint64_t w, ucontext_t *uc, bool ends)
{
    if (bo_call_was_left(t, bo_arch_sp(uc), bo_frames_was_on_alternate_stack(uc, t->call.frame))) {
        if (bo_call_at_hook)
            return;
        t->call.libc_wait = NULL;
        bo_word_clear(&t->t.word, BO_IN | BO_REPEAT, BO_BY_LEFT);
    } else if (w & BO_REPEAT) {
        end_libc_waits(t);
        if (ends)
            bo_arch_woken(uc, BO_EWOKEN);
    } else if (w & BO_ALL_DUE) {
        come_back(t, uc);
    }
}

/* `foreign`: a signal that bough did not send, for which no handler of the program has run. `below`: a handler has
 * interrupted the call since this signal was first sent. An EINTR if nothing is due, or after such a handler, is due to
 * the handler. */
BO_BARE static void in_call(struct bo_thread *t, uint64_t w, ucontext_t *uc, bool foreign, bool below)
{
    bool due = w & bo_foreign_due_bit(t), ends = due ? !below : foreign, on_top;
    switch (bo_arch_where(uc, &on_top)) {
    case BO_ENTERING:
        if (due && on_top)
            bo_arch_cancel(uc); /* come_back() blocks the signal, and the window's test would find it blocked */
        break;
    case BO_BEFORE:
        if (due)
            bo_arch_cancel(uc);
        break;
    case BO_AFTER:
        if (ends)
            bo_arch_woken(uc, due ? BO_EWOKEN : BO_ECUT);
        break;
    case BO_ELSEWHERE:
        elsewhere(t, w, uc, ends);
        return;
    }
    /* Send the signal again now, not after the nested call, because a handler may leave that call by a jump. */
    if (on_top && (w & BO_ALL_DUE) && !bo_call_at_hook)
        come_back(t, uc);
}

/* The signal may have several causes, or be spurious: the word decides what to do. */
BO_BARE static void wake_arrived(struct bo_thread *t, ucontext_t *uc, bool foreign)
{
    uint64_t w = bo_load_seq(&t->t.word);
    bool below = bo_load_relaxed(&t->call.below_handler);
    bo_store_relaxed(&t->call.below_handler, 0);
    if (w & BO_IN) {
        in_call(t, w, uc, foreign, below);
        return;
    }
    if (!(w & (BO_SUMMONED | BO_ASYNC)) || bo_puts_off(bo_wake_signo))
        return;
    if ((w & BO_SUMMONED) && (w & BO_CLOSABLE))
        bo_ladder_summoned(t, uc);
    if ((w & BO_ASYNC) && (w & BO_DUE))
        bo_async_cut(t, uc); /* does not return if it leaves the region */
}

/* The last bytes of a signal's information, which the kernel clears. */
BO_BARE static uint32_t *mark_of(siginfo_t *info)
{
    return (uint32_t *)((char *)info + sizeof *info) - 1;
}

/* Forwards the signal to the previous handler. That handler may forward signals to the library's handler in turn: the
 * recursion ends after one round, by a mark in the signal's information. A mark in the thread would stay set if the
 * handler left by a jump. Returns whether a handler has run. */
BO_BARE static bool hand_wake_on(int signo, siginfo_t *info, void *context)
{
    bool catches =
        (wake_before.sa_flags & SA_SIGINFO) || (wake_before.sa_handler != SIG_DFL && wake_before.sa_handler != SIG_IGN);
    if (*mark_of(info) == HANDED_ON || !catches)
        return false;
    *mark_of(info) = HANDED_ON;
    if (wake_before.sa_flags & SA_SIGINFO)
        wake_before.sa_sigaction(signo, info, context);
    else
        wake_before.sa_handler(signo);
    *mark_of(info) = 0;
    return true;
}

/* A request for the stack and a wake may arrive as one signal, because the kernel queues only one. */
BO_BARE static bool is_asked(void *context)
{
    bool (*on_ask)(void *) = bo_load_acquire(&bo_on_ask);
    return on_ask && on_ask(context);
}

BO_BARE static void handle_wake(int signo, siginfo_t *info, void *context)
{
    int saved = errno;
    struct bo_thread *t = bo_self;
    enum bo_sender sender = bo_wake_sent_by(info);
    bool answered = sender != BO_SENT_BY_OTHERS && is_asked(context);
    bool handled = sender != BO_SENT_BY_BOUGH && !answered && hand_wake_on(signo, info, context);
    if (t)
        wake_arrived(t, context, sender != BO_SENT_BY_BOUGH && !handled);
    errno = saved;
}

/* ---- the handler's installation ------------------------------------------------------------------------------ */

/* Installs the handler by libc's sigaction() first, to get libc's restorer from the kernel; then by the system call,
 * with the library's flags. */
static int install_wake(void)
{
    struct sigaction action = {.sa_sigaction = handle_wake, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    if (sigaction(bo_wake_signo, &action, &wake_before) != 0)
        return -1;
    struct bo_kernel_action installed;
    bo_kernel_sigaction(bo_wake_signo, NULL, &installed);
    bo_frames_set_restorer(bo_action_restorer(&installed));
    installed.handler = handle_wake;
    installed.flags |= SA_SIGINFO | SA_ONSTACK | (BO_ARCH_WINDOW ? SA_RESTART : 0);
    installed.mask = ~(uint64_t)0;
    bo_kernel_sigaction(bo_wake_signo, &installed, NULL);
    return 0;
}

bool bo_wake_signal_is_installed(void)
{
    struct bo_kernel_action now;
    return bo_kernel_sigaction(bo_wake_signo, NULL, &now) != 0 || now.handler == handle_wake;
}

void bo_wake_signal_take_back(void)
{
    bo_report("signal %d was taken by other code: bough takes it back and forwards signals that bough did not send; "
              "set BOUGH_SIGNAL to a free signal",
              bo_wake_signo);
    install_wake();
}

/* ---- sending --------------------------------------------------------------------------------------- */

bool bo_wake_signal_send(struct bo_thread *t)
{
    /* Without a window a wake ends a call only if the call is not restarted. Code may have installed a handler that
     * restarts calls and still calls the library's handler: then each wake is answered, but none ends the call. */
    if (!BO_ARCH_WINDOW && bo_load_relaxed(&t->t.wakes_sent) >= MAX_UNHEEDED_WAKES && !bo_wake_signal_is_installed())
        bo_wake_signal_take_back();
    bool needs_second = bo_unlikely(bo_load_relaxed(&t->t.blocks_wake)) && bo_fallback_is_open();
    bool second = needs_second && bo_fallback_send(t), first = bo_wake_send_signal(bo_load_relaxed(&t->tid)) == 0;
    return needs_second ? second : first;
}

/* ---- installing ------------------------------------------------------------------------------------ */

/* Excluded are signals that report a fault of the thread, that can't be caught, or that libc reserves. */
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
        return (signo > 0 && signo < BO_FALLBACK_SIGNAL) || (signo >= SIGRTMIN && signo <= SIGRTMAX);
    }
}

/* -1: BOUGH_SIGNAL is not a usable signal number. */
static int choose_signal(void)
{
    const char *name = secure_getenv("BOUGH_SIGNAL");
    if (!name || !*name)
        return SIGURG;
    char *end;
    long n = strtol(name, &end, 10);
    return *end == '\0' && can_wake(n) ? (int)n : -1;
}

int bo_wake_signal_init(void)
{
    bo_wake_signo = choose_signal();
    if (bo_wake_signo > 0 && install_wake() == 0) /* fails for signals that libc reserves */
        return 0;
    bo_wake_signo = SIGURG;
    bo_report("ignoring BOUGH_SIGNAL=%s: not a usable signal number; using SIGURG", secure_getenv("BOUGH_SIGNAL"));
    return install_wake();
}

/* ---- the application's handlers ------------------------------------------------------------------------------- */

const sigset_t *bo_open_mask(const sigset_t *mask, sigset_t *copy)
{
    if (!mask)
        return NULL;
    *copy = *mask;
    sigdelset(copy, bo_wake_signo);
    return copy;
}

/* A signal that a fault raises. Its handlers are rarely installed with SA_RESTART, but it can't have ended a call,
 * because it is raised while a thread computes. */
static bool by_fault(int signo)
{
    return signo == SIGILL || signo == SIGTRAP || signo == SIGABRT || signo == SIGBUS || signo == SIGFPE ||
           signo == SIGSEGV || signo == SIGSYS;
}

bool bo_handlers_restart(void)
{
    for (int signo = 1; signo < NSIG; signo++) {
        struct bo_kernel_action action;
        if (signo == bo_wake_signo || signo == BO_FALLBACK_SIGNAL || by_fault(signo) ||
            bo_kernel_sigaction(signo, NULL, &action) != 0)
            continue;
        if (bo_action_catches(&action) && !(action.flags & SA_RESTART))
            return false;
    }
    return true;
}

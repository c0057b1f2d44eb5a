/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "ladder/fault.h"
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include "arch/window.h"
#include "base/futex.h"
#include "base/raw.h"
#include "ladder/handler.h"
#include "state/arena.h"
#include "state/current.h"
#include "state/log.h"
#include "upcalls.h"

static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
enum { FAULTS = sizeof faults / sizeof *faults };
static struct sigaction faults_before[FAULTS];
static struct bo_lock installing;
static bool installed;

/* Applies the previous action. A fault occurs again when the handler returns; a signal that was sent does not, so it is
 * sent again. */
static void as_before(int signo, const struct sigaction *old, const siginfo_t *info)
{
    sigaction(signo, old, NULL);
    if (info->si_code <= 0)
        bo_raise(signo);
}

static void hand_fault_on(int signo, siginfo_t *info, void *context)
{
    int i = 0;
    while (faults[i] != signo)
        i++;
    const struct sigaction *old = &faults_before[i];
    if (old->sa_flags & SA_SIGINFO)
        old->sa_sigaction(signo, info, context);
    else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN)
        old->sa_handler(signo);
    else
        as_before(signo, old, info);
}

/* The innermost guard of a library thread. */
struct guard {
    struct guard *outer;
    int signo;
    sigjmp_buf place;
};
static BO_TLS struct guard *innermost_guard;

static void on_fault(int signo, siginfo_t *info, void *context)
{
    struct guard *g = innermost_guard;
    if (g && (uintptr_t)g > bo_arch_sp(context) && !g->signo && info->si_code > 0) {
        g->signo = signo;
        siglongjmp(g->place, 1);
    }
    struct bo_handling *h = bo_self ? bo_self->incident.handling : NULL;
    if (h && (uintptr_t)h > bo_arch_sp(context) && !h->signo && info->si_code > 0) {
        h->signo = signo;
        siglongjmp(h->fault, 1);
    }
    hand_fault_on(signo, info, context);
}

void bo_fault_catch(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    bo_lock(&installing);
    for (int i = 0; i < FAULTS && !installed; i++)
        sigaction(faults[i], &action, &faults_before[i]);
    installed = true;
    bo_unlock(&installing);
}

/* ---- on the library's threads ------------------------------------------------------------------------------------ */

static void run_guarded(struct guard *g, void (*fn)(void *), void *argument)
{
    g->outer = innermost_guard;
    if (sigsetjmp(g->place, 0) == 0) {
        innermost_guard = g;
        bo_signal_fence();
        fn(argument);
    }
    bo_signal_fence();
    innermost_guard = g->outer;
}

/* The library's threads block all signals, and a fault whose signal is blocked ends the process: so the faults are
 * unblocked. If the fault has used up the stack, the handler needs another one: a part of this frame, which was
 * allocated before. */
int bo_fault_guarded(void (*fn)(void *), void *argument)
{
    char place[1 << 15];
    stack_t alternate = {.ss_sp = place, .ss_size = sizeof place}, other;
    struct guard g = {.signo = 0};
    sigset_t some, mask;
    bo_fault_catch();
    sigemptyset(&some);
    for (int i = 0; i < FAULTS; i++)
        sigaddset(&some, faults[i]);
    bool has_one = sigaltstack(NULL, &other) != 0 || !(other.ss_flags & SS_DISABLE);
    if (!has_one)
        sigaltstack(&alternate, NULL);
    pthread_sigmask(SIG_UNBLOCK, &some, &mask);
    run_guarded(&g, fn, argument);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    if (!has_one)
        sigaltstack(&other, NULL);
    return g.signo;
}

void bo_ladder_guard(void (*fn)(void *), void *argument, const char *what)
{
    int signo = bo_fault_guarded(fn, argument);
    if (signo)
        bo_report("%s was ended by signal %d: the ladder continues without it", what, signo);
}

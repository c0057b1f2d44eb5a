/* SPDX-License-Identifier: MIT */
/* A signal that writes a dump, on the thread that it reaches (rule 41). */
#define _GNU_SOURCE
#include <bough/ladder.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include "base/atomic.h"
#include "base/futex.h"
#include "inspect/dump.h"
#include "wake/fallback_signal.h"
#include "wake/wake_send.h"

enum { SIGNALS = 65 };

/* The data that the handler reads may be replaced while it runs: each word is valid by itself. */
static struct registered {
    _Atomic int fd;
    _Atomic unsigned flags;
    _Atomic bool is_set;
    struct sigaction before; /* written before `is_set`, kept afterwards */
} registered[SIGNALS];
static struct bo_lock table_lock;

static void handle(int signo, siginfo_t *info, void *context);

static void install(int signo)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_RESTART};
    action.sa_sigaction = handle;
    sigemptyset(&action.sa_mask);
    sigaction(signo, &action, NULL);
}

/* The kernel performs the default action, which may end or stop the process, but only if the signal is unblocked. */
static void act_by_default(int signo, const struct sigaction *by_default)
{
    sigset_t signal, mask;
    sigemptyset(&signal);
    sigaddset(&signal, signo);
    sigaction(signo, by_default, NULL);
    pthread_sigmask(SIG_UNBLOCK, &signal, &mask);
    raise(signo);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    install(signo); /* the process was stopped and continued */
}

/* Calls the previous handler. */
static void pass_on(struct registered *r, int signo, siginfo_t *info, void *context)
{
    const struct sigaction *before = &r->before;
    if (before->sa_flags & SA_SIGINFO) {
        before->sa_sigaction(signo, info, context);
    } else if (before->sa_handler == SIG_DFL) {
        act_by_default(signo, before);
    } else if (before->sa_handler != SIG_IGN) {
        before->sa_handler(signo);
    }
}

static void handle(int signo, siginfo_t *info, void *context)
{
    int saved = errno;
    struct registered *r = &registered[signo];
    unsigned flags = bo_load_relaxed(&r->flags);
    if (bo_load_acquire(&r->is_set))
        bo_dump(bo_load_relaxed(&r->fd), flags & BOUGH_DUMP_THREAD ? BO_DUMP_ONE : 0);
    errno = saved;
    if (flags & BOUGH_DUMP_CHAIN)
        pass_on(r, signo, info, context);
}

static bool can_be_used(int signo)
{
    static const int never[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    if (signo < 1 || signo >= SIGNALS || signo == bo_wake_signo)
        return false;
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (signo == never[i])
            return false;
    return signo < BO_FALLBACK_SIGNAL || signo >= SIGRTMIN; /* libc's */
}

int bough_dump_on_signal(int signo, int fd, unsigned flags)
{
    if (!can_be_used(signo) || flags & ~(unsigned)(BOUGH_DUMP_THREAD | BOUGH_DUMP_CHAIN))
        return errno = EINVAL, -1;
    if (fcntl(fd, F_GETFD) < 0)
        return -1;
    struct registered *r = &registered[signo];
    bo_lock(&table_lock);
    bo_store_relaxed(&r->fd, fd);
    bo_store_relaxed(&r->flags, flags);
    struct sigaction now;
    sigaction(signo, NULL, &now);
    if (now.sa_sigaction != handle)
        r->before = now;
    bo_store_release(&r->is_set, true);
    install(signo);
    bo_unlock(&table_lock);
    return 0;
}

int bough_dump_on_signal_undo(int signo)
{
    if (signo < 1 || signo >= SIGNALS)
        return 0;
    struct registered *r = &registered[signo];
    struct sigaction now;
    bo_lock(&table_lock);
    bool was = bo_load_relaxed(&r->is_set);
    if (was && sigaction(signo, NULL, &now) == 0 && now.sa_sigaction == handle)
        sigaction(signo, &r->before, NULL);
    bo_store_release(&r->is_set, false);
    bo_unlock(&table_lock);
    return was;
}

/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "wake/fallback_signal.h"
#include <errno.h>
#include <string.h>
#include <ucontext.h>
#include "arch/action.h"
#include "state/current.h"
#include "upcalls.h"
#include "wake/frames.h"
#include "wake/wake_send.h"

enum { COOKIE = 0x626f7567 };

static struct bo_kernel_action fallback_before; /* the previous handler */
static _Atomic uint32_t is_open;

BO_BARE static void handle_fallback(int signo, siginfo_t *info, void *context)
{
    struct bo_thread *t = bo_self;
    if (info->si_code != SI_QUEUE || info->si_value.sival_int != COOKIE) {
        if (bo_action_catches(&fallback_before))
            fallback_before.handler(signo, info, context);
        return;
    }
    int saved = errno;
    uint64_t w = t ? bo_load_seq(&t->t.word) : 0;
    bool on_top;
    if ((w & BO_IN) && (w & bo_foreign_due_bit(t)) && bo_arch_where(context, &on_top) == BO_BEFORE)
        bo_arch_cancel(context);
    else if ((w & BO_IN) && (w & bo_foreign_due_bit(t)))
        bo_arch_woken(context, BO_EWOKEN);
    for (struct bo_libc_wait *wait = t ? t->call.libc_wait : NULL; wait; wait = wait->outer)
        wait->until = (struct timespec){0, 0};
    if ((w & BO_SUMMONED) && (w & BO_CLOSABLE) && !(w & BO_IN) && !bo_puts_off(0))
        bo_ladder_summoned(t, context);
    errno = saved;
}

/* Installs the handler with the flags and the restorer of the wake signal's action. */
static void install_fallback(void)
{
    struct bo_kernel_action action, old;
    if (bo_swap_seq(&is_open, 1))
        return;
    bo_kernel_sigaction(bo_wake_signo, NULL, &action);
    action.handler = handle_fallback;
    action.mask = ~(uint64_t)0;
    if (bo_kernel_sigaction(BO_FALLBACK_SIGNAL, &action, &old) != 0) {
        bo_store_seq(&is_open, 0);
        return;
    }
    fallback_before = old;
}

void bo_fallback_open(void)
{
    struct bo_kernel_action now;
    if (bo_kernel_sigaction(BO_FALLBACK_SIGNAL, NULL, &now) == 0 && now.handler != handle_fallback)
        bo_store_seq(&is_open, 0);
    install_fallback();
}

bool bo_fallback_is_open(void)
{
    return bo_load_relaxed(&is_open);
}

bool bo_fallback_send(const struct bo_thread *t)
{
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = BO_FALLBACK_SIGNAL;
    info.si_code = SI_QUEUE;
    info.si_value.sival_int = COOKIE;
    pid_t pid = bo_load_relaxed(&bo_pid), tid = bo_load_relaxed(&t->tid);
    return bo_raw4(SYS_rt_tgsigqueueinfo, pid, tid, BO_FALLBACK_SIGNAL, (long)&info) == 0;
}

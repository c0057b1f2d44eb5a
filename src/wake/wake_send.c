/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "wake/wake_send.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include "base/raw.h"
#include "state/current.h"

enum { COOKIE = 0x77616b65 };

int bo_wake_signo;
static _Atomic uint32_t plain_sends; /* some wakes are sent by tgkill(), without bough's mark */

/* Sends the signal with bough's mark in its siginfo, because the program may use SIGURG as well; without the mark if a
 * sandbox forbids rt_tgsigqueueinfo(). */
BO_BARE long bo_wake_send_signal(pid_t tid)
{
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = bo_wake_signo;
    info.si_code = SI_QUEUE;
    info.si_value.sival_int = COOKIE;
    pid_t pid = bo_load_relaxed(&bo_pid);
    long r = bo_raw4(SYS_rt_tgsigqueueinfo, pid, tid, bo_wake_signo, (long)&info);
    if (r == 0 || r == -EAGAIN || r == -ESRCH)
        return r;
    bo_store_relaxed(&plain_sends, 1);
    return bo_raw3(SYS_tgkill, pid, tid, bo_wake_signo);
}

BO_BARE enum bo_sender bo_wake_sent_by(const siginfo_t *info)
{
    if (info->si_code == SI_QUEUE && info->si_value.sival_int == COOKIE)
        return BO_SENT_BY_BOUGH;
    if (info->si_code == SI_TKILL && info->si_pid == bo_load_relaxed(&bo_pid) && bo_load_relaxed(&plain_sends))
        return BO_SENT_BY_UNKNOWN;
    return info->si_code == SI_USER && info->si_pid == 0 ? BO_SENT_BY_UNKNOWN : BO_SENT_BY_OTHERS;
}

BO_BARE void bo_wake_send_to_self(struct bo_thread *t)
{
    bo_word_set(&t->t.word, BO_NOTE, BO_BY_TO_SELF);
    bo_store_relaxed(&t->call.below_handler, 1);
    if (bo_wake_send_signal(bo_load_relaxed(&t->tid)) != 0)
        bo_store_seq(&t->t.unsent, 1);
}

int bo_wake_send_unblock(void)
{
    uint64_t mask = bo_wake_bit(), old = 0;
    bo_raw4(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&mask, (long)&old, sizeof mask);
    return (old & mask) != 0;
}

/* NOTE is cleared in a step that sees no sender. Each signal sent before that step has been delivered at the end of the
 * next system call. */
void bo_wake_send_drain(struct bo_thread *t)
{
    uint64_t mask = bo_wake_bit(), w;
    if (bo_raw0(SYS_getpid) != bo_load_relaxed(&bo_pid))
        return; /* the child of a vfork(): the wake is for its parent */
    do {
        bo_word_await_senders(&t->t.word);
        w = bo_load_seq(&t->t.word);
    } while ((w & BO_SENDERS) || !bo_word_step(&t->t.word, &w, w & ~(uint64_t)BO_NOTE, BO_BY_LET_IN));
    if (!bo_wake_send_unblock())
        return;
    /* If the program itself blocks the signal, it is blocked again. */
    bo_store_relaxed(&t->t.blocks_wake, 1);
    bo_raw4(SYS_rt_sigprocmask, SIG_BLOCK, (long)&mask, 0, sizeof mask);
}

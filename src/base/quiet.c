/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "base/quiet.h"
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include "base/raw.h"

static uint64_t bit_of(int signo)
{
    return (uint64_t)1 << (signo - 1);
}

void bo_quiet_begin(struct bo_quiet *q)
{
    uint64_t mask = bit_of(SIGPIPE) | bit_of(SIGTTOU) | bit_of(SIGXFSZ);
    q->waited = 0;
    bo_raw4(SYS_rt_sigprocmask, SIG_BLOCK, (long)&mask, (long)&q->mask, sizeof mask);
    bo_raw2(SYS_rt_sigpending, (long)&q->waited, sizeof q->waited);
}

/* A signal that a failed write has raised is pending for this thread, and is removed here. */
void bo_quiet_end(const struct bo_quiet *q, int error)
{
    static const struct timespec at_once;
    uint64_t raised = error == EPIPE ? bit_of(SIGPIPE) : error == EFBIG ? bit_of(SIGXFSZ) : 0;
    if (raised & ~q->waited)
        bo_raw4(SYS_rt_sigtimedwait, (long)&raised, 0, (long)&at_once, sizeof raised);
    bo_raw4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&q->mask, 0, sizeof q->mask);
}

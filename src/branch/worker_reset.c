/* SPDX-License-Identifier: MIT */
/* The state that a worker resets between two children: docs/decisions.md has the list. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include "base/hook.h"
#include "base/raw.h"
#include "branch/worker.h"

/* Tests the rounding mode, without libm: if a child has changed it and not restored it, the thread ends. */
static bool rounds_oddly(void)
{
    volatile float one = 1, little = 1e-30f;
    return one + little != one || one - little != one;
}

/*
 * The end of the range in which to look for keys. In glibc a new key is the lowest free key; so the key that this
 * function creates shows how many there are, except for keys above a gap, for which there is a margin. Testing all
 * 1,024 keys takes as long as handing a child over.
 */
static pthread_key_t keys_end(void)
{
    enum { MARGIN = 64 };
    static _Atomic pthread_key_t highest;
    pthread_key_t key;
    if (pthread_key_create(&key, NULL) != 0)
        return PTHREAD_KEYS_MAX;
    pthread_key_delete(key);
    pthread_key_t known = bo_load_relaxed(&highest);
    while (key > known && !bo_cas_seq(&highest, &known, key))
        ;
    known = (key > known ? key : known) + MARGIN;
    return known < PTHREAD_KEYS_MAX ? known : PTHREAD_KEYS_MAX;
}

/* Only libc can run a key's destructor, at the thread's end. */
static bool holds_keys(void)
{
    pthread_key_t end = keys_end();
    for (pthread_key_t key = 0; key < end; key++)
        if (pthread_getspecific(key))
            return true;
    return false;
}

/* All signals except those from 32 to SIGRTMIN, which libc reserves: for cancellation, and for changing the process's
 * ids, for which each thread has to answer a signal. glibc reserves two signals, musl three. */
static uint64_t all_signals(void)
{
    uint64_t libcs = ((uint64_t)1 << (SIGRTMIN - 32)) - 1;
    return ~(libcs << 31);
}

void bo_worker_reset_mask(void)
{
    uint64_t all = all_signals();
    bo_raw4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, 0, sizeof all);
}

/* A signal that is pending for this thread, because the child had blocked it, would be delivered to the next child. */
static bool signals_wait(void)
{
    uint64_t pending = 0;
    bo_raw2(SYS_rt_sigpending, (long)&pending, sizeof pending);
    return pending != 0;
}

/* A pending cancellation takes effect here: the thread ends (unwound()). */
void bo_worker_reset_cancellation(void)
{
    pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    pthread_testcancel();
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
}

static void reset_stack(void)
{
    stack_t now, none = {.ss_flags = SS_DISABLE};
    if (sigaltstack(NULL, &now) == 0 && !(now.ss_flags & SS_DISABLE))
        sigaltstack(&none, NULL);
}

static void reset_name(void)
{
    char name[16] = "";
    prctl(PR_GET_NAME, name);
    if (strcmp(name, BO_WORKER_NAME) != 0)
        prctl(PR_SET_NAME, BO_WORKER_NAME);
}

static void reset_locale(void)
{
    if (uselocale((locale_t)0) != LC_GLOBAL_LOCALE)
        uselocale(LC_GLOBAL_LOCALE);
}

/* `again`: this thread is to run another child. False: this thread can't be used again, or its keys' destructors have
 * to run before its branch ends. */
bool bo_worker_reset_after_child(struct bo_worker *w, bool again)
{
    if (w->fresh || holds_keys())
        return false;
    if (!again)
        return true;
    BO_HOOK(worker_kept);
    if (signals_wait() || rounds_oddly())
        return false;
    reset_stack();
    reset_name();
    reset_locale();
    errno = 0;
    return true;
}

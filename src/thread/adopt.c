/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "thread/adopt.h"
#include <bough/branch.h>
#include <bough/interrupt.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/hook.h"
#include "base/mask.h"
#include "base/raw.h"
#include "state/generation.h"
#include "state/log.h"
#include "thread/fork.h"
#include "thread/level.h"
#include "thread/region.h"
#include "thread/stranger.h"
#include "trace/recorder.h"
#include "upcalls.h"
#include "wake/frames.h"
#include "wake/last_thread.h"
#include "wake/ticker.h"
#include "wake/wake_send.h"
#include "wake/wake_signal.h"

pthread_key_t bo_at_thread_end;
static int init_error;
static _Atomic pid_t setting_up; /* the process whose thread is setting the library up */

/* ---- adoption ---------------------------------------------------------------------------------------- */

void bo_self_find_stack(struct bo_thread *t)
{
    pthread_attr_t attributes;
    void *low;
    size_t size;
    if (t->stack.high || pthread_getattr_np(pthread_self(), &attributes) != 0)
        return;
    if (pthread_attr_getstack(&attributes, &low, &size) == 0) {
        t->stack.low = (uintptr_t)low;
        t->stack.high = (uintptr_t)low + size;
    }
    pthread_attr_destroy(&attributes);
}

/*
 * A thread that can be woken needs the ticker, which uses the fallback signal for a thread that blocks the wake signal
 * later, and repeats the wake on machines without a window (rule 13). If signals are blocked, this may be a signal
 * handler, which must not start a thread: then the next adopted thread starts the ticker, except without a window,
 * where no wake works without the ticker.
 */
static void start_ticker(uint64_t blocked)
{
    int saved = errno;
    if (!blocked || !BO_ARCH_WINDOW)
        bo_ticker_need(); /* after a failure the rest of the library works */
    errno = saved;
}

void bo_begin_adopted(struct bo_thread *t)
{
    t->worker = NULL;
    t->child = NULL;
    bo_level_reset(t, false, false);
}

static struct bo_thread *adopt(const char *name)
{
    struct bo_thread *made = bo_stranger_take(), *t = made ? made : bo_thread_new();
    if (!t)
        return NULL;
    bo_bind(t);
    if (!made || name)
        bo_set_name(&t->t, name);
    if (!made)
        bo_begin_adopted(t);
    pthread_setspecific(bo_at_thread_end, t);
    if (!made) {
        BO_HOOK(adopts_itself);
        bo_publish(t, BO_ROOT, 0);
        bo_stranger_merge(t);
    }
    bo_trace_thread_begin(&(struct bo_trace_thread){.handle = bo_thread_handle(t), .name = t->t.name}, false);
    if (bo_is_main_thread(t))
        bo_last_thread_main_known(true);
    return t;
}

/* All signals are blocked, because a call in a signal handler would adopt the thread a second time. */
struct bo_thread *bo_adopt(const char *name)
{
    if (bo_self)
        return bo_self;
    if (bo_init() != 0)
        return NULL;
    uint64_t mask = bo_signals_off();
    /* This changes no signal, but runs handlers that the thread sanitizer has deferred. */
    pthread_sigmask(SIG_BLOCK, NULL, NULL);
    bool known = bo_self != NULL;
    struct bo_thread *t = known ? bo_self : adopt(name);
    bo_signals_on(mask);
    if (known || !t)
        return t;
    bo_wake_send_unblock();
    start_ticker(mask);    /* waits for the ticker; the thread can be posted to already */
    bo_level_recompute(t); /* the root may be marked */
    return t;
}

static void rename_thread(struct bo_thread *t, const char *name)
{
    bo_set_name(&t->t, name);
    bo_trace_thread_name(bo_thread_handle(t), t->t.name);
}

bough_thread *bough_adopt(const char *name)
{
    struct bo_thread *t = bo_self;
    if (t)
        rename_thread(t, name);
    else
        t = bo_adopt(name);
    if (!t)
        return NULL;
    bo_self_find_stack(t);
    return (bough_thread *)(uintptr_t)bo_thread_handle(t);
}

bough_thread *bough_adopt_with(const struct bough_child_options *options)
{
    static const struct bough_child_options plain;
    const struct bough_child_options *o = options ? options : &plain;
    if (bo_self)
        return errno = EEXIST, NULL;
    if (o->stack || o->fresh)
        return errno = EINVAL, NULL;
    struct bo_thread *t = bo_adopt(o->name);
    if (!t)
        return NULL;
    bo_self_find_stack(t);
    t->disabled = o->disabled != 0;
    t->open.foreign = t->call.foreign_from_start = o->foreign != 0;
    bo_level_set(t);
    return (bough_thread *)(uintptr_t)bo_thread_handle(t);
}

bough_thread *bough_self(void)
{
    struct bo_thread *t = bo_self_or_adopt();
    return t ? (bough_thread *)(uintptr_t)bo_thread_handle(t) : NULL;
}

int bough_set_name(const char *name)
{
    struct bo_thread *t = bo_self_or_adopt();
    if (!t)
        return -1;
    char kernel[16];
    rename_thread(t, name);
    snprintf(kernel, sizeof kernel, "%.15s", t->t.name);
    pthread_setname_np(pthread_self(), kernel);
    return 0;
}

/* ---- init -------------------------------------------------------------------------------------------- */

/* If the recording can't be made, the program continues without it. */
static void record_by_environment(void)
{
    char why[1024];
    if (bo_trace_begin_by_environment(why, sizeof why) != 0)
        bo_report("%s", why);
    else if (bo_tracing())
        bo_switch_recording(true);
}

/* Installs handlers and keys, which stay when a forked child has no memory for an arena. */
static int install_library(void)
{
    if (bo_wake_signal_init() != 0)
        return errno;
    int error = pthread_key_create(&bo_at_thread_end, bo_thread_ends);
    return error ? error : bo_fork_init();
}

static int init(void)
{
    static bool installed;
    bo_store_relaxed(&bo_pid, getpid());
    if (bo_arena_init() != 0)
        return errno;
    if (installed)
        return bo_fork_catch_up(), 0;
    installed = true;
    int error = install_library();
    if (!error)
        record_by_environment();
    return error;
}

/* There is no lock, because a forked child might inherit it held, without an owner. A thread that calls this function
 * while another thread is in it has to try again. */
static int set_up(void)
{
    pid_t none = bo_load_seq(&setting_up), here = (pid_t)bo_raw0(SYS_getpid);
    if (none == here || !bo_cas_seq(&setting_up, &none, here))
        return ENOMEM;
    int error = bo_arena.head ? init_error : (init_error = init());
    bo_store_seq(&setting_up, 0);
    return error;
}

/* Initialises at load, because a later first use may be in a signal handler. Each use tries again until it succeeds. */
__attribute__((constructor)) static void init_at_load(void)
{
    if (!bo_arena.head)
        set_up();
}

int bo_init(void)
{
    int error = bo_likely(bo_arena.head != NULL) ? init_error : set_up();
    return error ? (errno = error, -1) : 0;
}

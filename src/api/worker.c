/* SPDX-License-Identifier: MIT */
/*
 * Workers: OS threads that run one child after another. A parked one takes a child over in a tenth of the
 * time that pthread_create and pthread_join need.
 *
 *      bo_worker_get --> (parked) --bo_worker_start--> runs the child --> sheds --> parked, or ends
 *
 * Between two children a worker sheds what the first one may have left (docs/decisions.md has the list).
 * What can't be put back, or whose destructors only libc can run (pthread keys), ends the thread.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "api/branch.h"
#include "base/clock.h"
#include "base/raw.h"
#include "core/deliver.h"
#include "core/report.h"
#include "core/self.h"

enum { PARKED, WORK, END };
enum { MOST_IDLE = 64 };
#define IDLE_FOR BO_SEC(10)

static struct bo_lock pool_lock;
static struct bo_worker pool = {.next = &pool, .prev = &pool}; /* parked ones, the latest first */
static unsigned idle;

/* ---- the pool ------------------------------------------------------------------------------------------ */

/* The caller holds the lock. */
static void unlink_worker(struct bo_worker *w)
{
    w->next->prev = w->prev;
    w->prev->next = w->next;
    w->next = w->prev = NULL;
    idle--;
}

static bool park(struct bo_worker *w)
{
    bo_lock(&pool_lock);
    bool room = idle < MOST_IDLE;
    if (room) {
        w->next = pool.next;
        w->prev = &pool;
        w->next->prev = w->prev->next = w;
        idle++;
    }
    bo_unlock(&pool_lock);
    return room;
}

static struct bo_worker *take_parked(void)
{
    bo_lock(&pool_lock);
    struct bo_worker *w = pool.next == &pool ? NULL : pool.next;
    if (w)
        unlink_worker(w);
    bo_unlock(&pool_lock);
    return w;
}

/* Nobody has taken it meanwhile? Then it ends. */
static bool leave_pool(struct bo_worker *w)
{
    bo_lock(&pool_lock);
    bool parked = w->next != NULL;
    if (parked)
        unlink_worker(w);
    bo_unlock(&pool_lock);
    return parked;
}

void bo_workers_after_fork(void)
{
    bo_store_relaxed(&pool_lock.state, 0);
    pool.next = pool.prev = &pool;
    idle = 0;
}

/* ---- shedding ------------------------------------------------------------------------------------------ */

/* What a thread of libc's making has, taken once from the first worker. */
struct origin {
    cpu_set_t affinity;
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } scheduling;
};

static void look_at_origin(struct origin *o)
{
    memset(o, 0, sizeof *o);
    bo_raw3(SYS_sched_getaffinity, 0, sizeof o->affinity, (long)&o->affinity);
    bo_raw4(SYS_sched_getattr, 0, (long)&o->scheduling, sizeof o->scheduling, 0);
}

/* A key's destructor can only be run by libc, at the thread's end. */
static bool holds_keys(void)
{
    for (pthread_key_t key = 0; key < PTHREAD_KEYS_MAX; key++)
        if (pthread_getspecific(key))
            return true;
    return false;
}

static void shed_mask(struct bo_worker *w)
{
    bo_raw4(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&w->mask, sizeof w->mask);
}

static void shed_stack(void)
{
    stack_t now, none = {.ss_flags = SS_DISABLE};
    if (sigaltstack(NULL, &now) == 0 && !(now.ss_flags & SS_DISABLE))
        sigaltstack(&none, NULL);
}

static void shed_name(struct bo_worker *w)
{
    if (w->slot->renamed)
        pthread_setname_np(pthread_self(), "bough-worker");
    w->slot->renamed = 0;
}

static void shed_locale(void)
{
    if (uselocale((locale_t)0) != LC_GLOBAL_LOCALE)
        uselocale(LC_GLOBAL_LOCALE);
}

/* False: this thread can't be used again. */
static bool shed(struct bo_worker *w, const struct origin *was)
{
    struct origin now;
    look_at_origin(&now);
    if (w->fresh || memcmp(&now, was, sizeof now) != 0 || holds_keys())
        return false;
    shed_mask(w);
    shed_stack();
    shed_name(w);
    shed_locale();
    errno = 0;
    return true;
}

/* ---- a worker's thread --------------------------------------------------------------------------------- */

static void take_mask(struct bo_worker *w, uint64_t mask)
{
    mask &= ~((uint64_t)1 << (bo_wake_signal() - 1));
    if (mask == w->mask)
        return;
    bo_raw4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, 0, sizeof mask);
    w->mask = mask;
}

static void take_name(struct bo_worker *w, const struct bo_child *child)
{
    char kernel[16];
    if (!child->name[0])
        return;
    snprintf(kernel, sizeof kernel, "%.15s", child->name);
    pthread_setname_np(pthread_self(), kernel);
    w->slot->renamed = 1;
}

/* This thread ends for good: whoever ends the branch waits for it, so that the destructors of its keys have
 * run by then. There is at most one such thread in a branch; the next one waits for the one before. */
static void become_leaver(struct bo_worker *w, struct bo_family *f)
{
    pthread_t before = f->leaver;
    bo_lock(&f->lock);
    bool had = f->has_leaver;
    before = f->leaver;
    f->leaver = w->thread;
    f->has_leaver = true;
    bo_unlock(&f->lock);
    if (had)
        pthread_join(before, NULL);
}

static void dispose(struct bo_worker *w)
{
    bo_unbind(w->slot);
    free(w);
}

/* One child. False if the thread has to end; then it has told the branch already. */
static bool serve(struct bo_worker *w, const struct origin *was)
{
    struct bo_child *child = w->child;
    struct bo_family *family = child->family;
    uint64_t branch = child->branch;
    take_mask(w, child->mask);
    take_name(w, child);
    bo_child_run(child);
    if (bo_unlikely(w->orphan))
        exit(EXIT_SUCCESS);
    w->child = NULL;
    bool clean = shed(w, was);
    if (!clean)
        become_leaver(w, family);
    bo_store_relaxed(&w->go, PARKED);
    bool parked = clean && park(w);
    struct bo_thread *slot = w->slot;
    if (clean && !parked)
        pthread_detach(w->thread);
    bo_wake_joiners(slot); /* after parking: whoever adds next finds this worker */
    bo_child_gone(branch);
    return parked;
}

static uint32_t wait_for_work(struct bo_worker *w)
{
    uint32_t go;
    while ((go = bo_load_acquire(&w->go)) == PARKED) {
        int64_t until = bo_clock() + IDLE_FOR;
        bo_futex_sleep(&w->go, PARKED, until);
        if (bo_clock() >= until && leave_pool(w)) {
            pthread_detach(w->thread);
            return END;
        }
    }
    return go;
}

/* Left by pthread_exit() or pthread_cancel(): the child is accounted for, the thread is libc's to end. */
static void unwound(void *argument)
{
    struct bo_worker *w = argument;
    struct bo_child *child = w->child;
    if (child) {
        struct bo_family *family = child->family;
        uint64_t branch = child->branch;
        bo_child_finish(child, 0, true);
        become_leaver(w, family);
        bo_wake_joiners(w->slot);
        dispose(w);
        bo_child_gone(branch);
    } else {
        dispose(w);
    }
}

/* Near enough, and without pthread_getattr_np(), whose malloc would cost each thread a cache of its own. */
static void note_stack(const struct bo_worker *w)
{
    w->slot->stack_high = (uintptr_t)__builtin_frame_address(0);
    w->slot->stack_low = w->slot->stack_high - w->stack;
}

static void *work(void *argument)
{
    struct bo_worker *w = argument;
    struct origin was;
    pthread_setname_np(pthread_self(), "bough-worker");
    bo_bind(w->slot);
    note_stack(w);
    look_at_origin(&was);
    bo_raw4(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&w->mask, sizeof w->mask);
    pthread_cleanup_push(unwound, w);
    while (wait_for_work(w) == WORK && serve(w, &was)) {
    }
    pthread_cleanup_pop(0);
    dispose(w);
    return NULL;
}

/* ---- getting one ---------------------------------------------------------------------------------------- */

static int create(struct bo_worker *w, size_t stack)
{
    pthread_attr_t attributes;
    sigset_t all, old;
    int error = pthread_attr_init(&attributes);
    if (error)
        return error;
    if (stack)
        error = pthread_attr_setstacksize(&attributes, stack < (size_t)PTHREAD_STACK_MIN ? (size_t)PTHREAD_STACK_MIN : stack);
    pthread_attr_getstacksize(&attributes, &w->stack);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* no handler of the program before it has its child's mask */
    if (!error)
        error = pthread_create(&w->thread, &attributes, work, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

static struct bo_worker *worker_new(const struct bough_child_options *o)
{
    struct bo_worker *w = calloc(1, sizeof *w);
    if (!w)
        return errno = ENOMEM, NULL;
    w->fresh = o->fresh || o->stack;
    w->slot = bo_thread_new();
    int error = w->slot ? create(w, o->stack) : errno;
    if (!error)
        return w;
    if (w->slot)
        bo_thread_free(w->slot);
    free(w);
    return errno = error, NULL;
}

struct bo_worker *bo_worker_get(const struct bough_child_options *options)
{
    struct bo_worker *w = options->fresh || options->stack ? NULL : take_parked();
    return w ? w : worker_new(options);
}

void bo_worker_put(struct bo_worker *w)
{
    if (!w->fresh && park(w))
        return;
    pthread_detach(w->thread);
    bo_store_release(&w->go, END);
    bo_futex_wake(&w->go, 1);
}

void bo_worker_start(struct bo_worker *w, struct bo_child *child)
{
    w->child = child;
    bo_store_release(&w->go, WORK);
    bo_futex_wake(&w->go, 1);
}

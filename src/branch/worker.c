/* SPDX-License-Identifier: MIT */
/*
 * Workers: OS threads that run one child after another. A parked worker starts in a tenth of the time of
 * pthread_create().
 *
 *      bo_worker_get --> (parked) --bo_worker_start--> runs the child --> is reset --> parked, or ends
 *
 * Between two children a worker resets what the first one may have changed (docs/decisions.md has the list). If
 * state can't be reset, or needs destructors that only libc can run (pthread keys), the thread ends. A child inherits
 * what a new thread would inherit from its adder: a worker is taken only by an adder with the same affinity and
 * scheduling, and takes over the adder's signal mask. Without __EXCEPTIONS, the handler of pthread_cleanup_push() also
 * runs if there are functions without unwind tables on the stack.
 */
#define _GNU_SOURCE
#undef __EXCEPTIONS
#include "branch/worker.h"
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "arch/frame.h"
#include "base/clock.h"
#include "base/raw.h"
#include "branch/end.h"
#include "branch/branch_state.h"
#include "state/arena.h"
#include "state/current.h"
#include "state/library_threads.h"
#include "state/undo.h"
#include "thread/retire.h"
#include "upcalls.h"
#include "wake/wake_send.h"

enum { PARKED, WORK, END, ASLEEP /* parked, and has to be woken */ };
enum { MOST_IDLE = 64 };
#define IDLE_FOR BO_SEC(10)

/* The attributes that a thread inherits from its creator besides the signal mask. */
struct traits {
    uint64_t affinity[16];
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } scheduling;
};

/* Most workers of a process have the same traits, and share one object. */
struct bo_sched_attrs {
    struct bo_sched_attrs *next;
    size_t workers;
    struct traits traits;
};

static struct bo_lock pool_lock;                                                    /* of these three variables */
static struct bo_worker worker_pool = {.next = &worker_pool, .prev = &worker_pool}; /* parked, the latest first */
static _Atomic unsigned workers_idle;
static struct bo_sched_attrs *origins;

/* ---- the pool ------------------------------------------------------------------------------------------ */

/* The caller holds the lock. */
static void unlink_worker(struct bo_worker *w)
{
    w->next->prev = w->prev;
    w->prev->next = w->next;
    w->next = w->prev = NULL;
    workers_idle--;
    bo_library_thread_end();
}

/* The result may be outdated at once, so park() checks again. */
static bool pool_has_room(void)
{
    return bo_load_relaxed(&workers_idle) < MOST_IDLE;
}

static bool park(struct bo_worker *w)
{
    bo_lock(&pool_lock);
    bool room = pool_has_room();
    if (room) {
        w->next = worker_pool.next;
        w->prev = &worker_pool;
        w->next->prev = w->prev->next = w;
        workers_idle++;
        bo_library_thread_begin();
    }
    bo_unlock(&pool_lock);
    return room;
}

/* Takes a parked worker with the traits that a new thread of the caller would have. */
static struct bo_worker *take_parked(const struct traits *traits)
{
    bo_lock(&pool_lock);
    struct bo_worker *w = worker_pool.next;
    while (w != &worker_pool && memcmp(&w->origin->traits, traits, sizeof *traits) != 0)
        w = w->next;
    if (w != &worker_pool)
        unlink_worker(w);
    bo_unlock(&pool_lock);
    return w != &worker_pool ? w : NULL;
}

/* Returns whether the worker was still in the pool; if so, its thread has to end. */
static bool leave_pool(struct bo_worker *w)
{
    bo_lock(&pool_lock);
    bool parked = w->next != NULL;
    if (parked)
        unlink_worker(w);
    bo_unlock(&pool_lock);
    return parked;
}

/* ---- origins ------------------------------------------------------------------------------------------- */

static void look_at_traits(struct traits *t)
{
    memset(t, 0, sizeof *t);
    bo_raw3(SYS_sched_getaffinity, 0, sizeof t->affinity, (long)t->affinity);
    bo_raw4(SYS_sched_getattr, 0, (long)&t->scheduling, sizeof t->scheduling, 0);
}

/* The caller holds the lock. NULL: there is no memory. */
static struct bo_sched_attrs *find_or_make(const struct traits *traits)
{
    struct bo_sched_attrs *o = origins;
    while (o && memcmp(&o->traits, traits, sizeof *traits) != 0)
        o = o->next;
    if (o || !(o = malloc(sizeof *o)))
        return o;
    *o = (struct bo_sched_attrs){.next = origins, .traits = *traits};
    return origins = o;
}

static struct bo_sched_attrs *use_origin(const struct traits *traits)
{
    bo_lock(&pool_lock);
    struct bo_sched_attrs *o = find_or_make(traits);
    if (o)
        o->workers++;
    bo_unlock(&pool_lock);
    return o;
}

static void drop_origin(struct bo_sched_attrs *o)
{
    struct bo_sched_attrs **link = &origins;
    bo_lock(&pool_lock);
    bool last = --o->workers == 0;
    while (last && *link && *link != o) /* in a forked child, an object from before the fork is not in the list */
        link = &(*link)->next;
    if (last && *link)
        *link = o->next;
    bo_unlock(&pool_lock);
    if (last)
        free(o);
}

static bool origin_changed(const struct bo_worker *w)
{
    struct traits now;
    look_at_traits(&now);
    return memcmp(&now, &w->origin->traits, sizeof now) != 0;
}

void bo_workers_after_fork(struct bo_worker *forked)
{
    bo_store_relaxed(&pool_lock.state, 0);
    worker_pool.next = worker_pool.prev = &worker_pool;
    workers_idle = 0;
    origins = NULL;
    if (forked)
        forked->orphan = true;
}

/* ---- a worker's thread --------------------------------------------------------------------------------- */

static void take_mask(uint64_t mask)
{
    mask &= ~(bo_wake_bit());
    bo_raw4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, 0, sizeof mask);
}

static void take_thread_name(const struct bo_thread *t)
{
    char kernel[16];
    if (!t->t.name[0])
        return;
    snprintf(kernel, sizeof kernel, "%.15s", t->t.name);
    prctl(PR_SET_NAME, kernel);
}

/* Called when this thread ends: the end of the branch joins the thread, so that the destructors of its keys have run by
 * then. A branch has at most one such thread, its leaver; the next leaver joins the previous one. */
static void become_leaver(struct bo_worker *w)
{
    struct bo_branch_state *state = w->state;
    bo_lock(&state->lock);
    bool had = state->has_leaver;
    pthread_t before = state->leaver;
    state->leaver = w->thread;
    state->has_leaver = true;
    bo_unlock(&state->lock);
    if (had)
        pthread_join(before, NULL);
}

static void dispose(struct bo_worker *w)
{
    bo_unbind(w->slot);
    drop_origin(w->origin);
    free(w);
}

static void begin_child(struct bo_worker *w)
{
    w->state = w->child->state;
    w->branch = w->child->branch;
    w->begun = w->finished = false;
    bo_busy = 0;
    bo_undo = NULL;
    take_thread_name(w->slot);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    pthread_testcancel(); /* a cancellation that came while the thread was parked: see unwound() */
    w->begun = true;
    take_mask(w->child->mask);
}

/* Runs one child. Returns false if the thread has to end. The branch has been notified in either case. */
static bool serve(struct bo_worker *w)
{
    begin_child(w);
    bo_child_run(w->child);
    w->finished = true;
    if (bo_unlikely(w->orphan))
        exit(EXIT_SUCCESS);
    bo_worker_reset_cancellation();
    uint64_t branch = w->branch;
    struct bo_thread *slot = w->slot;
    bool again = pool_has_room(), clean = bo_worker_reset_after_child(w, again) && !(again && origin_changed(w));
    if (!clean)
        become_leaver(w);
    w->child = NULL;
    bo_store_relaxed(&w->go, PARKED);
    bool parked = clean && again && park(w);
    if (clean && !parked)
        pthread_detach(w->thread);
    bo_wake_joiners(slot); /* called after parking, so that the next bough_add() finds this worker */
    bo_child_gone(branch);
    return parked;
}

/* Usually the parked worker is still yielding, so that no system call is needed to wake it. */
static void set_going(struct bo_worker *w, uint32_t go)
{
    if (bo_swap_seq(&w->go, go) == ASLEEP)
        bo_futex_wake(&w->go, 1);
}

static uint32_t wait_for_work(struct bo_worker *w)
{
    uint32_t go = PARKED;
    BO_YIELD_UNTIL(bo_load_acquire(&w->go) != PARKED);
    bo_cas_seq(&w->go, &go, ASLEEP);
    while ((go = bo_load_acquire(&w->go)) == ASLEEP) {
        if (bo_futex_sleep(&w->go, ASLEEP, bo_clock() + IDLE_FOR) == -ETIMEDOUT && leave_pool(w)) {
            pthread_detach(w->thread);
            return END;
        }
    }
    return go;
}

static void *work_on_children(void *argument);

static int create(struct bo_worker *w, pthread_t *thread, size_t stack)
{
    pthread_attr_t attributes;
    sigset_t all, old;
    int error = pthread_attr_init(&attributes);
    if (error)
        return error;
    if (stack)
        error = pthread_attr_setstacksize(&attributes,
                                          stack < (size_t)PTHREAD_STACK_MIN ? (size_t)PTHREAD_STACK_MIN : stack);
    pthread_attr_getstacksize(&attributes, &w->stack);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* no handler runs on the new thread before it has its child's mask */
    if (!error)
        error = pthread_create(thread, &attributes, work_on_children, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

/* Called if the thread was cancelled before its child has begun: the cancellation was meant for the previous child,
 * whose pthread_t was no longer valid. The thread ends, and a new thread takes over the worker and the child. */
static bool replaced(struct bo_worker *w)
{
    pthread_t other; /* not w->thread: the worker may have been freed before pthread_create() returns */
    bo_turn_away();
    w->moved = true;
    if (create(w, &other, w->fresh ? w->stack : 0) != 0) {
        w->moved = false;
        bo_bind(w->slot);
        return false;
    }
    pthread_detach(pthread_self());
    return true;
}

/* Runs at pthread_exit() or pthread_cancel(): accounts for the child; then libc ends the thread. */
static void unwound(void *argument)
{
    struct bo_worker *w = argument;
    if (w->child && !w->begun && replaced(w))
        return;
    uint64_t branch = w->branch;
    bool ends_child = w->child;
    if (w->child && !w->finished)
        bo_child_finish(w->child, 0, true);
    if (w->child && w->orphan)
        exit(EXIT_SUCCESS);
    if (ends_child) {
        become_leaver(w);
        bo_wake_joiners(w->slot);
    }
    dispose(w);
    if (ends_child)
        bo_child_gone(branch);
}

/* Stores the stack's approximate bounds. This does not use pthread_getattr_np(), whose malloc() would give each thread
 * a separate malloc cache. */
static void note_stack(const struct bo_worker *w)
{
    w->slot->stack.high = BO_FRAME();
    w->slot->stack.low = w->slot->stack.high - w->stack;
}

static void *work_on_children(void *argument)
{
    struct bo_worker *w = argument;
    prctl(PR_SET_NAME, BO_WORKER_NAME);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    bo_bind(w->slot);
    note_stack(w);
    if (w->moved)
        w->thread = pthread_self();
    w->moved = false;
    pthread_cleanup_push(unwound, w);
    while (wait_for_work(w) == WORK && serve(w)) {
    }
    pthread_cleanup_pop(0);
    dispose(w);
    return NULL;
}

/* ---- getting a worker ----------------------------------------------------------------------------------- */

static struct bo_worker *worker_new(const struct bough_child_options *o, const struct traits *traits)
{
    struct bo_worker *w = calloc(1, sizeof *w);
    if (!w || !(w->origin = use_origin(traits)))
        return free(w), errno = ENOMEM, NULL;
    w->fresh = o->fresh || o->stack;
    w->slot = bo_thread_new();
    int error = w->slot ? create(w, &w->thread, o->stack) : errno;
    if (!error)
        return w;
    if (w->slot)
        bo_thread_free(w->slot);
    drop_origin(w->origin);
    free(w);
    return errno = error, NULL;
}

struct bo_worker *bo_worker_get(const struct bough_child_options *options)
{
    struct traits mine;
    look_at_traits(&mine);
    struct bo_worker *w = options->fresh || options->stack ? NULL : take_parked(&mine);
    return w ? w : worker_new(options, &mine);
}

void bo_worker_put(struct bo_worker *w)
{
    if (!w->fresh && park(w))
        return;
    pthread_detach(w->thread);
    set_going(w, END);
}

void bo_worker_start(struct bo_worker *w, struct bo_child *child)
{
    w->child = child;
    set_going(w, WORK);
}

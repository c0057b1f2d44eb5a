/* SPDX-License-Identifier: MIT */
/*
 * Mutex. A futex word, the owner, and for each thread a list of the mutexes that it holds.
 *
 *                          lock                     lock by a thread that has waited, or waits
 *             FREE ------------------> HELD ------------------------------------> CONTENDED
 *              ^                        |                                            |
 *              +-------- unlock --------+------------- unlock, wakes one ------------+
 *                                       |                                            |
 *           ORPHANED <-- owner ends ----+------------- owner ends, wakes one --------+
 *              |
 *              +-- lock, with EOWNERDEAD --> HELD or CONTENDED
 *
 * No wake-up is lost. A thread sleeps only while the word is CONTENDED, and each step that leaves CONTENDED wakes one
 * sleeper. The woken thread keeps the word CONTENDED for the other sleepers: it takes the mutex as CONTENDED; or, if
 * another thread has taken the mutex first, it makes the word CONTENDED and sleeps again. If it is interrupted in that
 * second sleep, the word is still CONTENDED; if the word has changed meanwhile, the thread that changed it has woken
 * the next sleeper. The extra check in give_mutex_up() is for kernels that report a wake-up as an interrupt.
 *
 * The address of its thread-local list identifies the owner: this address is unique among living threads, costs nothing
 * to get, and is still valid in a forked child, whose thread keeps its mutexes. Only the thread itself sets or clears
 * itself as the owner, so it can test without a race whether it owns the mutex.
 *
 * The destructor of a pthread key, which is set at a thread's first lock, detects the thread's end: so the thread need
 * not be adopted. A child ends before its thread, and clears the key.
 */
#include "sync/mutex.h"
#include <pthread.h>
#include "sync/sync.h"

enum state { FREE, HELD, CONTENDED, ORPHANED };

static BO_TLS struct bough_mutex *held;
static BO_TLS bool watched; /* the key is set */
static pthread_key_t at_thread_end;
static bool have_mutex_key;

static void thread_ends(void *unused)
{
    (void)unused;
    bo_mutex_owner_ended();
}

__attribute__((constructor)) static void prepare_mutexes(void)
{
    have_mutex_key = pthread_key_create(&at_thread_end, thread_ends) == 0;
}

/* If the key could not be created or set, a thread can still hold mutexes, but its end is not detected. */
static void watch(bool yes)
{
    watched = yes;
    if (have_mutex_key)
        pthread_setspecific(at_thread_end, yes ? &held : NULL);
}

static _Atomic uintptr_t *owner_of(const bough_mutex *mutex)
{
    return (_Atomic uintptr_t *)(uintptr_t)&mutex->owner;
}

bool bo_mutex_is_mine(const bough_mutex *mutex)
{
    return bo_load_relaxed(owner_of(mutex)) == (uintptr_t)&held;
}

/* ---- taking and releasing ----------------------------------------------------------------------- */

static void hold(bough_mutex *mutex)
{
    if (bo_unlikely(!watched))
        watch(true);
    bo_store_relaxed(owner_of(mutex), (uintptr_t)&held);
    mutex->next = held;
    mutex->link = &held;
    if (held)
        held->link = &mutex->next;
    held = mutex;
}

static void release_mutex(bough_mutex *mutex, enum state state)
{
    bo_busy_begin();
    *mutex->link = mutex->next;
    if (mutex->next)
        mutex->next->link = mutex->link;
    bo_store_relaxed(owner_of(mutex), 0);
    /* After this step another thread may own the mutex, and free it: the wake-up needs only its address. */
    if (bo_swap_acq_rel(bo_word32(&mutex->state), state) == CONTENDED)
        bo_futex_wake(bo_word32(&mutex->state), 1);
    bo_busy_end();
}

static bool swap(bough_mutex *mutex, enum state from, enum state to)
{
    uint32_t seen = from;
    return bo_cas_acquire(bo_word32(&mutex->state), &seen, to);
}

/* 0 or EOWNERDEAD: the caller holds the mutex, with the word `state`. EBUSY: another thread holds it. */
static int take_mutex(bough_mutex *mutex, enum state state)
{
    bo_busy_begin(); /* a thread that is frozen before it lists the mutex would hold it without being found */
    bool free = swap(mutex, FREE, state), orphaned = !free && swap(mutex, ORPHANED, state);
    if (free || orphaned)
        hold(mutex);
    bo_busy_end();
    return free ? 0 : orphaned ? EOWNERDEAD : EBUSY;
}

/* ---- waiting ------------------------------------------------------------------------------------- */

static int give_mutex_up(bough_mutex *mutex, long reason)
{
    uint32_t state = bo_load_relaxed(bo_word32(&mutex->state));
    if (state == FREE || state == ORPHANED)
        bo_futex_wake(bo_word32(&mutex->state), 1);
    return (int)-reason;
}

typedef long wait_fn(const _Atomic uint32_t *word, uint32_t expected, bough_time deadline);

static long sleep_on(const _Atomic uint32_t *word, uint32_t expected, bough_time unused)
{
    (void)unused;
    bo_futex_sleep(word, expected, BO_FOREVER);
    return 0;
}

static int lock_slow(bough_mutex *mutex, wait_fn *wait, bough_time deadline)
{
    for (long r = 0;; r = wait(bo_word32(&mutex->state), CONTENDED, deadline)) {
        int error = take_mutex(mutex, CONTENDED);
        if (error != EBUSY)
            return error;
        if (r != 0)
            return give_mutex_up(mutex, r);
        /* If this exchange fails, the word has changed, and the wait returns at once. */
        uint32_t seen = HELD;
        bo_cas_acquire(bo_word32(&mutex->state), &seen, CONTENDED);
    }
}

/* ---- the interface --------------------------------------------------------------------------------- */

int bough_mutex_lock(bough_mutex *mutex, bough_time deadline)
{
    if (bough_check() != 0)
        return -1;
    int error = take_mutex(mutex, HELD);
    if (error == EBUSY)
        error = bo_mutex_is_mine(mutex) ? EDEADLK : lock_slow(mutex, bo_sync_wait, deadline);
    return (int)bo_result(-error);
}

int bough_mutex_trylock(bough_mutex *mutex)
{
    return (int)bo_result(-take_mutex(mutex, HELD));
}

int bough_mutex_unlock(bough_mutex *mutex)
{
    if (!bo_mutex_is_mine(mutex))
        return (int)bo_result(-EPERM);
    release_mutex(mutex, FREE);
    return 0;
}

int bo_mutex_relock(bough_mutex *mutex)
{
    return lock_slow(mutex, sleep_on, 0);
}

struct bough_mutex **bo_mutexes_mine(void)
{
    return &held;
}

void bo_mutexes_orphan(struct bough_mutex **list)
{
    while (*list)
        release_mutex(*list, ORPHANED);
}

void bo_mutex_owner_ended(void)
{
    bo_mutexes_orphan(&held);
    if (watched)
        watch(false);
}

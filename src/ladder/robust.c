/* SPDX-License-Identifier: MIT */
#include "ladder/robust.h"
#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include "base/atomic.h"
#include "base/raw.h"

/* ---- libc's part ---------------------------------------------------------------------------------------- */

#ifdef __GLIBC__
enum { ROBUST = 16, INHERITS = 32 };

static int type_of(const pthread_mutex_t *mutex)
{
    return mutex->__data.__kind;
}

static _Atomic uint32_t *word_of_robust(pthread_mutex_t *mutex)
{
    return (_Atomic uint32_t *)(uintptr_t)&mutex->__data.__lock;
}

#if __PTHREAD_MUTEX_HAVE_PREV
/* A link points to the next element's `__next`, as the kernel requires; bit 0 marks priority inheritance. */
static __pthread_list_t *element(__pthread_list_t *link)
{
    uintptr_t at = (uintptr_t)link & ~(uintptr_t)1;
    return (__pthread_list_t *)(at - offsetof(__pthread_list_t, __next));
}

/* Removes the mutex from the holder's list, which the kernel walks at the holder's end. The next holder overwrites the
 * links in the mutex: the walk would stop there, and miss the other mutexes of the list. */
static void unlist(pthread_mutex_t *mutex)
{
    __pthread_list_t *next = mutex->__data.__list.__next, *prev = mutex->__data.__list.__prev;
    if (!next || !prev)
        return; /* the thread was frozen while locking it */
    element(next)->__prev = prev;
    element(prev)->__next = next;
    mutex->__data.__list.__next = mutex->__data.__list.__prev = NULL;
}
#else
static void unlist(pthread_mutex_t *mutex)
{
    (void)mutex;
}
#endif

#elif defined(__linux__) /* musl: type, lock and waiters come first, since its first release */
enum { ROBUST = 4, INHERITS = 8 };

static int type_of(const pthread_mutex_t *mutex)
{
    int type;
    memcpy(&type, mutex, sizeof type);
    return type;
}

static _Atomic uint32_t *word_of_robust(pthread_mutex_t *mutex)
{
    return (_Atomic uint32_t *)(void *)mutex + 1;
}

/* Leaves the mutex in the list, whose head must not change, and looks like an element. */
static void unlist(pthread_mutex_t *mutex)
{
    (void)mutex;
}
#endif

/* ---- the kernel's part ---------------------------------------------------------------------------------- */

int bo_robust_check(const pthread_mutex_t *mutex)
{
    int type = type_of(mutex);
    return !(type & ROBUST) ? EINVAL : type & INHERITS ? ENOTSUP : 0;
}

/* Some libcs wait on the word as on a shared futex, whatever the mutex is; others do not: wake both. */
static void wake_one(_Atomic uint32_t *word)
{
    bo_raw3(SYS_futex, (long)word, FUTEX_WAKE, 1);
    bo_raw3(SYS_futex, (long)word, FUTEX_WAKE_PRIVATE, 1);
}

void bo_robust_abandon(pthread_mutex_t *mutex, pid_t holder)
{
    _Atomic uint32_t *word = word_of_robust(mutex);
    uint32_t seen = bo_load_seq(word);
    if ((seen & FUTEX_TID_MASK) != (uint32_t)holder)
        return;
    unlist(mutex); /* while the holder still owns the mutex: after that the next holder overwrites the links */
    while (!bo_cas_seq(word, &seen, (seen & FUTEX_WAITERS) | FUTEX_OWNER_DIED))
        ;
    if (seen & FUTEX_WAITERS)
        wake_one(word);
}

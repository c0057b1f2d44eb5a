/* SPDX-License-Identifier: MIT */
/*
 * The interpreter ends while other threads still run: daemons, and the library's threads. They can't get the
 * interpreter lock any more, and the thread states of the daemons are freed while these are in their blocking calls. An
 * interrupted call reads the thread state of its thread without the lock (cut.c), so the end waits for reads that have
 * begun, and allows no others after that.
 */
#include "base/base.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SECOND = 1000000000 }; /* ns */

static bool ending;
static int looks;

bool bp_is_ending(void)
{
    return __atomic_load_n(&ending, __ATOMIC_SEQ_CST);
}

/* Sequentially consistent, as in bp_end(): one of the two sees the other's store. */
bool bp_look_begins(void)
{
    __atomic_add_fetch(&looks, 1, __ATOMIC_SEQ_CST);
    if (!bp_is_ending())
        return true;
    bp_look_ends();
    return false;
}

void bp_look_ends(void)
{
    if (__atomic_sub_fetch(&looks, 1, __ATOMIC_SEQ_CST) == 0 && bp_is_ending())
        syscall(SYS_futex, &looks, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* A read takes microseconds and waits for nothing: one that takes a second was stopped by a debugger. This sleeps
 * meanwhile, because the reading thread may have a lower priority. */
void bp_end(void)
{
    __atomic_store_n(&ending, true, __ATOMIC_SEQ_CST);
    bough_time until = bough_now() + SECOND, now;
    for (int seen; (seen = __atomic_load_n(&looks, __ATOMIC_SEQ_CST)) > 0 && (now = bough_now()) < until;) {
        const struct timespec left = {(until - now) / SECOND, (until - now) % SECOND};
        syscall(SYS_futex, &looks, FUTEX_WAIT_PRIVATE, seen, &left, NULL, 0);
    }
}

void bp_looks_after_fork(void)
{
    __atomic_store_n(&looks, 0, __ATOMIC_SEQ_CST);
}

/* SPDX-License-Identifier: MIT */
/*
 * The interpreter can end while daemon threads and the library's threads still run. These threads can't get the GIL any
 * more, and the thread state of a daemon is freed while the daemon is in a blocking call. An interrupted call reads its
 * thread's state without the GIL (cut.c), so bp_end() waits for the reads that have begun, and prevents any others.
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

/* Sequentially consistent, as in bp_end(): either this function sees `ending` set, or bp_end() sees `looks` raised. */
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

/* A read takes microseconds and never blocks. If one takes a second, its thread was stopped, for example by a debugger,
 * and is not waited for. This sleeps and does not spin, because the reading thread may have a lower priority. */
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

/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "wake/last_thread.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "base/atomic.h"
#include "base/clock.h"
#include "base/proc_status.h"
#include "base/raw.h"
#include "state/arena.h"
#include "state/current.h"
#include "state/library_threads.h"
#include "upcalls.h"
#include "wake/ticker.h"

/* OFF: no check. ONCE: one check, and no more if main still exists. ON: checks until the process ends. */
enum { OFF, ONCE, ON };
#define PAUSE BO_MS(500)
#define SOON BO_MS(50)

static _Atomic uint32_t watching;
static _Atomic uint32_t knows_main;

void bo_last_thread_main_known(bool known)
{
    bo_store_seq(&knows_main, known);
}

void bo_last_thread_main_left(void)
{
    bo_store_seq(&knows_main, 0);
    bo_store_seq(&watching, ON);
    bo_ticker_attend();
}

void bo_last_thread_ends(void)
{
    uint32_t off = OFF;
    if (bo_load_seq(&knows_main))
        return;
    bo_cas_seq(&watching, &off, ONCE);
    bo_ticker_attend_by(bo_clock() + SOON); /* not at once: a thread that joins this thread needs the processor now */
}

void bo_last_thread_after_fork(bool main_known)
{
    bo_library_threads_clear();
    bo_store_seq(&watching, OFF);
    bo_store_seq(&knows_main, main_known);
}

/* A main thread that has ended, and exists only as a zombie, has no memory. This is tested without opening a
 * descriptor, which would be visible to the program. */
static bool main_is_gone(void)
{
    char here = 0, there = 0;
    struct iovec to = {&here, 1}, from = {&there, 1};
    return bo_raw6(SYS_process_vm_readv, bo_load_relaxed(&bo_pid), (long)&to, 1, (long)&from, 1, 0) == -ESRCH;
}

static uint32_t threads(void)
{
    char count[32];
    return bo_status_of_process("Threads:", count, sizeof count) ? (uint32_t)strtoul(count, NULL, 10) : 0;
}

int64_t bo_last_thread_tick(void)
{
    uint32_t once = ONCE;
    if (bo_likely(bo_load_seq(&watching) == OFF))
        return BO_FOREVER;
    if (!main_is_gone())
        return bo_cas_seq(&watching, &once, OFF) ? BO_FOREVER : bo_clock() + PAUSE;
    bo_store_seq(&watching, ON);
    uint64_t before = bo_library_threads();
    if (threads() == (uint32_t)before + 1 && bo_library_threads() == before)
        bo_last_one_out();
    return bo_clock() + PAUSE;
}

/* SPDX-License-Identifier: MIT */
#include "core/own.h"
#include <stdlib.h>
#include <string.h>
#include "base/atomic.h"
#include "base/clock.h"
#include "base/raw.h"
#include "core/above.h"
#include "core/ticker.h"

/* OFF: nobody asks. ONCE: one look, and no more of it if main is still there. ON: until the end. */
enum { OFF, ONCE, ON };
#define PAUSE BO_MS(500)

/* Changes in the upper half, threads in the lower one: two equal looks mean that nothing has changed between them. */
#define ONE_CHANGE (UINT64_C(1) << 32)
static _Atomic uint64_t own;
static _Atomic uint32_t watching;
static _Atomic uint32_t knows_main;

void bo_own_begin(void)
{
    bo_add_seq(&own, ONE_CHANGE + 1);
}

void bo_own_end(void)
{
    bo_add_seq(&own, ONE_CHANGE - 1);
}

void bo_own_main_known(bool known)
{
    bo_store_seq(&knows_main, known);
}

void bo_own_main_left(void)
{
    bo_store_seq(&knows_main, 0);
    bo_store_seq(&watching, ON);
    bo_ticker_attend();
}

void bo_own_thread_ends(void)
{
    uint32_t off = OFF;
    if (bo_load_seq(&knows_main))
        return;
    bo_cas_seq(&watching, &off, ONCE);
    bo_ticker_attend();
}

void bo_own_after_fork(bool main_known)
{
    bo_store_seq(&own, 0);
    bo_store_seq(&watching, OFF);
    bo_store_seq(&knows_main, main_known);
}

/* The process's file is main's. */
static bool main_is_gone(const char *status)
{
    const char *state = strstr(status, "State:\t");
    return state && state[7] == 'Z';
}

static uint32_t threads_in(const char *status)
{
    const char *count = strstr(status, "Threads:\t");
    return count ? (uint32_t)strtoul(count + 9, NULL, 10) : 0;
}

int64_t bo_own_tick(void)
{
    char status[4096];
    if (bo_likely(bo_load_seq(&watching) == OFF))
        return BO_FOREVER;
    uint64_t before = bo_load_seq(&own);
    bo_read_file("/proc/self/status", status, sizeof status);
    bool gone = main_is_gone(status);
    if (gone && threads_in(status) == (uint32_t)before + 1 && bo_load_seq(&own) == before)
        bo_last_one_out();
    else if (gone)
        bo_store_seq(&watching, ON);
    uint32_t once = ONCE;
    if (!gone && bo_cas_seq(&watching, &once, OFF))
        return BO_FOREVER;
    return bo_clock() + PAUSE;
}

/* SPDX-License-Identifier: MIT */
#include "state/library_threads.h"
#include "base/atomic.h"

/* The upper half counts changes, the lower half threads: two equal values mean that the count has not changed between
 * the loads. */
#define ONE_CHANGE (UINT64_C(1) << 32)
static _Atomic uint64_t own;

void bo_library_thread_begin(void)
{
    bo_add_seq(&own, ONE_CHANGE + 1);
}

void bo_library_thread_end(void)
{
    bo_add_seq(&own, ONE_CHANGE - 1);
}

uint64_t bo_library_threads(void)
{
    return bo_load_seq(&own);
}

void bo_library_threads_clear(void)
{
    bo_store_seq(&own, 0);
}

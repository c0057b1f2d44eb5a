/* SPDX-License-Identifier: MIT */
#include "thread/recorded.h"
#include <sys/syscall.h>

/* The descriptor is the first argument of most calls that block; these are the others. */
enum bo_trace_argument bo_recorded_argument(long nr, long a, long b, uint64_t *argument)
{
    *argument = (uint64_t)a;
    switch (nr) {
    case SYS_futex:
        return BO_TRACE_ADDRESS;
    case SYS_ppoll:
        *argument = (uint64_t)b;
        return BO_TRACE_COUNT;
    case SYS_pselect6:
        return BO_TRACE_COUNT;
    case SYS_wait4:
    case SYS_msgrcv:
    case SYS_msgsnd:
#ifdef SYS_semop
    case SYS_semop:
#endif
    case SYS_semtimedop:
        return BO_TRACE_ID;
    case SYS_waitid:
        *argument = (uint64_t)b;
        return BO_TRACE_ID;
    case SYS_clock_nanosleep:
    case SYS_nanosleep:
    case SYS_rt_sigtimedwait:
    case SYS_rt_sigsuspend:
#ifdef SYS_pause
    case SYS_pause:
#endif
#ifdef SYS_open
    case SYS_open:
#endif
    case SYS_openat:
    case SYS_openat2:
    case SYS_getrandom:
    case SYS_sync:
        *argument = 0;
        return BO_TRACE_NOTHING;
    default:
        return BO_TRACE_FD;
    }
}

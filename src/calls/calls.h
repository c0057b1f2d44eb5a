/* SPDX-License-Identifier: MIT */
/* The parts that the hand-written calls share. */
#ifndef BO_CALLS_CALLS_H
#define BO_CALLS_CALLS_H

#include <bough/types.h>
#include <fcntl.h>
#include <stdbool.h>
#include "thread/call.h"

/* The size of the kernel's signal mask. libc's sigset_t is larger, for signals that do not exist. */
enum { BO_MASK_SIZE = 8 };

/* The kernel's F_SETLKW, on all machines that bough runs on. On powerpc64 libc gives programs with 64-bit offsets
 * another number, which it translates. */
enum { BO_SETLKW = 7 };

static inline bool bo_waits_for_lock(int command)
{
    return command == F_SETLKW || command == BO_SETLKW || command == F_OFD_SETLKW;
}

/* The error of a call whose deadline has passed: -ETIMEDOUT, or -BO_ECUT if an interrupt is due, which counts more
 * (rule 2). */
long bo_timed_out(void);

/* Wait until a descriptor has one of `events`, or an error, at most until `deadline` (0: none).
 * 0, bo_timed_out(), or ppoll's error. */
long bo_wait_ready(int fd, short events, bough_time deadline);

#endif

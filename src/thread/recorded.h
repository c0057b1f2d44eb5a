/* SPDX-License-Identifier: MIT */
/* The main argument of a system call, for recordings. */
#ifndef BO_THREAD_RECORDED_H
#define BO_THREAD_RECORDED_H

#include "trace/recorder.h"

/* No memory is read: the arguments may be anything. */
enum bo_trace_argument bo_recorded_argument(long nr, long a, long b, uint64_t *argument);

#endif

/* SPDX-License-Identifier: MIT */
/* The main argument of a blocking call, for recordings. */
#ifndef BO_THREAD_RECORDED_H
#define BO_THREAD_RECORDED_H

#include "trace/recorder.h"

struct bo_recorded {
    struct bo_trace_argument argument;
    char text[BO_TRACE_CALL_TEXT];
};

/* Of a system call, whose arguments may be anything: memory is read as the kernel reads it. */
void bo_record_argument(struct bo_recorded *r, long nr, const long a[6]);
/* Of a wait inside libc: the object that it waits for, or how many. */
void bo_record_wait(struct bo_recorded *r, enum bo_trace_wait wait, uint64_t object);

#endif

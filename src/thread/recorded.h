/* SPDX-License-Identifier: MIT */
/* The main argument of a blocking call, for recordings. */
#ifndef BO_THREAD_RECORDED_H
#define BO_THREAD_RECORDED_H

#include "trace/recorder.h"

struct bo_recorded {
    struct bo_trace_argument argument;
    char text[BO_TRACE_CALL_TEXT];
};

/* The argument of a system call. Its pointers may be invalid, so memory is read without a risk of a fault. */
void bo_record_argument(struct bo_recorded *r, long nr, const long a[6]);
/* The argument of a wait inside libc: the object that it waits for, or the number of objects. */
void bo_record_wait(struct bo_recorded *r, enum bo_trace_wait wait, uint64_t object);

#endif

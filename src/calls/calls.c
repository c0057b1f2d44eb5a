/* SPDX-License-Identifier: MIT */
/* The calls that are one system call: each row of the table is the implementation. */
#include <bough/calls.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include "thread/call.h"

/* s390x has no system call accept. BO_CALL() passes 0 for missing arguments, so this is accept4() without flags. */
#ifndef SYS_accept
#define SYS_accept SYS_accept4
#endif

#define CALL(returns, name, params, args, raw, ...) \
    returns bough_##name params                     \
    {                                               \
        return (returns)bo_result(BO_CALL raw);     \
    }
#include "calls/calls.def"

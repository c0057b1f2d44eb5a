/* SPDX-License-Identifier: MIT */
/* The calls that are one system call: each row of the table is its own implementation. */
#include <bough/calls.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include "thread/call.h"

#define CALL(returns, name, params, args, raw, ...) \
    returns bough_##name params                     \
    {                                               \
        return (returns)bo_result(BO_CALL raw);     \
    }
#include "calls/calls.def"

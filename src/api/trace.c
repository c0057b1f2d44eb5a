/* SPDX-License-Identifier: MIT */
#include <bough/trace.h>
#include <errno.h>
#include "state/current.h"
#include "thread/adopt.h"
#include "trace/recorder.h"

int bough_trace_start(const struct bough_trace_options *options)
{
    const unsigned known = BOUGH_TRACE_NO_ARGUMENTS | BOUGH_TRACE_ALL;
    char why[1024];
    if (!options || !options->file || !*options->file || options->threshold < 0 || (options->flags & ~known))
        return errno = EINVAL, -1;
    if (bo_init() != 0)
        return -1;
    struct bo_trace_wish wish = {
        .file = options->file,
        .size = options->size ? options->size : BO_TRACE_SIZE,
        .threshold = options->flags & BOUGH_TRACE_ALL ? 0
                     : options->threshold             ? options->threshold
                                                      : BO_TRACE_THRESHOLD,
        .without_arguments = options->flags & BOUGH_TRACE_NO_ARGUMENTS,
    };
    int error = bo_trace_begin(&wish, why, sizeof why);
    if (error)
        return errno = error, -1;
    bo_switch_recording(true);
    return 0;
}

int bough_trace_stop(void)
{
    int error = bo_trace_end(false);
    if (error)
        return errno = error, -1;
    bo_switch_recording(false);
    return 0;
}

int bough_tracing(void)
{
    return bo_tracing();
}

void bough_trace_lock(bough_time since)
{
    bo_trace_lock_wait(since);
}

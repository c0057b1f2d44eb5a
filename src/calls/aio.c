/* SPDX-License-Identifier: MIT */
/* aio_suspend() waits inside libc and takes a relative timeout, which the wake signal's handler can't change. So only
 * the repeated wake signal ends the wait, by EINTR. That needs a timeout, without which the kernel would restart the
 * wait. */
#include <aio.h>
#include <bough/calls.h>
#include "thread/call.h"
#include "wake/wake_signal.h"

enum { AGAIN = -1 };

/* An operation that has completed meanwhile wins over the interrupt (rule 9). */
static bool one_is_done(const struct aiocb *const list[], int count)
{
    for (int i = 0; i < count; i++)
        if (list[i] && aio_error(list[i]) != EINPROGRESS)
            return true;
    return false;
}

static int suspend(const struct aiocb *const list[], int count, const struct timespec *timeout)
{
    static const struct timespec thirty_years = {1000000000, 0};
    struct bo_libc_wait wait;
    int error = bo_libc_begin(&wait, NULL, BO_TRACE_IN_AIO, (uint64_t)count);
    if (error)
        return error;
    error = aio_suspend(list, count, timeout ? timeout : &thirty_years) == 0 ? 0 : errno;
    bool due = bo_libc_end(&wait);
    if (due && (error == EINTR || error == EAGAIN))
        return one_is_done(list, count) ? 0 : BO_ECUT;
    return error == EINTR && !timeout && bo_handlers_restart() ? AGAIN : error;
}

int bough_aio_suspend(const struct aiocb *const list[], int count, const struct timespec *timeout)
{
    int error;
    do
        error = suspend(list, count, timeout);
    while (error == AGAIN);
    return (int)bo_result(-error);
}

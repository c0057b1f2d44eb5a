/* SPDX-License-Identifier: MIT */
/* libev: its loop aborts on every error but EINTR, on which it retries. */
#include "wait.h"
#pragma GCC diagnostic ignored "-Wstrict-aliasing"
#include <ev.h>

static struct ev_loop *loop;
static ev_async async;

static void on_async(struct ev_loop *of, ev_async *unused, int events)
{
    (void)unused, (void)events;
    ev_break(of, EVBREAK_ALL);
}

static int run_loop(void)
{
    loop = ev_loop_new(EVFLAG_AUTO);
    CHECK(loop);
    ev_async_init(&async, on_async);
    ev_async_start(loop, &async);
    ev_run(loop, 0);
    ev_async_stop(loop, &async);
    ev_loop_destroy(loop);
    return 0;
}

static void stop_loop(void)
{
    ev_async_send(loop, &async);
}

WAIT(ev_run, .library = "libev", .call = "ev_run()", .run = run_loop, .release = stop_loop,
     .why = "retries on EINTR, aborts on other errors; ev_async_send() and ev_break() end it", .line = "ev_epoll.c:160",
     .dumped = "called by libev.so.4 failed with EINTR")

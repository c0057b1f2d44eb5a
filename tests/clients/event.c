/* SPDX-License-Identifier: MIT */
/* libevent: its loop retries on EINTR and ends on other errors. */
#include "wait.h"
#include <event2/event.h>

static void on_timer(evutil_socket_t fd, short events, void *unused)
{
    (void)fd, (void)events, (void)unused;
}

static int run_loop(void)
{
    struct event_base *base = event_base_new();
    CHECK(base);
    struct event *timer = event_new(base, -1, EV_PERSIST, on_timer, NULL);
    CHECK_EQ(event_add(timer, &(struct timeval){3600, 0}), 0);
    int code = event_base_dispatch(base);
    event_free(timer);
    event_base_free(base);
    return code != -1;
}

WAIT(event_base_dispatch, .library = "libevent", .call = "event_base_dispatch()", .run = run_loop)

/* SPDX-License-Identifier: MIT */
/* A thread that runs an event loop: bough_event_fd() is one more descriptor for its epoll. It is readable while an
 * interrupt is due for this thread; then bough_check() fails, and delivers it. */
#include <bough.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

static void watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

/* It blocks in epoll_wait() itself, as the loop of somebody's library would. */
static int loop(void *conn)
{
    int timer = bough_fd_of(conn), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct bough_record why;
    watch(epoll, timer);
    watch(epoll, bough_event_fd());
    while (bough_check() == 0) {
        struct epoll_event event;
        uint64_t times;
        if (epoll_wait(epoll, &event, 1, -1) == 1 && event.data.fd == timer && read(timer, &times, sizeof times) > 0)
            puts("tick");
    }
    if (bough_reason(&why) == 0)
        printf("the loop ends: %s\n", why.reason);
    close(epoll);
    return ECANCELED;
}

int main(void)
{
    struct itimerspec often = {{0, 50000000}, {0, 50000000}};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    timerfd_settime(timer, 0, &often, NULL);
    bough_signals(0);
    BOUGH_BRANCH(loops) {
        bough_add(loops, loop, bough_fd(timer));
        bough_usleep(300000);
        bough_interrupt(loops, "a few ticks are enough");
    }
    return bough_last_result();
}

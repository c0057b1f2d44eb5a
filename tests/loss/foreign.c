/* SPDX-License-Identifier: MIT */
/* Foreign code never sees an extra EINTR (rule 13). Between interruptible calls the thread calls libc's poll(),
 * epoll_wait() and nanosleep(), which any signal would end with EINTR, and a blocking read(). No handler of the program
 * runs here, so bough would be the cause of each EINTR. */
#include "one_thread.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

static int pipe_fds[2], timer, epoll;
static _Atomic long fed, eaten;
static long calls[4], spoilt;

static void note_eintr(const char *name)
{
    if (spoilt++ == 0)
        t_note("%s() was ended by EINTR", name);
}

/* Each call soon returns by itself. */
static void foreign(uint64_t *random)
{
    long some = 1 + (long)(t_random(random) % 30000);
    struct itimerspec once = {.it_value = {0, some}};
    unsigned which = t_random(random) % 4;
    struct epoll_event event;
    uint64_t count;
    timerfd_settime(timer, 0, &once, NULL);
    calls[which]++;
    if (which == 0 && poll(&(struct pollfd){timer, POLLIN, 0}, 1, -1) < 0)
        note_eintr("poll");
    if (which == 1 && epoll_wait(epoll, &event, 1, -1) < 0)
        note_eintr("epoll_wait");
    if (which == 2 && nanosleep(&once.it_value, NULL) != 0)
        note_eintr("nanosleep");
    if (which == 3 && read(timer, &count, sizeof count) < 0)
        note_eintr("read");
}

/* An interruptible call that succeeds, is interrupted, or succeeds while it is being interrupted; then foreign
 * calls. */
static int turn_between(uint64_t *random)
{
    char byte;
    ssize_t n = CALL(read, pipe_fds[0], &byte, 1);
    int error = errno;
    eaten += n > 0;
    foreign(random);
    errno = error;
    return n < 0 ? -1 : 0;
}

/* Usually there is nothing to read. */
static void feed_pipe(uint64_t *random)
{
    rain_pause(random);
    if (fed == eaten) {
        fed++;
        CHECK_EQ(write(pipe_fds[1], "x", 1), 1);
    }
}

static void make_channels(void)
{
    CHECK_EQ(pipe(pipe_fds), 0);
    timer = timerfd_create(CLOCK_MONOTONIC, 0);
    epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event), 0);
}

static void go_under_rain(int (*turn)(uint64_t *), void (*feed)(uint64_t *), long count)
{
    make_channels();
    rain.turn = turn;
    rain.feed = feed;
    rain.count = count > 50 ? count : 50;
    rain.dry = true;
    rain_fall();
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    close(timer);
    close(epoll);
    t_note("foreign calls: %ld poll, %ld epoll_wait, %ld nanosleep, %ld read; EINTR %ld", calls[0], calls[1], calls[2],
           calls[3], spoilt);
    CHECK_EQ(spoilt, 0);
}

TEST_LIMIT(foreign_calls_see_no_eintr, 2000)
{
    go_under_rain(turn_between, feed_pipe, t_loss());
}

/* ---- a thread that blocks all signals ---------------------------------------------------------------------------- */

/* The thread is woken by the fallback signal, which must not reach foreign calls either. */
static int turn_blocked(uint64_t *random)
{
    static bool blocked;
    sigset_t all;
    sigfillset(&all);
    if (!blocked)
        pthread_sigmask(SIG_BLOCK, &all, NULL);
    blocked = true;
    return turn_between(random);
}

TEST_LIMIT(foreign_calls_of_a_thread_that_blocks_all_signals_see_no_eintr, 2000)
{
    go_under_rain(turn_blocked, feed_pipe, t_loss());
}

/* The wake signal is blocked in one turn, and unblocked in the next. */
static int turn_now_and_then(uint64_t *random)
{
    sigset_t all, old;
    sigfillset(&all);
    bool block = t_random(random) & 1;
    if (block)
        pthread_sigmask(SIG_BLOCK, &all, &old);
    int r = turn_between(random), error = errno;
    if (block)
        pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = error;
    return r;
}

TEST_LIMIT(foreign_calls_of_a_thread_that_blocks_signals_at_times_see_no_eintr, 2000)
{
    go_under_rain(turn_now_and_then, feed_pipe, t_loss());
}

/* ---- asynchronous regions ---------------------------------------------------------------------------------------- */

/* The region ends while a wake to it is under way, which is sent when the interrupt is 50 ms old (rule 14). The region
 * may be left at any instruction, so it only reads the clock. */
static struct bough_async region;

static bool grind(uint64_t *random)
{
    int64_t early = (int64_t)(t_random(random) % 400000) - 300000;
    if (bough_async_begin(&region) != 0)
        return false;
    for (int64_t end = t_now() + 1000000; rain.posts == rain.met && t_now() < end;) {
    }
    while (rain.posts != rain.met && t_now() < rain.posted_at + 50000000 + early) {
    }
    bough_async_end(&region);
    return true;
}

static int turn_async(uint64_t *random)
{
    bool done = grind(random);
    foreign(random);
    errno = ECANCELED;
    return done ? 0 : -1;
}

TEST_LIMIT(foreign_calls_after_an_asynchronous_region_see_no_eintr, 2000)
{
    go_under_rain(turn_async, NULL, t_loss() / 200);
}

/* A hook prolongs that moment, in a library that was built with -Dhooks=true. */
static _Atomic bool sending;
static struct t_gate in_region;

static void hold_the_wake(void)
{
    sending = true;
    rain_spin(5000000);
}

static void *leave_while_sending(void *argument)
{
    rain.self = bough_self();
    CHECK_EQ(bough_async_begin(&region), 0);
    t_gate_open(&in_region);
    while (!sending) {
    }
    CHECK_EQ(bough_async_end(&region), 0);
    CHECK_EQ(poll(NULL, 0, 50), 0);
    CHECK_ERR(bough_check(), ECANCELED);
    return argument;
}

TEST(a_wake_is_awaited_at_the_end_of_the_region)
{
    struct t_thread thread;
    if (!&bo_hook_post_sent)
        SKIP("no hooks in this build");
    bo_hook_post_sent = hold_the_wake;
    t_spawn(&thread, leave_while_sending, NULL);
    t_gate_wait(&in_region);
    CHECK_EQ(bough_interrupt(rain.self, NULL), 0);
    t_join(&thread);
}

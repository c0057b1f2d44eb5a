/* SPDX-License-Identifier: MIT */
/* Waiting for descriptors. With masks: all signals are blocked, and the call is interrupted nevertheless (rule 13). */
#include "recipe.h"

#include <linux/io_uring.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>

static sigset_t *all_signals(void)
{
    static sigset_t set;
    sigfillset(&set);
    return &set;
}

static void write_x(struct stage *s)
{
    CHECK_EQ(write(s->fd[1], "x", 1), 1);
}

static const struct timespec an_hour = {3600, 0}, wrong_time = {0, -1};

/* ---- poll -------------------------------------------------------------------------------------------------------- */

static struct pollfd *readable(struct stage *s)
{
    struct pollfd *p = (struct pollfd *)s->buffer;
    *p = (struct pollfd){.fd = s->fd[0], .events = POLLIN};
    return p;
}

static void nothing_polled(struct stage *s)
{
    CHECK_EQ(((struct pollfd *)s->buffer)->revents, 0);
}

static void polled(struct stage *s, long result)
{
    CHECK_EQ(result, 1);
    CHECK_EQ(((struct pollfd *)s->buffer)->revents, POLLIN);
}

BOTH(poll, readable(s), 1, 3600000)
NO_WRONG(poll)
RECIPE(poll, .how = BLOCKS, .prepare = make_pipe, .release = write_x, .untouched = nothing_polled, .done = polled)

BOTH(ppoll, readable(s), 1, &an_hour, all_signals())
WRONG(ppoll, readable(s), 1, &wrong_time, NULL)
RECIPE(ppoll, .how = BLOCKS, .prepare = make_pipe, .release = write_x, .untouched = nothing_polled, .done = polled)

TEST(ppoll_does_not_change_the_timeout)
{
    struct timespec timeout = {0, 1000000};
    CHECK_EQ(bough_ppoll(NULL, 0, &timeout, NULL), 0);
    CHECK_EQ(timeout.tv_nsec, 1000000);
    CHECK_EQ(bough_poll(NULL, 0, 1), 0);
}

/* ---- select ------------------------------------------------------------------------------------------------------ */

static fd_set *set_of(struct stage *s)
{
    fd_set *set = s->memory;
    FD_ZERO(set);
    FD_SET(s->fd[0], set);
    return set;
}

static struct timeval *hour_left(void)
{
    static struct timeval left;
    left = (struct timeval){3600, 0};
    return &left;
}

static void make_pipe_and_set(struct stage *s)
{
    make_pipe(s);
    s->memory = malloc(sizeof(fd_set));
}

static void free_memory(struct stage *s)
{
    free(s->memory);
}

static void set_untouched(struct stage *s)
{
    CHECK(FD_ISSET(s->fd[0], (fd_set *)s->memory));
}

static void selected(struct stage *s, long result)
{
    CHECK_EQ(result, 1);
    CHECK(FD_ISSET(s->fd[0], (fd_set *)s->memory));
}

BOTH(select, s->fd[0] + 1, set_of(s), NULL, NULL, hour_left())
WRONG(select, -1, NULL, NULL, NULL, NULL)
RECIPE(select, .how = BLOCKS, .prepare = make_pipe_and_set, .release = write_x, .untouched = set_untouched,
       .done = selected, .clean = free_memory)

BOTH(pselect, s->fd[0] + 1, set_of(s), NULL, NULL, &an_hour, all_signals())
WRONG(pselect, -1, NULL, NULL, NULL, NULL, NULL)
RECIPE(pselect, .how = BLOCKS, .prepare = make_pipe_and_set, .release = write_x, .untouched = set_untouched,
       .done = selected, .clean = free_memory)

/* Linux's select() stores the remaining time in the timeout, pselect() does not. */
TEST(select_writes_the_timeout)
{
    struct timeval timeout = {0, 2000};
    struct timespec time = {0, 2000000};
    CHECK_EQ(bough_select(0, NULL, NULL, NULL, &timeout), 0);
    CHECK_EQ(timeout.tv_usec, 0);
    CHECK_EQ(bough_pselect(0, NULL, NULL, NULL, &time, NULL), 0);
    CHECK_EQ(time.tv_nsec, 2000000);
    timeout.tv_usec = -1;
    CHECK_ERR(bough_select(0, NULL, NULL, NULL, &timeout), EINVAL);
}

/* ---- epoll ------------------------------------------------------------------------------------------------------- */

static void make_epoll(struct stage *s)
{
    make_pipe(s);
    s->fd[2] = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data = {.u32 = 77}};
    CHECK_EQ(epoll_ctl(s->fd[2], EPOLL_CTL_ADD, s->fd[0], &event), 0);
}

static struct epoll_event *event_of(struct stage *s)
{
    return (struct epoll_event *)s->buffer;
}

/* A one-shot event that had been consumed would not come again. */
static void event_not_taken(struct stage *s)
{
    write_x(s);
    CHECK_EQ(epoll_wait(s->fd[2], event_of(s), 1, 0), 1);
}

static void event_taken(struct stage *s, long result)
{
    CHECK_EQ(result, 1);
    CHECK_EQ(event_of(s)->data.u32, 77);
}

BOTH(epoll_wait, s->fd[2], event_of(s), 1, 3600000)
WRONG(epoll_wait, s->fd[2], event_of(s), 0, -1)
RECIPE(epoll_wait, .how = BLOCKS, .prepare = make_epoll, .release = write_x, .untouched = event_not_taken,
       .done = event_taken)

BOTH(epoll_pwait, s->fd[2], event_of(s), 1, -1, all_signals())
WRONG(epoll_pwait, 0, event_of(s), 1, -1, NULL)
RECIPE(epoll_pwait, .how = BLOCKS, .prepare = make_epoll, .release = write_x, .untouched = event_not_taken,
       .done = event_taken)

static int libc_epoll_pwait2(int fd, struct epoll_event *events, int count, const struct timespec *timeout,
                             const sigset_t *mask)
{
#ifdef __GLIBC__
#if __GLIBC_PREREQ(2, 35)
    return epoll_pwait2(fd, events, count, timeout, mask);
#endif
#endif
    return (int)syscall(SYS_epoll_pwait2, fd, events, count, timeout, mask, 8L);
}

BOTH_AS(epoll_pwait2, bough_epoll_pwait2(s->fd[2], event_of(s), 1, &an_hour, all_signals()),
        libc_epoll_pwait2(s->fd[2], event_of(s), 1, &an_hour, all_signals()))
WRONG_AS(epoll_pwait2, bough_epoll_pwait2(0, event_of(s), 1, NULL, NULL),
         libc_epoll_pwait2(0, event_of(s), 1, NULL, NULL))
RECIPE(epoll_pwait2, .how = BLOCKS, .prepare = make_epoll, .release = write_x, .untouched = event_not_taken,
       .done = event_taken)

/* ---- io_uring: waits for a completion of an operation that another thread submits -------------------------------- */

struct ring {
    struct io_uring_params params;
    char *queue;
    struct io_uring_sqe *entries;
};

static void make_ring(struct stage *s)
{
    struct ring *ring = calloc(1, sizeof *ring);
    s->memory = ring;
    s->fd[0] = (int)syscall(SYS_io_uring_setup, 4, &ring->params);
    if (s->fd[0] < 0)
        SKIP("no io_uring here: %s", strerror(errno));
    size_t size = ring->params.sq_off.array + ring->params.sq_entries * sizeof(unsigned);
    ring->queue = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd[0], IORING_OFF_SQ_RING);
    ring->entries = mmap(NULL, ring->params.sq_entries * sizeof *ring->entries, PROT_READ | PROT_WRITE, MAP_SHARED,
                         s->fd[0], IORING_OFF_SQES);
    CHECK(ring->queue != MAP_FAILED && ring->entries != MAP_FAILED);
    s->size = size;
}

static void free_ring(struct stage *s)
{
    struct ring *ring = s->memory;
    munmap(ring->queue, s->size);
    munmap(ring->entries, ring->params.sq_entries * sizeof *ring->entries);
    free(ring);
}

static void submit_nothing(struct stage *s)
{
    struct ring *ring = s->memory;
    unsigned *tail = (unsigned *)(void *)(ring->queue + ring->params.sq_off.tail);
    unsigned *array = (unsigned *)(void *)(ring->queue + ring->params.sq_off.array);
    ring->entries[0] = (struct io_uring_sqe){.opcode = IORING_OP_NOP};
    array[0] = 0;
    __atomic_store_n(tail, 1, __ATOMIC_RELEASE);
    CHECK_EQ(syscall(SYS_io_uring_enter, s->fd[0], 1, 0, 0, NULL, 0L), 1);
}

static int libc_io_uring_enter(unsigned fd, unsigned submit, unsigned wait, unsigned flags, sigset_t *mask)
{
    return (int)syscall(SYS_io_uring_enter, fd, submit, wait, flags, mask, 8L);
}

BOTH_AS(io_uring_enter, bough_io_uring_enter((unsigned)s->fd[0], 0, 1, IORING_ENTER_GETEVENTS, all_signals()),
        libc_io_uring_enter((unsigned)s->fd[0], 0, 1, IORING_ENTER_GETEVENTS, all_signals()))
WRONG_AS(io_uring_enter, bough_io_uring_enter(0, 0, 1, IORING_ENTER_GETEVENTS, NULL),
         libc_io_uring_enter(0, 0, 1, IORING_ENTER_GETEVENTS, NULL))
RECIPE(io_uring_enter, .how = BLOCKS, .prepare = make_ring, .release = submit_nothing, .done = result_is_0,
       .clean = free_ring)

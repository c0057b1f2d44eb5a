/* SPDX-License-Identifier: MIT */
/*
 * Rule 12: losses are measured: descriptors, bytes and items are counted over many random interrupts, and none may be
 * missing or doubled. No call may be interrupted without a request.
 *
 * The measurement itself is tests/loss/: bytes, descriptors, tokens (children, semaphores), foreign (no extra EINTR),
 * nested (calls in handlers), hostile, and the library's cond, event, mutex, queue and sem; oracle.c measures the
 * platform's losses. tools/loss.sh runs it in full. This file has a short run of three kinds.
 */
#include "../loss/stream.h"

/* one_thread.h also counts that each post is delivered exactly once, and that no call is interrupted without a post. */
static int turn_open(uint64_t *random)
{
    (void)random;
    int fd = bough_open("/dev/null", O_RDONLY);
    if (fd < 0)
        return -1;
    CHECK_EQ(close(fd), 0);
    return 0;
}

static long few(void)
{
    return t_loss() < 1000 ? t_loss() : 1000;
}

/* The harness counts the descriptors. */
TEST_LIMIT(descriptors_are_not_lost, 60)
{
    rain.turn = turn_open;
    rain.count = few();
    rain_fall();
}

static ssize_t by_read(int fd, char *buffer, size_t size)
{
    return bough_read(fd, buffer, size);
}

TEST_LIMIT(bytes_read_are_neither_lost_nor_doubled, 60)
{
    rain.count = few();
    read_stream(PIPE, by_read);
}

static ssize_t by_write(int fd, char *buffer, size_t size)
{
    return bough_write(fd, buffer, size);
}

TEST_LIMIT(bytes_written_are_neither_lost_nor_doubled, 60)
{
    rain.count = few();
    write_stream(SOCKET, by_write);
}

/* A call of a thread that no post targets is not interrupted, whatever is posted to others. */
static struct t_gate ready;
static bough_thread *neighbour;
static _Atomic bool over;

static void *undisturbed(void *argument)
{
    int *fds = argument;
    char byte;
    while (!over) {
        CHECK_EQ(write(fds[1], "x", 1), 1);
        CHECK_EQ(bough_read(fds[0], &byte, 1), 1);
        CHECK_EQ(bough_nanosleep(&(struct timespec){0, 1000}, NULL), 0);
    }
    return NULL;
}

static void *disturbed(void *argument)
{
    neighbour = bough_self();
    t_gate_open(&ready);
    while (!over)
        if (bough_nanosleep(&(struct timespec){0, 1000000}, NULL) != 0)
            bough_clear(NULL);
    return argument;
}

TEST_LIMIT(no_call_is_interrupted_without_a_post_to_its_thread, 60)
{
    struct t_thread one, two;
    int fds[2];
    uint64_t random = t_seed();
    CHECK_EQ(pipe(fds), 0);
    t_spawn(&one, undisturbed, fds);
    t_spawn(&two, disturbed, NULL);
    t_gate_wait(&ready);
    for (long i = few(); i > 0; i--) {
        CHECK_EQ(bough_interrupt(neighbour, NULL), 0);
        rain_pause(&random);
    }
    over = true;
    t_join(&one);
    t_join(&two);
    close(fds[0]);
    close(fds[1]);
}

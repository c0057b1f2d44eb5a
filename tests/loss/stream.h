/* SPDX-License-Identifier: MIT */
/* A stream of bytes whose values follow from their offsets, and interrupts for the thread that reads or writes it. */
#ifndef TEST_STREAM_H
#define TEST_STREAM_H

#include <fcntl.h>
#include <sys/socket.h>
#include "one_thread.h"

enum stream_kind { PIPE, SOCKET };
typedef ssize_t mover(int fd, char *buffer, size_t size);

/* The period is a prime number, so it differs from every buffer's size. */
enum { PERIOD = 65521, LARGEST = 200000 };

static struct stream {
    char content[PERIOD + LARGEST];
    char target_buffer[LARGEST], peer_buffer[LARGEST];
    mover *move;            /* called by the target */
    int target_fd, peer_fd; /* the peer's descriptor does not block */
    long written, read;
} stream;

static inline void stream_make(enum stream_kind kind, bool target_reads)
{
    int fds[2];
    uint64_t random = 4711;
    for (int i = 0; i < PERIOD; i++)
        stream.content[i] = (char)(t_random(&random) >> 32);
    for (int i = 0; i < LARGEST; i++)
        stream.content[PERIOD + i] = stream.content[i % PERIOD];
    CHECK_EQ(kind == PIPE ? pipe(fds) : socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    stream.target_fd = fds[!target_reads];
    stream.peer_fd = fds[target_reads];
    fcntl(stream.peer_fd, F_SETFL, O_NONBLOCK);
}

/* Writes take their bytes from the content at their offset; reads are compared with it. */
static inline char *stream_next(void)
{
    return stream.content + stream.written % PERIOD;
}

static inline void stream_got(const char *buffer, size_t size)
{
    if (memcmp(buffer, stream.content + stream.read % PERIOD, size) != 0)
        FAIL("bytes %ld to %ld differ from those that were written there: lost or doubled", stream.read,
             stream.read + (long)size);
    stream.read += (long)size;
}

/* A random size, mostly small, sometimes larger than the room. */
static inline size_t stream_some(uint64_t *random, bool large)
{
    uint64_t r = t_random(random);
    return large && r % 4 == 0 ? 1 + (r >> 8) % LARGEST : 1 + (r >> 8) % 3000;
}

static inline void stream_close(void)
{
    close(stream.target_fd);
    close(stream.peer_fd);
    rain_count("bytes", stream.written, stream.read);
}

/* ---- the target reads -------------------------------------------------------------------------------------------- */

static inline int turn_read(uint64_t *random)
{
    ssize_t n = stream.move(stream.target_fd, stream.target_buffer, stream_some(random, false));
    if (n > 0)
        stream_got(stream.target_buffer, (size_t)n);
    CHECK(n != 0);
    return n < 0 ? -1 : 0;
}

static inline void feed_write(uint64_t *random)
{
    rain_pause(random);
    ssize_t n = write(stream.peer_fd, stream_next(), stream_some(random, false));
    if (n > 0)
        stream.written += n;
}

static inline void read_stream(enum stream_kind kind, mover *move)
{
    stream_make(kind, true);
    stream.move = move;
    rain.turn = turn_read;
    rain.feed = feed_write;
    rain_fall();
    close(stream.peer_fd);
    stream.peer_fd = -1;
    for (ssize_t n; (n = read(stream.target_fd, stream.target_buffer, LARGEST)) > 0;)
        stream_got(stream.target_buffer, (size_t)n);
    stream_close();
}

#define READER(name, kind, move) \
    TEST_LIMIT(name, 1000)       \
    {                            \
        read_stream(kind, move); \
    }

/* ---- the target writes ------------------------------------------------------------------------------------------- */

static inline int turn_write(uint64_t *random)
{
    ssize_t n = stream.move(stream.target_fd, stream_next(), stream_some(random, true));
    if (n > 0)
        stream.written += n;
    CHECK(n != 0);
    return n < 0 ? -1 : 0;
}

static inline void feed_read(uint64_t *random)
{
    rain_pause(random);
    ssize_t n = read(stream.peer_fd, stream.peer_buffer, stream_some(random, true));
    if (n > 0)
        stream_got(stream.peer_buffer, (size_t)n);
}

static inline void write_stream(enum stream_kind kind, mover *move)
{
    stream_make(kind, false);
    stream.move = move;
    rain.turn = turn_write;
    rain.feed = feed_read;
    rain_fall();
    close(stream.target_fd);
    stream.target_fd = -1;
    for (ssize_t n; (n = read(stream.peer_fd, stream.peer_buffer, LARGEST)) > 0;)
        stream_got(stream.peer_buffer, (size_t)n);
    stream_close();
}

#define WRITER(name, kind, move)  \
    TEST_LIMIT(name, 1000)        \
    {                             \
        write_stream(kind, move); \
    }

#endif

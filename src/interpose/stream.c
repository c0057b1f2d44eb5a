/* SPDX-License-Identifier: MIT */
/*
 * Stand-ins for stdio's input functions, whose reads are inside libc: if a stream's buffer is empty, bough waits for
 * the descriptor, and then one read inside libc fills the buffer. An interrupted caller finds the stream's error
 * indicator set, as after a read that failed; the input read so far is the result, and is not lost.
 *
 * They exist only for glibc, where the stream's fields show whether its buffer is empty. Output is not covered, because
 * code outside libc can't see when a write blocks, and how much it has written by then.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <bough/calls.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "interpose/outcome.h"
#include "interpose/wrapper.h"
#include "thread/foreign.h"

#ifdef __GLIBC__

static bool is_empty(FILE *stream)
{
    return stream->_IO_read_ptr >= stream->_IO_read_end;
}

/* False: the stream's reads can't block, or it has no descriptor. */
static bool may_block(FILE *stream)
{
    int fd = fileno(stream);
    int flags = fd >= 0 ? fcntl(fd, F_GETFL) : -1;
    return flags >= 0 && !(flags & O_NONBLOCK);
}

static bool is_readable(FILE *stream)
{
    struct pollfd wanted = {.fd = fileno(stream), .events = POLLIN};
    return poll(&wanted, 1, 0) > 0;
}

static uintptr_t real___uflow;

/* As getc_unlocked(). Calls libc's function, because bough's calls are patched, too, if it is linked into a program. */
static int take_character(FILE *stream)
{
    return is_empty(stream) ? ((int (*)(FILE *))real___uflow)(stream) : (unsigned char)*stream->_IO_read_ptr++;
}

/* Sets the stream's error indicator, as after a read that failed. */
static int failed(FILE *stream, int number, int *error)
{
    stream->_flags |= _IO_ERR_SEEN;
    *error = number;
    return EOF;
}

/* Replaced by set_errno() with the interrupt's error, once the stream is unlocked. Not an error number. */
enum { INTERRUPTED = -1 };

/* Returns the next character, as getc_unlocked(), or EOF: the end of the file, an error of the stream, or an interrupt,
 * for which the call fails with *error. The stream is locked. */
static int next_character(struct bo_thread *t, const struct bo_site *site, FILE *stream, int *error)
{
    while (is_empty(stream) && may_block(stream)) {
        struct pollfd wanted = {.fd = fileno(stream), .events = POLLIN};
        int again = bo_outcome_before(t, site, true);
        if (again)
            return failed(stream, again, error);
        bo_foreign_enter(t, bo_outcome_step(t, site));
        int n = bough_poll(&wanted, 1, -1);
        bool interrupted = bo_foreign_leave(t);
        if (interrupted && !is_readable(stream))
            return failed(stream, INTERRUPTED, error);
        if (interrupted)
            bo_foreign_ignore(t);
        else if (n < 0 && errno == EINTR)
            return failed(stream, EINTR, error);
        break;
    }
    return take_character(stream);
}

/* The stream's error indicator shows that a result is partial, as after a read() that failed in the middle. */
static void set_errno(struct bo_thread *t, const struct bo_site *site, int error)
{
    if (error)
        errno = error == INTERRUPTED ? bo_outcome_of(t, site) : error;
}

static int get_unlocked(struct bo_thread *t, const struct bo_site *site, FILE *stream)
{
    int error = 0;
    int c = next_character(t, site, stream, &error);
    set_errno(t, site, error);
    return c;
}

static int get_character(struct bo_thread *t, const struct bo_site *site, FILE *stream)
{
    int error = 0;
    flockfile(stream);
    int c = next_character(t, site, stream, &error);
    funlockfile(stream);
    set_errno(t, site, error);
    return c;
}

/* Reads up to and including `stop` (EOF: none), or `size` bytes. */
static size_t get_bytes(struct bo_thread *t, const struct bo_site *site, FILE *stream, char *to, size_t size, int stop,
                        int *error)
{
    size_t got = 0;
    flockfile(stream);
    while (got < size) {
        int c = next_character(t, site, stream, error);
        if (c == EOF)
            break;
        to[got++] = (char)c;
        if (c == stop)
            break;
    }
    funlockfile(stream);
    return got;
}

static uintptr_t real_fgetc, real_getc, real__IO_getc, real_getchar, real_getc_unlocked, real_fgetc_unlocked,
    real_fgets, real___fgets_chk, real_fread, real___fread_chk, real_getline, real___getdelim, real_getdelim;

/* For use in a stand-in: the return address is the stand-in's caller. */
#define HERE(name, stream) \
    ((const struct bo_site){(name), __builtin_return_address(0), BO_EINTR_FIRST, bo_on_fd(fileno(stream))})

#define CHARACTER(name, get)                               \
    static int stand_in_##name(FILE *stream)               \
    {                                                      \
        struct bo_thread *t = bo_foreign_thread();         \
        if (!t)                                            \
            return ((int (*)(FILE *))real_##name)(stream); \
        return get(t, &HERE(#name, stream), stream);       \
    }
CHARACTER(fgetc, get_character)
CHARACTER(getc, get_character)
CHARACTER(_IO_getc, get_character)
CHARACTER(getc_unlocked, get_unlocked)
CHARACTER(fgetc_unlocked, get_unlocked)
CHARACTER(__uflow, get_unlocked) /* getc_unlocked() in a program calls this if the buffer is empty */

static int stand_in_getchar(void)
{
    struct bo_thread *t = bo_foreign_thread();
    return t ? get_character(t, &HERE("getchar", stdin), stdin) : ((int (*)(void))real_getchar)();
}

BO_STAND_IN_FUNCTION char *stand_in_fgets(char *line, int size, FILE *stream)
{
    struct bo_thread *t = bo_foreign_thread();
    int error = 0;
    if (!t || size <= 1)
        return ((char *(*)(char *, int, FILE *))real_fgets)(line, size, stream);
    const struct bo_site site = HERE("fgets", stream);
    size_t got = get_bytes(t, &site, stream, line, (size_t)size - 1, '\n', &error);
    line[got] = '\0';
    set_errno(t, &site, error);
    return got ? line : NULL;
}

/* These functions get the size of the buffer (_FORTIFY_SOURCE). If the result may not fit, glibc's function reports
 * that. */
static char *stand_in___fgets_chk(char *line, size_t room, int size, FILE *stream)
{
    if (size > 0 && (size_t)size <= room)
        return stand_in_fgets(line, size, stream);
    return ((char *(*)(char *, size_t, int, FILE *))real___fgets_chk)(line, room, size, stream);
}

BO_STAND_IN_FUNCTION size_t stand_in_fread(void *to, size_t size, size_t count, FILE *stream)
{
    struct bo_thread *t = bo_foreign_thread();
    int error = 0;
    size_t bytes;
    if (!t || size == 0 || __builtin_mul_overflow(size, count, &bytes))
        return ((size_t(*)(void *, size_t, size_t, FILE *))real_fread)(to, size, count, stream);
    const struct bo_site site = HERE("fread", stream);
    size_t got = get_bytes(t, &site, stream, to, bytes, EOF, &error);
    set_errno(t, &site, error);
    return got / size;
}

static size_t stand_in___fread_chk(void *to, size_t room, size_t size, size_t count, FILE *stream)
{
    size_t bytes;
    if (!__builtin_mul_overflow(size, count, &bytes) && bytes <= room)
        return stand_in_fread(to, size, count, stream);
    return ((size_t(*)(void *, size_t, size_t, size_t, FILE *))real___fread_chk)(to, room, size, count, stream);
}

/* Makes room for one more byte and the terminating 0. */
static bool grow_line(char **line, size_t *room, size_t used)
{
    enum { FIRST = 120 };
    if (*line && used + 2 <= *room)
        return true;
    size_t more = *line && *room >= FIRST ? *room * 2 : FIRST;
    char *larger = realloc(*line, more);
    if (!larger)
        return errno = ENOMEM, false;
    *line = larger;
    *room = more;
    return true;
}

static ssize_t get_line(struct bo_thread *t, const struct bo_site *site, char **line, size_t *room, int stop,
                        FILE *stream)
{
    size_t got = 0;
    int error = 0;
    bool last = false, full = false;
    flockfile(stream);
    while (!last && !(full = !grow_line(line, room, got))) {
        int c = next_character(t, site, stream, &error);
        if (c == EOF)
            break;
        (*line)[got++] = (char)c;
        last = c == (unsigned char)stop;
    }
    funlockfile(stream);
    if (*line && *room > got)
        (*line)[got] = '\0';
    set_errno(t, site, error);
    return full || got == 0 ? -1 : (ssize_t)got;
}

#define DELIMITED(name)                                                                                 \
    static ssize_t stand_in_##name(char **line, size_t *room, int stop, FILE *stream)                   \
    {                                                                                                   \
        struct bo_thread *t = bo_foreign_thread();                                                      \
        if (!t || !line || !room)                                                                       \
            return ((ssize_t(*)(char **, size_t *, int, FILE *))real_##name)(line, room, stop, stream); \
        return get_line(t, &HERE(#name, stream), line, room, stop, stream);                             \
    }
DELIMITED(getdelim)
DELIMITED(__getdelim)

static ssize_t stand_in_getline(char **line, size_t *room, FILE *stream)
{
    struct bo_thread *t = bo_foreign_thread();
    if (!t || !line || !room)
        return ((ssize_t(*)(char **, size_t *, FILE *))real_getline)(line, room, stream);
    return get_line(t, &HERE("getline", stream), line, room, '\n', stream);
}

const struct bo_wrapper bo_stream_wrappers[] = {
    BO_STAND_IN(fgetc, fgetc),
    BO_STAND_IN(getc, getc),
    BO_STAND_IN(_IO_getc, _IO_getc),
    BO_STAND_IN(getchar, getchar),
    BO_STAND_IN(getc_unlocked, getc_unlocked),
    BO_STAND_IN(fgetc_unlocked, fgetc_unlocked),
    BO_STAND_IN(__uflow, __uflow),
    BO_STAND_IN(__fgets_chk, __fgets_chk),
    BO_STAND_IN(__fread_chk, __fread_chk),
    BO_STAND_IN(fgets, fgets),
    BO_STAND_IN(fread, fread),
    BO_STAND_IN(getline, getline),
    BO_STAND_IN(getdelim, getdelim),
    BO_STAND_IN(__getdelim, __getdelim),
    {0},
};

#else

const struct bo_wrapper bo_stream_wrappers[] = {{0}};

#endif

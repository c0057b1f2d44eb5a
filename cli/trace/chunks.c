/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "trace/chunks.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIES = 8 };

static bool read_all(int fd, void *to, size_t size, off_t at)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = pread(fd, (char *)to + done, size - done, at + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static uint32_t lap_of(uint64_t claim)
{
    return (uint32_t)(claim >> 32);
}

/* A call or region that both copies have as open since the same time did not change between them: so its fields in the
 * first copy are consistent. */
static bool keep_open(struct bo_trace_chunk *to, const struct bo_trace_chunk *first)
{
    bool is_same = bo_load_relaxed(&to->call.since) == bo_load_relaxed(&first->call.since);
    to->call = first->call;
    memcpy(to->call_text, first->call_text, sizeof to->call_text);
    if (!is_same)
        bo_store_relaxed(&to->call.since, 0);
    bool any = bo_load_relaxed(&to->call.since) != 0;
    for (int i = 0; i < BO_TRACE_REGIONS; i++) {
        is_same = bo_load_relaxed(&to->region[i].since) == bo_load_relaxed(&first->region[i].since);
        to->region[i] = first->region[i];
        if (!is_same)
            bo_store_relaxed(&to->region[i].since, 0);
        any |= bo_load_relaxed(&to->region[i].since) != 0;
    }
    return any;
}

/* Each unit in the first copy is complete in the second copy, which was made later. No unit was overwritten if the
 * chunk still has the same lap after the second copy. */
static bool keep_units(struct bo_trace_chunk *to, const struct bo_trace_chunk *first, uint32_t lap)
{
    bool any = keep_open(to, first);
    for (unsigned i = 0; i < BO_TRACE_UNITS; i++) {
        bool written = bo_load_relaxed(&first->unit[i].field[0]) >> 32 == lap;
        any |= written;
        if (!written)
            bo_store_relaxed(&to->unit[i].field[0], 0);
    }
    return any;
}

/* Whether the copy of the chunk has any event. */
static bool copy_chunk(int fd, off_t at, struct bo_trace_chunk *to, struct chunk_copy *copy)
{
    struct bo_trace_chunk first;
    uint64_t after;
    for (int i = 0; i < TRIES; i++) {
        if (!read_all(fd, &first, sizeof first, at))
            return false;
        uint64_t claim = bo_load_relaxed(&first.claim);
        uint32_t lap = lap_of(claim);
        if (!lap || bo_load_relaxed(&first.filled) != lap)
            return false; /* the chunk was never used, or a thread is taking it: its old events are lost */
        if (!read_all(fd, to, sizeof *to, at) || !read_all(fd, &after, sizeof after, at))
            return false;
        if (lap_of(after) != lap)
            continue;
        *copy = (struct chunk_copy){.chunk = to, .lap = lap, .in_use = (uint32_t)after == BO_TRACE_IN_USE};
        return keep_units(to, &first, lap);
    }
    return false;
}

static const char *wrong_header(const struct bo_trace_head *h)
{
    if (memcmp(h->magic, BO_TRACE_MAGIC, sizeof h->magic) != 0)
        return "it is no recording of bough";
    if (h->version != BO_TRACE_VERSION || h->page != BO_TRACE_PAGE || h->units != BO_TRACE_UNITS)
        return "it is a recording of another version of bough: read it with the command of that version";
    return NULL;
}

/* The number of chunks in the header, but not more than the file has room for. */
static size_t chunks_in(int fd, const struct bo_trace_head *h)
{
    struct stat is;
    uint64_t most = fstat(fd, &is) == 0 && is.st_size >= BO_TRACE_PAGE ? (uint64_t)is.st_size / BO_TRACE_PAGE - 1 : 0;
    if (most > h->chunks)
        most = h->chunks;
    return most < BO_TRACE_CHUNKS_MOST ? (size_t)most : BO_TRACE_CHUNKS_MOST;
}

/* The offset of the next chunk with data: a recording has holes. */
static off_t next_data(int fd, off_t at)
{
    off_t data = lseek(fd, at, SEEK_DATA);
    return data < 0 ? (errno == ENXIO ? -1 : at) : data > at ? data / BO_TRACE_PAGE * BO_TRACE_PAGE : at;
}

static int copy_all(int fd, struct chunks *chunks, size_t count)
{
    struct bo_trace_chunk *room = NULL;
    off_t end = (off_t)(count + 1) * BO_TRACE_PAGE;
    for (off_t at = BO_TRACE_PAGE; (at = next_data(fd, at)) >= 0 && at < end; at += BO_TRACE_PAGE) {
        if (chunks->count % 1024 == 0) {
            struct chunk_copy *more = realloc(chunks->copy, (chunks->count + 1024) * sizeof *more);
            if (!more) {
                free(room);
                return ENOMEM;
            }
            chunks->copy = more;
        }
        if (!room && !(room = malloc(sizeof *room)))
            return ENOMEM;
        if (copy_chunk(fd, at, room, &chunks->copy[chunks->count]))
            chunks->count++, room = NULL;
    }
    free(room);
    return 0;
}

int chunks_read(int fd, struct chunks *chunks, const char **why)
{
    *chunks = (struct chunks){.count = 0};
    *why = "it is no recording of bough";
    if (!read_all(fd, &chunks->head, sizeof chunks->head, 0))
        return EINVAL;
    *why = wrong_header(&chunks->head);
    if (*why)
        return EINVAL;
    int error = copy_all(fd, chunks, chunks_in(fd, &chunks->head));
    if (error)
        chunks_free(chunks);
    return error;
}

void chunks_free(struct chunks *chunks)
{
    for (size_t i = 0; i < chunks->count; i++)
        free(chunks->copy[i].chunk);
    free(chunks->copy);
    chunks->copy = NULL;
    chunks->count = 0;
}

/* SPDX-License-Identifier: MIT */
/* Copies of a recording's chunks, without half written events, while processes may be recording. */
#ifndef CLI_TRACE_CHUNKS_H
#define CLI_TRACE_CHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "trace/layout.h"

/* `lap`: a unit of another lap is not part of the copy. */
struct chunk_copy {
    struct bo_trace_chunk *chunk;
    uint32_t lap;
    bool in_use;
};
struct chunks {
    struct bo_trace_head head;
    struct chunk_copy *copy;
    size_t count;
};

/* Whether a unit of a copy was written. */
static inline bool chunks_has(const struct chunk_copy *c, unsigned unit)
{
    return bo_load_relaxed(&c->chunk->unit[unit].field[0]) >> 32 == c->lap;
}

/* 0; or an error number: EINVAL, with the reason in *why, if the file is no recording that this version can read. */
int chunks_read(int fd, struct chunks *chunks, const char **why);
void chunks_free(struct chunks *chunks);

#endif

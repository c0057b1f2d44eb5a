/* SPDX-License-Identifier: MIT */
/* Building the model of a recording (trace/trace.h) from its chunks. Only cli/trace includes this. */
#ifndef CLI_TRACE_BUILD_H
#define CLI_TRACE_BUILD_H

#include <stdbool.h>
#include "trace/chunks.h"
#include "trace/trace.h"

/* The memory of a model: texts, and the tables that find a process, thread or branch by its number in the recording. */
struct block {
    struct block *next;
    size_t used, size;
    char text[];
};
struct entry {
    uint64_t process, handle;
    int index; /* + 1; 0: the entry is free */
};
struct table {
    struct entry *entry;
    size_t size, count;
};
struct builder {
    struct trace *trace;
    struct chunks chunks;
    struct table processes, threads, branches;
    int room_for_processes, room_for_threads, room_for_branches, room_for_events;
    bool failed; /* memory ran out */
};

/* An escaped copy of a text of at most `size` bytes; "" if memory ran out. The copy belongs to the model. */
const char *build_text(struct builder *b, const char *text, size_t size);
__attribute__((format(printf, 2, 3))) const char *build_format(struct builder *b, const char *format, ...);

/* The index of a process, thread or branch, which is added at its first mention. TRACE_NONE: memory ran out. */
int build_process(struct builder *b, uint32_t number, pid_t pid);
/* `handle` 0: a thread without a slot, or whose slot is gone, by its id. */
int build_thread(struct builder *b, uint32_t process, uint64_t handle, pid_t tid, const char *name);
int build_branch(struct builder *b, uint32_t process, uint64_t handle, const char *name);
/* Add an event whose fields are 0 or NONE; NULL: memory ran out. */
struct trace_event *build_event(struct builder *b, enum trace_what what, int64_t at, int64_t until);

static inline bool handle_is_branch(uint64_t handle)
{
    return handle >> 63 != 0;
}
/* Whether the handle is that of the root, which is no branch of the model. */
static inline bool handle_is_root(uint64_t handle)
{
    return handle_is_branch(handle) && ((handle >> 32) & 0xffffff) == 1;
}

/* Adds the events of a chunk to the model (trace/events.c). */
void build_from_chunk(struct builder *b, const struct chunk_copy *c);

#endif

/* SPDX-License-Identifier: MIT */
/* The chunks of the recording: taking, filling and giving back a chunk. Only src/trace includes this. */
#ifndef BO_TRACE_CHUNK_H
#define BO_TRACE_CHUNK_H

#include <stdbool.h>
#include "base/atomic.h"
#include "trace/layout.h"

enum { BO_TRACE_LEVELS = 3 };

/* A recording's settings, in this process's memory: nothing in the file determines where this process writes.
 * `chunks` decreases if the disk is full; `room`: how many chunks have memory or blocks on the disk. */
struct bo_trace_recording {
    struct bo_trace_recording *last; /* the previous recording */
    struct bo_trace_head *head;
    struct bo_trace_chunk *chunk;
    _Atomic uint32_t chunks, room;
    uint32_t process, pid_ns;
    int64_t threshold;
    int flags;
};
/* The last recording that has begun. Its struct and memory stay when the next one begins, because a slow thread may
 * still write to them, and each step of a thread has to use one recording. */
extern struct bo_trace_recording *_Atomic bo_trace_last;

static inline struct bo_trace_recording *bo_trace(void)
{
    return bo_load_acquire(&bo_trace_last);
}

/*
 * The calling thread's chunk at one level: 0 in ordinary code, above in a signal handler that has interrupted the
 * writing of an event.
 *
 *   recording   the number of the recording that the chunk belongs to; if another recording is on, there is no chunk
 *   of          the settings of that recording, which determine what is written to the chunk
 *   retry_at    no chunk could be taken: the thread does not try again before this time
 */
struct bo_trace_level {
    struct bo_trace_chunk *chunk;
    struct bo_trace_recording *of;
    uint32_t recording, lap, used, ordinal;
    uint64_t events;
    int64_t retry_at;
};

/* Make room for `units` units, in the level's chunk or in a new one. False: there is no room; the event is lost.
 * [signal] */
bool bo_trace_room(struct bo_trace_level *l, unsigned units);
/* Called at the end of the thread: other threads may take its chunk. [signal] */
void bo_trace_give_back(struct bo_trace_level *l);
/* Count events that are lost. [signal] */
void bo_trace_lose(uint64_t events);

/* Events of the process (trace/write.c). `parent`: the number of the process that has forked it; 0: none. */
void bo_trace_process_begin(uint32_t parent);
void bo_trace_process_end(void);
/* Called in a forked child: the calling thread gives up its chunks, which belong to the parent. */
void bo_trace_writer_forked(void);

#endif

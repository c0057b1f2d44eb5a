/* SPDX-License-Identifier: MIT */
/* The chunks of the recording: taking one, filling it, giving it back. Only src/trace includes this. */
#ifndef BO_TRACE_CHUNK_H
#define BO_TRACE_CHUNK_H

#include <stdbool.h>
#include "base/atomic.h"
#include "trace/layout.h"

enum { BO_TRACE_LEVELS = 3 };

/* A recording's settings, in this process's memory: nothing in the file determines where this process writes.
 * `chunks` falls if the disk is full; `room`: how many chunks have memory or blocks on the disk. */
struct bo_trace_recording {
    struct bo_trace_recording *last; /* the one before */
    struct bo_trace_head *head;
    struct bo_trace_chunk *chunk;
    _Atomic uint32_t chunks, room;
    uint32_t process, pid_ns;
    int64_t threshold;
    int flags;
};
/* The last one that has begun. It stays when the next one begins: a thread that is slow may still write to its memory,
 * and each step of a thread is to use one recording. */
extern struct bo_trace_recording *_Atomic bo_trace_last;

static inline struct bo_trace_recording *bo_trace(void)
{
    return bo_load_acquire(&bo_trace_last);
}

/*
 * The calling thread's chunk at one level: 0 in ordinary code, above in a signal handler that has interrupted the
 * writing of an event.
 *
 *   recording   the number of the recording that it is of; another one: it has no chunk
 *   of          its settings. Only they determine what is written to the chunk: another recording can have begun
 *   retry_at    no chunk could be taken: do not try before that time
 */
struct bo_trace_level {
    struct bo_trace_chunk *chunk;
    struct bo_trace_recording *of;
    uint32_t recording, lap, used, ordinal;
    uint64_t events;
    int64_t retry_at;
};

/* Make room for so many units, in the chunk that the level has or in a new one. False: there is none; the events are
 * lost. [signal] */
bool bo_trace_room(struct bo_trace_level *l, unsigned units);
/* The thread ends: others may take its chunk. [signal] */
void bo_trace_give_back(struct bo_trace_level *l);
/* Count events that are lost. [signal] */
void bo_trace_lose(uint64_t events);

/* Events of the process (trace/write.c). `parent`: the number of the process that has forked it; 0: none. */
void bo_trace_process_begin(uint32_t parent);
void bo_trace_process_end(void);
/* In a forked child: the chunks of the calling thread are the parent's. */
void bo_trace_writer_forked(void);

#endif

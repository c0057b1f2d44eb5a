/* SPDX-License-Identifier: MIT */
/*
 * Recording: each thread writes its events to a chunk of the recording (trace/layout.h) that it alone uses, without a
 * lock and without a system call. All of these functions may be called in a signal handler, and keep errno. They have
 * no effect if no recording is on.
 *
 * A handler that interrupts the writing of an event writes to another chunk of its thread, so no event is torn. Events
 * of handlers that are nested more deeply are lost, and counted.
 */
#ifndef BO_TRACE_RECORDER_H
#define BO_TRACE_RECORDER_H

#include <stdbool.h>
#include <stdint.h>
#include "base/atomic.h"
#include "base/clock.h"
#include "trace/layout.h"

/* The number of the recording that is on; 0: no recording is on. */
extern _Atomic uint32_t bo_trace_on;

static inline bool bo_tracing(void)
{
    return bo_unlikely(bo_load_relaxed(&bo_trace_on));
}

/* The present generation of a thread: its handle, its branch's handle, and their names, at most BO_TRACE_NAME bytes.
 * The branch is 0 for an adopted thread. */
struct bo_trace_thread {
    uint64_t handle, branch;
    int tid; /* of a thread that began before the recording */
    const char *name, *branch_name;
};

/* `known`: the thread began before the recording. */
void bo_trace_thread_begin(const struct bo_trace_thread *t, bool known);
void bo_trace_thread_name(uint64_t thread, const char *name);
void bo_trace_thread_end(uint64_t thread, unsigned outcome, int error);
/* `owner` 0: the calling thread opens the branch. Otherwise the thread `owner` has opened it before the recording. */
void bo_trace_branch_begin(uint64_t branch, uint64_t outer, uint64_t owner, const char *name);
void bo_trace_branch_end(uint64_t branch, int error, bool interrupted);
/* A region of this kind (enum bo_region_kind) begins, inside `depth` open regions. */
void bo_trace_region_begin(unsigned kind, uint32_t depth, const char *file, int line);
/* A jump has left all but the outermost `depth` regions. */
void bo_trace_regions_left(uint32_t depth);
void bo_trace_region_end(unsigned kind, uint32_t depth, int64_t since, const char *file, int line);
void bo_trace_post(uint64_t target, unsigned kind, uint32_t serial, int rung, const char *reason);
void bo_trace_delivery(uint64_t target, unsigned kind, uint32_t serial, int rung);
void bo_trace_close(uint64_t target, unsigned kind, uint32_t serial, unsigned how);
void bo_trace_climb(uint64_t target, unsigned kind, uint32_t serial, int rung, const char *why, const char *place);
void bo_trace_fail(uint64_t target, int error, const char *message);
/* A wait for the GIL has ended now. */
void bo_trace_lock_wait(int64_t since);
/* The calling thread gives its slot up, or ends: other threads may take its chunks. */
void bo_trace_thread_gone(void);

/* ---- blocking calls ---------------------------------------------------------------------------------------------- */

/* A call in progress, with the outer call that it has interrupted, if it is made in a signal handler. */
struct bo_trace_call {
    int64_t since, outer_since;
    uint64_t what, argument, outer_what, outer_argument;
    const char *text;
    bool is_on;
};

/* `text`: `length` bytes, at most BO_TRACE_CALL_TEXT, which are valid until the call is over. */
struct bo_trace_argument {
    enum bo_trace_argument_kind kind;
    unsigned length;
    uint64_t value;
    const char *text;
};

/* Whether to find arguments. The event has them only if the recording that it is written to allows arguments. */
bool bo_trace_has_arguments(void);
/* Show that the thread is in this call. */
void bo_trace_call_begin(struct bo_trace_call *call, unsigned number, const struct bo_trace_argument *argument);
/* The call is over. An event is written if the call took at least the threshold. */
void bo_trace_call_end(struct bo_trace_call *call);
/* A jump has left all calls of the thread. */
void bo_trace_calls_left(void);

/* ---- on and off (trace/switch.c) ----------------------------------------------------------------------------------
 * */

enum { BO_TRACE_SIZE = 64 << 20, BO_TRACE_THRESHOLD = 1000000 };

/* `file` NULL: a file in memory, whose descriptor other processes open. */
struct bo_trace_wish {
    const char *file;
    uint64_t size;
    int64_t threshold;
    bool without_arguments;
    int joined; /* out: another process records to this file already, and this process has joined it */
};

/* Begin a recording: 0, or an error number, and the reason as text in `why`. EBUSY: a recording is on already. Called
 * in ordinary code. */
int bo_trace_begin(struct bo_trace_wish *wish, char *why, unsigned size);
/* Begin the recording that the environment asks for (docs/recording.md); 0 also if it asks for none. */
int bo_trace_begin_by_environment(char *why, unsigned size);
/* End the recording; `by_exit`: because the process ends. ENOENT: no recording is on. */
int bo_trace_end(bool by_exit);
/* The descriptor of a recording to a file in memory, which other processes open; -1: there is none. */
int bo_trace_descriptor(void);
bool bo_trace_is_in_memory(void);
/* Whether another process has a lock on that file. */
bool bo_trace_is_watched(void);
/* Called in a forked child, in which only the calling thread continues. */
void bo_trace_forked(void);
/* A text for the program's operator, returned once, if the recording was limited since the last call because the disk
 * is full. NULL: there is nothing to report. */
const char *bo_trace_complaint(void);

#endif

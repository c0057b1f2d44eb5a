/* SPDX-License-Identifier: MIT */
/*
 * A recording: a file that all threads of a process, and of the processes forked from it, map and write to. It survives
 * a crash and SIGKILL, because the kernel keeps what was stored.
 *
 *      page 0                 header: limits, clocks, how many events were lost
 *      page 1, 2, ...         chunks
 *
 * A chunk belongs to one thread. Its units are written in order, each of them once; an event is one unit, and one more
 * for each 24 bytes of text. A full chunk stays until it is needed again: the oldest is taken first, so the file keeps
 * the newest events of all threads, and the header counts those that were lost.
 *
 *      FREE --a thread takes it: lap + 1--> IN_USE --full, or the thread ends--> FULL --taken again: lap + 1--> IN_USE
 *
 * A reader never sees half an event. A unit's first field, which is stored last, has the lap of its chunk: a unit of
 * another lap was not written yet. If the chunk's lap has changed after the reader has copied the chunk, the reader
 * drops the copy.
 *
 * The command is built with this file, too. The command treats a recording as hostile, and checks all of it.
 */
#ifndef BO_TRACE_LAYOUT_H
#define BO_TRACE_LAYOUT_H

#include <stdint.h>
#include "base/atomic.h"

#define BO_TRACE_MAGIC "bough recording"
enum { BO_TRACE_VERSION = 2, BO_TRACE_PAGE = 4096, BO_TRACE_UNITS = 114, BO_TRACE_NAME = 32, BO_TRACE_MORE = 15 };
/* The smallest and the largest number of chunks. */
enum { BO_TRACE_CHUNKS_LEAST = 63, BO_TRACE_CHUNKS_MOST = 1 << 24 };

enum bo_trace_flags { BO_TRACE_WITHOUT_ARGUMENTS = 1, BO_TRACE_IN_MEMORY = 2 };

struct bo_trace_head {
    char magic[16]; /* stored last */
    uint32_t version, page, units, chunks;
    uint32_t flags; /* enum bo_trace_flags */
    int32_t pid;    /* of the process that has begun the recording */
    int64_t threshold;
    int64_t begun, wall_at_begun; /* CLOCK_MONOTONIC and CLOCK_REALTIME */
    char library[16];
    _Atomic int64_t ended;        /* when a process has ended the recording cleanly; 0: no process has */
    _Atomic uint32_t first_ended; /* the process that began the recording has ended it, and does not join it again */
    _Atomic uint32_t processes;   /* numbers the processes, from 1 */
    _Atomic uint32_t hand;        /* the next chunk to examine */
    _Atomic uint64_t lost;        /* events that got no chunk, or whose chunk was taken again */
    _Atomic uint32_t is_full;     /* the largest number of chunks after the disk was full; 0: it was not full */
};

/*
 * The first field of a unit:  lap (32) | number (16) | extra (4) | units of text that follow (4) | type (8)
 * Text: lap (32) | 0 (24) | type (8), and 24 bytes.
 */
struct bo_trace_unit {
    _Atomic uint64_t field[4];
};

static inline uint64_t bo_trace_first(uint32_t lap, unsigned type, unsigned more, unsigned extra, unsigned number)
{
    return (uint64_t)lap << 32 | (uint64_t)(number & 0xffff) << 16 | (uint64_t)(extra & 15) << 12 |
           (uint64_t)(more & 15) << 8 | (type & 255);
}

/*
 *                              number            extra             field 1  field 2          field 3          text
 */
enum bo_trace_type {
    BO_TRACE_TEXT = 1,
    BO_TRACE_PROCESS_BEGIN, /* 0                 0                 time     parent process   0                command */
    BO_TRACE_PROCESS_END,   /* 0                 0                 time     0                0                  */
    BO_TRACE_THREAD_BEGIN, /* 0                 1: known before   time, tid thread          parent branch    name, branch */
    BO_TRACE_THREAD_NAME,  /* 0                 0                 time     thread           0                name */
    BO_TRACE_THREAD_END,   /* outcome           0                 time     thread           error              */
    BO_TRACE_BRANCH_BEGIN, /* 0                 1: known before   time, owner branch           outer branch     name */
    BO_TRACE_BRANCH_END,   /* 1: interrupted    0                 time     branch           error              */
    BO_TRACE_CALL_OVER, /* the call          argument's kind   time     duration         argument         text of it */
    BO_TRACE_REGION,    /* its kind          0                 time     duration         line             file */
    BO_TRACE_LOCK_WAIT, /* 0                 0                 time     duration         0                  */
    BO_TRACE_POST,      /* kind              rung              time     target           serial           reason */
    BO_TRACE_DELIVERY,  /* kind              rung              time     target           serial             */
    BO_TRACE_CLOSE,     /* kind              how it ended      time     target           serial             */
    BO_TRACE_CLIMB,     /* kind              rung              time     target           serial           why, place */
    BO_TRACE_FAIL       /* 0                 0                 time     thread or branch error            message */
};

/* The kind of a call's argument, and of its text. Timeout: in ms, rounded up, + 1; 0: none. */
enum bo_trace_argument_kind {
    BO_TRACE_NOTHING,
    BO_TRACE_FD,      /* timeout (32) | descriptor (32) */
    BO_TRACE_ADDRESS, /* of a lock, a condition, memory */
    BO_TRACE_TIME,    /* ns */
    BO_TRACE_ID,      /* of a queue or a set of semaphores of System V */
    BO_TRACE_COUNT,   /* timeout (32) | how many descriptors or operations (32) */
    BO_TRACE_BELOW,   /* timeout (32) | descriptors below this number (32) */
    BO_TRACE_PATH,    /* the descriptor of the folder; text: the path, or its end after BO_TRACE_CUT */
    BO_TRACE_SOCKET,  /* the descriptor, -1: none; text: the beginning of a struct sockaddr */
    BO_TRACE_CHILD,   /* a process that is waited for, as waitpid() takes it */
    BO_TRACE_THREAD,  /* the id of a thread; 0: the thread has ended */
    BO_TRACE_BRANCH,  /* a handle */
    BO_TRACE_SIGNALS, /* bit 0: signal 1 */
    BO_TRACE_NAME_OF  /* text: a host and a service */
};
#define BO_TRACE_CUT "..."
enum { BO_TRACE_CALL_TEXT = 112 }; /* struct sockaddr_un has 110 */

/* Calls that are not one system call: their numbers are above those of system calls. */
enum { BO_TRACE_LIBC = 0x8000 };
enum bo_trace_wait {
    BO_TRACE_IN_JOIN = BO_TRACE_LIBC,
    BO_TRACE_IN_COND,
    BO_TRACE_IN_SEM,
    BO_TRACE_IN_AIO,
    BO_TRACE_IN_BRANCH_END,
    BO_TRACE_IN_GETADDRINFO,
    BO_TRACE_IN_GETNAMEINFO,
    BO_TRACE_WAITS
};

/* The call that a thread is in. In the lowest bits of `what`: length of the text (8) | number (16) | argument's kind
 * (4). `since` 0: the thread is in no call. */
struct bo_trace_open {
    _Atomic int64_t since;
    _Atomic uint64_t what, argument;
};

/* An open region of kind enum bo_region_kind. `since` 0: there is no region. */
enum { BO_TRACE_REGIONS = 6, BO_TRACE_FILE = 20 };
struct bo_trace_open_region {
    _Atomic int64_t since;
    _Atomic uint32_t what; /* line (24) | kind (8) */
    char file[BO_TRACE_FILE];
};

enum bo_trace_chunk_state { BO_TRACE_FREE, BO_TRACE_IN_USE, BO_TRACE_FULL };

/*
 *   claim       lap (32) | state (32)
 *   filled      the lap in which the other fields were stored
 *   process     the process's number in this recording
 *   tid         0: another thread has made the thread's slot
 *   ordinal     the chunk's number in its thread, from 0
 *   before      how many events the thread had written before this chunk
 *   thread, branch, names   of the thread when it took the chunk; 0: the thread is not adopted
 *   region      the outermost open regions, by their depth
 */
struct bo_trace_chunk {
    _Atomic uint64_t claim;
    _Atomic uint32_t filled;
    _Atomic uint32_t process;
    _Atomic int32_t pid, tid;
    uint32_t ordinal;
    _Atomic uint32_t pid_ns;
    uint64_t before;
    uint64_t thread, branch;
    struct bo_trace_open call;
    char call_text[BO_TRACE_CALL_TEXT];
    struct bo_trace_open_region region[BO_TRACE_REGIONS];
    char name[BO_TRACE_NAME], branch_name[BO_TRACE_NAME];
    struct bo_trace_unit unit[BO_TRACE_UNITS];
};

_Static_assert(sizeof(struct bo_trace_unit) == 32, "four fields");
_Static_assert(sizeof(struct bo_trace_chunk) == BO_TRACE_PAGE, "a chunk is a page");
_Static_assert(sizeof(struct bo_trace_head) <= BO_TRACE_PAGE, "the header is in the first page");

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A recording, read and checked: the processes, threads and branches that it mentions, and the events, in the order of
 * time. Its reader is trace_read(); pictures and exports are made from it alone.
 *
 * All times are ns of CLOCK_MONOTONIC. Indices are for the arrays of struct trace; NONE is for no element. All texts are
 * valid UTF-8 without control characters (bo_plain), and belong to the struct.
 */
#ifndef BOUGH_CLI_TRACE_H
#define BOUGH_CLI_TRACE_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { TRACE_NONE = -1 };
#define TRACE_OPEN INT64_MAX /* an end that is not recorded: it has not come yet, or the process was killed */

struct trace_process {
    pid_t pid;
    int parent; /* the process that forked it; NONE: the first */
    int64_t begun, ended;
    const char *command;
};
struct trace_thread {
    int process;
    pid_t tid;
    const char *name;
    int branch; /* the branch whose child it is; NONE: of the process, adopted or main */
    int64_t begun, ended;
    bool is_library_thread; /* ticker and the like */
    uint64_t lost;          /* the number of events that were overwritten */
};
struct trace_branch {
    int process;
    const char *name;
    int outer; /* branch around it */
    int owner; /* thread that opened it */
    int64_t begun, ended;
    const char *outcome; /* "" while it is open */
};

enum trace_what {
    TRACE_CALL,      /* [at, until): a blocking call; text: its name, detail: the main argument or "" */
    TRACE_SECTION,   /* [at, until): a critical section or another region; text: its level or name */
    TRACE_GIL,       /* [at, until): a wait for the GIL */
    TRACE_POSTED,    /* by `thread` (NONE: a timer, the kernel, another process); text: kind, detail: reason */
    TRACE_DELIVERED, /* the target's thread; text: kind */
    TRACE_OVER,      /* the record is over; text: cleared, ended, lost */
    TRACE_RUNG,      /* the incident of a target goes to `rung`; text: why, detail: place */
    TRACE_FAILURE    /* a thread or branch has failed; text: the error */
};
struct trace_event {
    int64_t at, until; /* until == at for an event without duration */
    enum trace_what what;
    int process, thread; /* where it happened; thread NONE: not on a known thread */
    int target_thread,
        target_branch; /* of interrupts and rungs: one of the two is set; both NONE: all threads of the process */
    int rung;          /* 1 to 6; 0: no rung */
    uint32_t serial;   /* of the record: the same in POSTED, DELIVERED, OVER and RUNG of one interrupt and target */
    const char *kind;  /* of that interrupt: "stop", "deadline", ... */
    const char *text, *detail;
};
struct trace {
    struct trace_process *processes;
    struct trace_thread *threads;
    struct trace_branch *branches;
    struct trace_event *events;
    int n_processes, n_threads, n_branches, n_events;
    int64_t begun, ended;  /* of the recording */
    int64_t wall_at_begun; /* CLOCK_REALTIME at `begun` */
    uint64_t lost;         /* events of all threads that were lost */
    bool was_cut_off;      /* no process wrote the recording's end: it was killed, or still runs */
    void *memory;
};
#endif

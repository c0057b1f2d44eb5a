/* SPDX-License-Identifier: MIT */
/*
 * The extension's data: one struct for the process, one for each thread whose Python code has used bough.
 *
 * The library keeps an interrupt's records, the threads' levels and the wakes. The extension keeps only what needs the
 * interpreter: the exception that has to be raised, and whether a call of the interpreter was interrupted whose error
 * must still be replaced.
 *
 *      poster, with the GIL                           target
 *      --------------------                           ------
 *      exc.posted = E  (raise_exc)                    in a blocking call, without the GIL:
 *      bough_post_event(target) -------------------->   the library interrupts the call
 *                                                       bp_call_interrupted() sets cut.is_set, cut.why
 *                                                       the call fails with BP_CUT, an unused errno
 *                                                     the interpreter creates an OSError for that, with the GIL:
 *                                                       alloc_or_raise() finds `cut`, raises E or a ThreadExit instead
 *                                                     in bytecode: check_interrupt(), or delivery.c, asynchronously
 *
 * The GIL protects all of the following (the module declares that it needs the GIL), except `cut` and `wait`, which
 * only the thread itself uses, with or without the GIL.
 */
#ifndef BP_STATE_H
#define BP_STATE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <bough.h>
#include <stdbool.h>

/* The errno of an interrupted call. The kernel has no errno so high, so no code mistakes BP_CUT for another error.
 * BP_CUT is not EINTR, because the interpreter would retry the call then. */
enum { BP_CUT = 1125 };

/* The place of a thread's Python code: the frame, whose contents are never read, and its instruction. */
struct bp_place {
    const void *frame;
    intptr_t instruction;
};

/* Identifies a record, with the time until which it is not raised again. */
struct bp_raised {
    bough_target target;
    bough_time since;
    enum bough_kind kind;
    int rung;
    bough_time until;
};

/* A record that stays pending is not raised again for a while. So each thread remembers the last records raised. */
enum { BP_RAISED_KEPT = 4 };
struct bp_raised_lately {
    struct bp_raised records[BP_RAISED_KEPT];
    unsigned next; /* the entry that is used next */
};

/* The entry's links in the list and the table of entries.c. */
struct bp_entry {
    struct bp_thread *next, **link, *same;
};

/* The thread's interrupted call. Used by the thread only, with or without the GIL. */
struct bp_cut {
    bool is_set; /* a call was interrupted, and no exception was raised for it yet */
    struct bp_place place;
    struct bough_record why;
    bool raises;   /* the call is in a function that raises an OSError right after it: call_errors.c */
    bool unplaced; /* the call's place has not been recorded yet: cause.c */
};

/* The interpreter's waits that the thread is in. Used by the thread only, with or without the GIL. */
struct bp_wait {
    bool in_lock; /* in a lock's method whose wait may be interrupted */
    bool lock_cut;
    bool in_readline;
};

/* Exceptions that the thread is to raise, and the records that it has raised. */
struct bp_exceptions {
    PyObject *posted;                /* by raise_exc(), not raised yet; NULL */
    bool raised;                     /* an interrupt's exception was raised in the thread, or in this work item */
    bool in_finalizer;               /* in a file's finalizer, in which an exception is kept: finalizers.c */
    PyObject *raised_in_finalizer;   /* that exception; NULL */
    PyObject *final;                 /* the exception that a final handler raised, which ends the thread; NULL */
    struct bp_raised_lately *lately; /* NULL: no record was raised, as in most threads */
};

/* Interrupts that were posted before the thread had a handle: queued.c. */
struct bp_queue {
    struct bp_queued *first, *last; /* NULL */
};

struct bp_grace {
    int64_t length;   /* after a call was interrupted, no other one is for this time, ns; 0: the default */
    bough_time until; /* when the grace period of the pending interrupt ends */
};

/* The blocks of on_interrupt() that are open: callback.c. */
struct bp_callbacks {
    struct bp_callback *innermost;
    bool nudged; /* the thread's calls are interrupted because of them, and the thread has not noticed yet: nudge.c */
};

struct bp_open_regions {
    struct bp_region *innermost;
    struct bp_region *spare; /* memory for the next region; NULL */
    bool disabled;           /* the thread was started disabled: only allow regions admit interrupts */
};

/* The interrupt that the thread has to raise, as the async thread sees it: delivery.c. */
struct bp_due {
    bool is_set;             /* `event_fd` was readable when last checked */
    struct bp_raised record; /* the record that was pending then */
    bough_time since;        /* when the async thread saw that an exception has to be raised; 0: none has to be */
    PyObject *callable;      /* called each time that an interrupt becomes due; NULL */
};

/* The time that the thread has to reach an interruption point: turn.c. */
struct bp_turn {
    int64_t had_run; /* the thread's CPU time when an interrupt last woke the async thread; 0: none has */
    int64_t from;    /* the thread's CPU time when this turn began */
    bool over;
};

/* The state of the async thread's checks of the thread. */
struct bp_look {
    bool listed; /* in the list of threads to examine: async_exc.c */
    struct bp_thread *before, *next;
    struct bp_place place; /* the thread's place when last examined */
    int again_in;          /* ms until the next check; grows while the thread stays at `place`; 0: not examined yet */
};

/* How long the thread has been in the same call: c_code.c. */
struct bp_stays {
    struct bp_place place;
    bough_time since;
};

/* The exception of PyThreadState_SetAsyncExc(): armed.c. */
struct bp_armed {
    bool is_set; /* an exception was armed, and was not raised yet */
    bough_time at;
    bool withdrawing; /* the exception is being raised in a function where it has no effect */
};

/* The monitoring of the thread's instructions: monitor.c. */
struct bp_monitored {
    bool awaited;               /* an exception is waiting for an instruction where it may be raised */
    Py_tracefunc traced_before; /* 3.11: the debugger's trace function, while trace.c traces */
};

struct bp_fork {
    bool in_hooks;         /* between the hooks of os.fork(): no exception may be armed */
    PyObject *left_behind; /* in a forked process: the exception that was posted in the parent, to be dropped */
};

struct bp_thread {
    struct bp_entry entry;
    uint64_t id;           /* of its PyThreadState: never used twice in a process */
    PyThreadState *tstate; /* valid as long as the entry is in the list, if `begun` is set: bp_thread_lives() */
    bough_thread *handle;  /* NULL: the library does not know it */
    bool begun;            /* the thread has used bough itself; false: a poster has created the entry */
    bool late;             /* the entry was created while the thread state was being cleared: thread.c */

    unsigned kinds; /* the kinds of interrupts that end its blocking calls, a bit each; 0: not opted in */
    struct bp_grace grace;
    struct bp_callbacks callbacks;
    struct bp_open_regions regions;
    struct bp_branch_object *branches; /* the branches that it has open, the innermost first: open_branches.c */
    PyObject *child;                   /* the Child that runs in the thread; NULL */

    struct bp_cut cut;
    struct bp_wait wait;
    struct bp_exceptions exc;
    struct bp_queue queue;

    bool in_item;      /* the thread runs a pool's call: admits.c */
    bool asynchronous; /* interrupts are raised anywhere in the thread's bytecode */
    int event_fd;      /* readable while an interrupt is due; -1 */
    struct bp_due due;
    struct bp_turn turn;
    struct bp_look look;
    struct bp_stays stays;
    struct bp_armed armed;
    struct bp_monitored monitor;
    struct bp_fork fork;
};

/* The process's data: the patches of the interpreter, and what Python code has registered. */
struct bp_process {
    PyInterpreterState *interpreter; /* the main interpreter */
    struct bp_thread *threads;
    unsigned changes;       /* how many entries were removed from that list */
    PyObject *thread_exit;  /* the class; NULL: _exceptions.py is not loaded yet */
    PyObject *may_raise_in; /* _async_safe.py's: may an exception be raised in this frame? NULL: not loaded yet */
    PyObject *record_type;
    bool opted_in; /* calls are interposed, methods replaced */
};

extern struct bp_process bp;
extern __thread struct bp_thread *bp_me __attribute__((tls_model("initial-exec")));

/* The innermost frame of a thread state; NULL: the thread executes no Python code. From 3.15 on each thread state has a
 * base frame outside all others. */
static inline struct _PyInterpreterFrame *bp_innermost(const PyThreadState *ts)
{
#if PY_VERSION_HEX >= 0x030F0000
    return ts->current_frame == ts->base_frame ? NULL : ts->current_frame;
#elif PY_VERSION_HEX >= 0x030D0000
    return ts->current_frame;
#else
    return ts->cframe->current_frame;
#endif
}

/* `frame` NULL: the thread state has no frame, as at the start of a thread. */
static inline void bp_set_innermost(PyThreadState *ts, struct _PyInterpreterFrame *frame)
{
#if PY_VERSION_HEX >= 0x030F0000
    ts->current_frame = frame ? frame : ts->base_frame;
#elif PY_VERSION_HEX >= 0x030D0000
    ts->current_frame = frame;
#else
    ts->cframe->current_frame = frame;
#endif
}

#endif

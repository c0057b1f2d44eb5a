/* SPDX-License-Identifier: MIT */
/*
 * The extension's data: one struct for the process, one for each thread whose Python code has used bough.
 *
 * The interrupt itself lives in the library: records, levels, wakes. Here is only what the library can't know: the
 * exception that is to be raised, and whether a call of the interpreter was interrupted and its error is still to be
 * replaced.
 *
 *      poster, with the interpreter lock              target
 *      --------------------------------              ------
 *      exception = E   (raise_exc)                    in a blocking call, without the lock:
 *      bough_post_event(target) -------------------->   the library cuts it; on_interrupted(): cut = true, why = record
 *                                                       the call fails with BP_CUT, an unused errno
 *                                                     the interpreter makes an OSError of it, with the lock:
 *                                                       alloc_or_raise() finds `cut`, raises E or a ThreadExit instead
 *                                                     in bytecode: check_interrupt(), or delivery.c, asynchronously
 *
 * The interpreter lock protects all of the following (the module declares that it needs the lock), except `cut`, `why`,
 * `in_lock` and `lock_cut`, which only the thread itself uses, with or without the lock.
 */
#ifndef BP_STATE_H
#define BP_STATE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <bough.h>
#include <stdbool.h>

/* The errno of an interrupted call. The kernel has no errno so high, so no code mistakes it for another error. Not
 * EINTR, after which the interpreter would retry the call. */
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

/* Records that stay pending are not raised again for a while: so many are remembered for each thread. */
enum { BP_RAISED_KEPT = 4 };
struct bp_raised_lately {
    struct bp_raised records[BP_RAISED_KEPT];
    unsigned next; /* the entry that is used next */
};

struct bp_thread {
    struct bp_thread *next, **link, *same; /* entries.c */
    uint64_t id;                           /* of its PyThreadState: never used twice in a process */
    PyThreadState *tstate; /* valid as long as the entry is in the list, if `begun` is set: bp_thread_lives() */
    bough_thread *handle;  /* NULL: the library does not know it */
    bool begun;            /* the thread uses bough itself; else a poster has made the entry */

    unsigned kinds; /* the kinds of interrupts that end its blocking calls, a bit each; 0: not opted in */
    struct bp_callback *callbacks; /* blocks of on_interrupt() that are open, the innermost first: callback.c */
    bool nudged;                   /* their deadlines have passed, which it has not seen yet */
    bough_time grace_until;        /* when the grace period of the pending interrupt ends */
    int64_t grace; /* the time without further interruptions of its calls after one, ns; 0: the default */
    bool late;     /* the entry was made while the thread state was being cleared: thread.c */
    bool disabled; /* started disabled: only allow regions admit interrupts */
    struct bp_region *regions;
    struct bp_region *spare;           /* memory for the next region; NULL */
    struct bp_branch_object *branches; /* that it has open, the innermost first: branch_object.c */
    PyObject *child;                   /* the Child that runs in it; NULL */

    /* Used by the thread only, with or without the interpreter lock. */
    bool cut; /* a call was interrupted, and no exception was raised for it yet */
    struct bp_place cut_at;
    struct bough_record why;
    bool raises;   /* the call is in a function that raises an OSError right after it: call_errors.c */
    bool unplaced; /* the call's place has not been recorded yet: cause.c */
    bool in_lock;  /* in a lock's method whose wait may be interrupted */
    bool lock_cut;
    bool in_readline;

    PyObject *exception;                    /* posted by raise_exc(), not raised yet */
    bool raised;                            /* whether any exception of an interrupt was raised since its work began */
    PyObject *final;                        /* the exception that a final handler raised, which ends the thread; NULL */
    struct bp_queued *queued, *queued_last; /* what was posted before `handle` was there; NULL */

    /* For the async thread. */
    bool in_item;      /* it runs a pool's call: admits.c */
    bool asynchronous; /* interrupts come anywhere in its bytecode */
    int event_fd;      /* readable while an interrupt is due; -1 */
    bool armed;        /* PyThreadState_SetAsyncExc() was called and its exception was not raised yet */
    bough_time armed_at;
    struct bp_place stands; /* the thread's place when last examined, for c_code.c; and since when */
    bough_time stands_since;
    bool withdrawing;      /* the armed exception is being raised where it has no effect: armed.c */
    bool awaited;          /* the thread's instructions are monitored for the exception: monitor.c */
    bool due;              /* `event_fd` was readable when last checked */
    struct bp_raised seen; /* the record that was pending then */
    bough_time due_since;  /* when the async thread saw that there is something to raise; 0: nothing */
    int64_t had_run;       /* its processor time when an interrupt last woke the async thread; 0: none has */
    int64_t turn_from;     /* the same, of the interrupt that is to be raised: turn.c */
    bool turn_over;        /* it has had its time to come to a point */
    struct bp_raised_lately *raised_lately; /* NULL: nothing was, as in most threads */
    PyObject *on_due;                       /* called each time that an interrupt becomes due; NULL */
    bool active;                            /* in the async thread's list of threads to examine */
    struct bp_place looked_at;              /* the thread's place when last examined */
    int look_in; /* ms until the next check; it grows while the thread stays there; 0: not examined yet */
    struct bp_thread *active_before, *active_next;
    bool forking;               /* between the hooks of os.fork(): nothing may be armed */
    PyObject *left_behind;      /* in a forked process: what was posted in the parent, to be dropped */
    Py_tracefunc traced_before; /* 3.11: a debugger's, while trace.c traces */
};

/* The process's data: the patches of the interpreter, and what Python code has registered. */
struct bp_process {
    PyInterpreterState *interpreter; /* the main interpreter */
    struct bp_thread *threads;
    unsigned changes;      /* of that list */
    PyObject *thread_exit; /* the class; NULL: _exceptions.py is not loaded yet */
    PyObject
        *may_raise_in; /* function of _async_safe.py: may an exception come into this frame?; NULL: not loaded yet */
    PyObject *record_type;
    bool opted_in; /* calls are interposed, methods replaced */
};

extern struct bp_process bp;
extern __thread struct bp_thread *bp_me __attribute__((tls_model("initial-exec")));

/* The innermost frame of a thread state, whose contents are never read; NULL: it executes no Python code. From 3.15 on
 * each thread state has a base frame below all others. */
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

/* NULL: none, as at the start of a thread. */
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

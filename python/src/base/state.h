/* SPDX-License-Identifier: MIT */
/*
 * What the extension keeps: one struct for the process, one for each thread that Python code has used bough in.
 *
 * The interrupt itself lives in the library: records, levels, wakes. What is kept here is what only Python knows: the
 * exception that is to be raised, and whether a call of the interpreter's was cut and its error is still to be
 * replaced.
 *
 *      poster, with the interpreter lock              target
 *      --------------------------------              ------
 *      exception = E   (raise_exc)                    in a blocking call, without the lock:
 *      bough_post_event(target) -------------------->   the library cuts it; on_interrupted(): cut = true, why = record
 *                                                       the call fails with BP_CUT, an errno of nobody's
 *                                                     the interpreter makes an OSError of it, with the lock:
 *                                                       alloc_or_raise() finds `cut`, raises E or a ThreadExit instead
 *                                                     in bytecode: check_interrupt(), or delivery.c, asynchronously
 *
 * Who may touch what: everything below is protected by the interpreter lock (the module declares that it needs it), but
 * `cut`, `why`, `in_lock` and `lock_cut`, which belong to the thread itself, with or without the lock.
 */
#ifndef BP_STATE_H
#define BP_STATE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <bough.h>
#include <bough/interpose.h>
#include <stdbool.h>

/* The errno of a call that was cut: the kernel has none so high, so no code mistakes it for its own; not EINTR, after
 * which the interpreter would try again. */
enum { BP_CUT = 1125 };

/* A region that is open, innermost first: the library's lies in here, on the heap, where `with` blocks can find it. */
struct bp_region {
    struct bough_region region;
    struct bp_region *outer;
    int kind;           /* enum bp_region_kind */
    bough_time entered; /* of a critical section */
    int64_t budget;
    unsigned kinds_before; /* of a region that takes part */
    bool stays;            /* ...that lasts until its thread ends, whatever is entered and left meanwhile */
    PyObject *callable;    /* of a handler */
};

enum bp_region_kind { BP_CRITICAL = 1, BP_CLEANUP, BP_ALLOW, BP_TAKES_PART, BP_HANDLER };

/* Where a thread's Python code stands: the frame, never looked into, and its instruction. */
struct bp_place {
    const void *frame;
    intptr_t instruction;
};

/* Which record it is, and until when it is not raised again. */
struct bp_raised {
    bough_target target;
    bough_time since;
    enum bough_kind kind;
    int rung;
    bough_time until;
};

/* Records that stay pending: each waits before it is raised again. */
enum { BP_RAISED_KEPT = 4 };
struct bp_raised_lately {
    struct bp_raised records[BP_RAISED_KEPT];
    unsigned next; /* the entry that is used next */
};

/* A reason: a string, or None. */
struct bp_queued {
    struct bp_queued *next;
    PyObject *reason;
};

struct bp_thread {
    struct bp_thread *next, **link, *same; /* entries.c */
    uint64_t id;                           /* of its PyThreadState: never used twice in a process */
    PyThreadState *tstate; /* good as long as this is in the list, if `begun` is set: bp_thread_lives() */
    bough_thread *handle;  /* NULL: the library does not know it */
    bool begun;            /* it uses bough itself; else a poster was here first */

    unsigned kinds;                /* of interrupts that cut its blocking calls, a bit each; 0: it takes no part */
    struct bp_callback *callbacks; /* blocks of on_interrupt() that are open, the innermost first: callback.c */
    bool nudged;                   /* their deadlines have passed, which it has not seen yet */
    bough_time told_until;         /* it heard of the pending interrupt less than a grace ago */
    int64_t grace;                 /* for which its calls are left alone after a cut, ns; 0: by default */
    bool late;                     /* was made when the thread state was being cleared: thread.c */
    bool disabled;                 /* was started so: only allow regions admit interrupts */
    struct bp_region *regions;
    struct bp_region *spare;           /* the next one's memory; NULL */
    struct bp_branch_object *branches; /* that it has open, the innermost first: branch_object.c */
    PyObject *child;                   /* the Child that runs in it; NULL */

    /* Its own, with or without the interpreter lock. */
    bool cut; /* and no exception has come of it yet */
    struct bp_place cut_at;
    struct bough_record why;
    bool raises;   /* ...in a function that raises an OSError right after it: interpose.c */
    bool unplaced; /* ...and its place has not been noted yet: cause.c */
    bool in_lock;  /* in a lock's method whose wait may be cut */
    bool lock_cut;
    bool in_readline;

    PyObject *exception;                    /* posted by raise_exc(), not raised yet */
    bool raised;                            /* anything at all of an interrupt, since its work began */
    PyObject *final;                        /* what a final handler raised: the thread ends by it; NULL */
    struct bp_queued *queued, *queued_last; /* what was posted before `handle` was there; NULL */

    /* For the async thread. */
    bool asynchronous; /* interrupts come anywhere in its bytecode */
    int event_fd;      /* readable while an interrupt is due; -1 */
    bool armed;        /* PyThreadState_SetAsyncExc() was called and its exception has not come yet */
    bough_time armed_at;
    struct bp_place stands; /* where the async thread saw it last, for c_code.c; and since when */
    bough_time stands_since;
    bool withdrawing;      /* the armed exception is being raised in a place of no consequence: carrier.c */
    bool awaited;          /* the same for an interpreter that monitors: monitor.c */
    bool due;              /* `event_fd` was readable at the last look */
    struct bp_raised seen; /* the record that was pending then */
    bough_time due_since;  /* when the async thread saw that there is something to raise; 0: nothing */
    int64_t had_run;       /* its processor time when an interrupt last woke the async thread; 0: none has */
    int64_t turn_from;     /* the same, of the interrupt that is to be raised: turn.c */
    bool turn_over;        /* it has had its time to come to a point */
    struct bp_raised_lately *raised_lately; /* NULL: nothing was, as in most threads */
    PyObject *on_due;                       /* called each time that an interrupt becomes due; NULL */
    bool active;                            /* in the async thread's list of threads to look at */
    struct bp_place looked_at;              /* where the thread stood at the last look */
    int look_in; /* ms, from then on; more than the least: it stands there for long; 0: never yet */
    struct bp_thread *active_before, *active_next;
    bool forking;               /* between the hooks of os.fork(): nothing may be armed */
    PyObject *left_behind;      /* in a forked process: what was posted in the parent, to be dropped */
    Py_tracefunc traced_before; /* 3.11: a debugger's, while trace.c traces */
};

/* The interpreter's own patches, and what Python code has registered. */
struct bp_process {
    PyInterpreterState *interpreter; /* the one that all this belongs to */
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

/* The innermost frame of a thread state, never looked into; NULL: it executes no Python code. From 3.15 on there is one
 * of its own below all. */
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

/* ---- load.c ---------------------------------------------------------------------------------------- */

/* A name of one of the package's files, which is loaded. An exception that is set stays, unless NULL is returned with
 * another one. A new reference. */
PyObject *bp_load(const char *file, const char *name);

/* ---- text.c ------------------------------------------------------------------------------------------ */

/* Text as the library keeps it, good as long as the object that is returned: a new reference. NULL with an
 * exception. */
PyObject *bp_for_library(PyObject *text, const char **utf8);
/* Is the keyword argument this one? */
bool bp_is_keyword(PyObject *keyword, const char *name);

/* ---- errors.c -------------------------------------------------------------------------------------- */

/* errno, as an exception of the call that failed. NULL. */
PyObject *bp_error(const char *what);
/* An exception is set. If it is Python's for arguments that do not fit, which comes before any frame, misfit(function, exception)
 * completes its message. */
void bp_explain_misfit(PyObject *misfit, PyObject *function);
/* The same for a public function of this name. NULL. */
PyObject *bp_misfit(const char *name);
/* The exception that is set, which is no more: a new reference. NULL: none is. */
PyObject *bp_taken_exception(void);
/* Sets a NotAliveError. */
void bp_not_alive(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- place.c --------------------------------------------------------------------------------------- */

/* The calling thread's place, with or without the interpreter lock. */
struct bp_place bp_place(const struct bp_thread *t);
/* Does it still stand where its call was cut? */
bool bp_is_cut_place(const struct bp_thread *t);

/* ---- traceback.c ------------------------------------------------------------------------------------ */

/* The traceback of the exception that is set begins where code that is not the package's stands. */
void bp_hide_own_frames(void);

/* ---- record.c -------------------------------------------------------------------------------------- */

PyObject *bp_record_object(const struct bough_record *record);
/* Its exception is there; this is the interrupt that goes with it. -1: the thread has ended. */
int bp_post_exception(struct bp_thread *t);
int bp_record_init(PyObject *module);
int bp_pool_call_init(PyObject *module);

/* ---- window.c ---------------------------------------------------------------------------------------- */

/* For tests: calls what set_window() was given, with the window's name. 0; -1 with the exception that it raised. */
int bp_window(const char *name);
/* The same where no exception may come out: it is reported. */
void bp_window_passed(const char *name);

/* ---- caller.c ----------------------------------------------------------------------------------------- */

/* Where the calling Python code stands; the file's name is kept for good. "" and 0: no Python code calls. */
const char *bp_caller(int *line);
/* The flags of its code (CO_COROUTINE and the like). */
int bp_caller_flags(void);

/* ---- count.c ------------------------------------------------------------------------------------------ */

/* For the interpreter's count of threads: fopen(), and what it was. */
FILE *bp_fopen(const char *path, const char *mode);
extern FILE *(*bp_libc_fopen)(const char *, const char *);

/* ---- ending.c ----------------------------------------------------------------------------------------- */

/* The interpreter ends: the interpreter lock is not to be asked for any more. */
bool bp_is_ending(void);
void bp_end(void);
/* Without the interpreter lock: whether the thread's state may be looked at, until bp_look_ends(). */
bool bp_look_begins(void);
void bp_look_ends(void);
void bp_looks_after_fork(void);

/* ---- thread.c ----------------------------------------------------------------------------------------- */

/* The calling thread, which becomes known to bough by it. NULL with an exception. */
struct bp_thread *bp_self(void);
/* The same if it is known already, else NULL without an exception. */
struct bp_thread *bp_thread_known(void);
/* The thread with an ident; made if no one has asked for it yet. NULL with an exception: it is not alive. */
struct bp_thread *bp_thread_of_ident(unsigned long ident);
/* Whether PyThreadState_SetAsyncExc() with its ident means it, and not a thread that it is just making. It lives. */
bool bp_ident_names(const struct bp_thread *t);
/* The one with that `id`. NULL: it has ended. The second one sets an exception then. */
struct bp_thread *bp_thread_find(uint64_t id);
struct bp_thread *bp_thread_of_id(uint64_t id);
struct bp_thread *bp_thread_of_state(PyThreadState *ts);
/* The entry is forgotten when its thread state's dictionary is cleared, which is this. -1 with an exception. */
int bp_thread_attach(struct bp_thread *t, PyObject *dict);
/* Is it a thread state that executes Python code? */
bool bp_runs_code(const PyThreadState *ts);
/* `tstate` may be looked into. */
bool bp_thread_lives(const struct bp_thread *t);
/* Where one that lives stands; NULL: in no Python code. A new reference. No other thread runs meanwhile. */
PyFrameObject *bp_thread_frame(const struct bp_thread *t);
/* Forget those whose threads have ended. */
void bp_prune(void);

/* ---- queued.c ----------------------------------------------------------------------------------------- */

/* For a thread without a handle: the reason is kept. -1 with MemoryError. */
int bp_queue(struct bp_thread *t, PyObject *reason);
/* It has a handle now: what was queued is posted. */
void bp_post_queued(struct bp_thread *t);
void bp_queued_drop(struct bp_thread *t);

/* ---- fork.c ------------------------------------------------------------------------------------------- */

int bp_fork_init(void);

/* ---- thread_name.c ------------------------------------------------------------------------------------ */

enum { BP_NAME = 32 }; /* bytes that the library keeps */

/* Of the thread with this ident, as threading has it; "": it is none of threading's. Runs no Python code, keeps a set
 * exception. */
void bp_thread_name(unsigned long ident, char *name, size_t size);

/* ---- stranger.c --------------------------------------------------------------------------------------- */

/* The library knows it from here on, though it may not have used bough: what is posted to it is seen, and reported
 * where it is not heeded (rule 16). Where that can't be `handle` stays NULL, and what is posted waits here. */
void bp_thread_show(struct bp_thread *t);

/* ---- entries.c ---------------------------------------------------------------------------------------- */

/* The entry with this number; NULL. */
struct bp_thread *bp_entry_find(uint64_t id);
void bp_entry_add(struct bp_thread *t);
/* It is there, once. */
void bp_entry_remove(struct bp_thread *t);

/* ---- raised.c ----------------------------------------------------------------------------------------- */

/* The instance is raised in the thread by bough; was it? */
void bp_mark_raised(const struct bp_thread *t, PyObject *exception);
bool bp_was_raised_here(const struct bp_thread *t, PyObject *exception);
/* The record is raised now. Until when it is not raised again, because it was raised a short time ago; 0: it was
 * not. */
void bp_note_raised(struct bp_thread *t, const struct bough_record *why);
bough_time bp_raised_until(const struct bp_thread *t, const struct bough_record *why);
/* What is pending may be raised again at once. */
void bp_forget_raised(struct bp_thread *t);
/* Two records, apart from their rungs. */
bool bp_same_record(const struct bp_raised *seen, const struct bough_record *why);

/* ---- exceptions.c ------------------------------------------------------------------------------------- */

/* Sets the exception for a record; the caller is its target. A posted one is consumed. */
void bp_raise(struct bp_thread *t, const struct bough_record *why);
/* The same as an object. NULL with another exception. */
PyObject *bp_exception_for(struct bp_thread *t, const struct bough_record *why);
/* A call was cut: -1 with the interrupt's exception; 0: it was cleared meanwhile. */
int bp_meet(struct bp_thread *t);
/* A ThreadExit with the record in it. NULL with another exception. */
PyObject *bp_thread_exit(const struct bough_record *why);

/* ---- point.c ------------------------------------------------------------------------------------------ */

/* An interruption point: -1 with the exception set. */
int bp_check(struct bp_thread *t);

/* ---- replaced.c --------------------------------------------------------------------------------------- */

/* Let errors that a cut has brought about become the interrupt's exception. */
int bp_replace_errors(bool on);

/* ---- rearm.c ------------------------------------------------------------------------------------------ */

/* It was swallowed: it comes again, if it was an interrupt's. Whether it was. */
bool bp_arm_again(struct bp_thread *t, PyObject *exception);

/* ---- cause.c ------------------------------------------------------------------------------------------ */

/* A call of the calling thread was interrupted; `cut_at` and `why` are set. With or without the interpreter lock. */
void bp_cause_cut(struct bp_thread *t);
/* The interrupt's exception is about to be raised by the calling thread, where it stands. */
void bp_cause_raised(struct bp_thread *t);
/* The thread's interrupted calls do not count any more; those of a record's target; those of a kind. */
void bp_cause_forget(struct bp_thread *t);
void bp_cause_forget_target(bough_target target);
void bp_cause_forget_kind(const struct bp_thread *t, enum bough_kind kind);
/* A callback of on_interrupt() is at work: what the thread executes now counts as interrupted. By any thread. Other
 * threads may run, and `t` may have ended when this returns. */
void bp_cause_running(struct bp_thread *t);
/* By the thread: the record that such places wait for is the one that is pending now. */
void bp_cause_known(const struct bp_thread *t);

/* ---- judge.c ------------------------------------------------------------------------------------------ */

/* The exception itself, or what the pending interrupt raises, with the exception as its cause, if the interrupt has
 * caused it. A new reference. */
PyObject *bp_as_interrupt(struct bp_thread *t, PyObject *exception);
/* Whether it has. */
bool bp_is_caused(const struct bp_thread *t, PyObject *exception);

/* ---- stand_in.c --------------------------------------------------------------------------------------- */

/* Stand for the interpreter's functions where extension modules call them. */
PyThreadState *bp_save_thread(void);
void bp_restore_thread(PyThreadState *ts);
void bp_acquire_thread(PyThreadState *ts);
PyGILState_STATE bp_gilstate_ensure(void);
void bp_clear_error(void);
void bp_print_error(int set_variables);
void bp_print_error_as_ever(void);
void bp_write_unraisable(PyObject *where);

/* ---- callback.c --------------------------------------------------------------------------------------- */

/* Are the thread's calls a callback's to end, and not to be interrupted? */
bool bp_callbacks_end_calls(const struct bp_thread *t);
/* Is one at work for it? */
bool bp_callback_runs(const struct bp_thread *t);
/* Is it the frame of the code that has one of the blocks? */
bool bp_callback_is_of(const struct bp_thread *t, const PyFrameObject *frame);
void bp_callbacks_forget(struct bp_thread *t);
/* Its call was interrupted because the deadline of its callbacks has passed. */
bool bp_is_nudge(const struct bp_thread *t, const struct bough_record *why);
/* By the thread itself: it has seen that. */
void bp_nudge_arrives(struct bp_thread *t);
void bp_nudge_for(struct bp_thread *t, struct bough_record *why);

/* ---- interpose.c -------------------------------------------------------------------------------------- */

int bp_interpose(void);
int bp_interpose_undo(void);
/* ---- kinds.c ------------------------------------------------------------------------------------------ */

/* Which interrupts cut the calling thread's blocking calls from here on. */
int bp_set_kinds(struct bp_thread *t, unsigned kinds);
enum { BP_ALL_KINDS = (1u << BOUGH_KINDS) - 1, BP_EXCEPTION_ONLY = 1u << BOUGH_EXCEPTION };

/* ---- call_errors.c ------------------------------------------------------------------------------------ */

/* The error of a call that is interrupted (bough/interpose.h): of the thread `argument`, called at `site`. */
int bp_choose_error(void *argument, const char *call, const void *site);
/* The object that the interpreter lies in: looked for, and its name; "" is the program. */
void bp_find_interpreter(void);
extern char bp_interpreters_name[256];

/* ---- waits.c ------------------------------------------------------------------------------------------ */

/* Sleeps, and ends early if an interrupt is due. */
void bp_pause(int64_t ns);

/* ---- cut.c -------------------------------------------------------------------------------------------- */

/* Is the error of a call that was interrupted still to come, where the calling thread stands? */
bool bp_is_cut_here(const struct bp_thread *t);
/* Whether an interrupt is due for the calling thread, whose wait ends by it: the interrupt's exception comes of the
 * error that the caller reports. With or without the interpreter lock. */
bool bp_cut_here(void);

/* ---- signals.c ---------------------------------------------------------------------------------------- */

/* In main: the signal that has asked everything to stop and was not said to be handled, or 0. */
int bp_unhandled_signal(void);

/* ---- sqlite.c ----------------------------------------------------------------------------------------- */

/* Stand for sqlite's functions where the module _sqlite3 calls them. */
int bp_sqlite_busy_timeout(void *database, int ms);
int bp_sqlite_sleep(int ms);
int bp_sqlite_backup_step(void *backup, int pages);
/* Their originals. */
extern bough_code *bp_sqlite_timeout, *bp_sqlite_slept, *bp_sqlite_step;

/* ---- stacks.c ----------------------------------------------------------------------------------------- */

/* The memory for the frames of threads that have ended is kept for the next ones, or no more. */
void bp_keep_stacks(bool on);

/* ---- lock_methods.c ----------------------------------------------------------------------------------- */

int bp_wrap_locks(void);
void bp_unwrap_locks(void);
/* For the report: a list of (name, whether it is wrapped). */
PyObject *bp_locks_report(void);

/* ---- armed.c ------------------------------------------------------------------------------------------ */

/* What is armed: its instances become the exception that is due. NULL before bp_carrier_init(). */
extern PyObject *bp_carrier;
/* The calling thread's armed exception does not come any more. Whatever exception is set stays. */
void bp_carrier_withdraw(struct bp_thread *t);
/* The exception that was armed is not wanted any more. */
void bp_disarm(struct bp_thread *t);
/* It is wanted, but not now: the async thread looks for another moment. */
void bp_hold(struct bp_thread *t);
/* What raise_exc() has posted to the calling thread and was not raised yet is not wanted any more. */
void bp_drop_posted(struct bp_thread *t);
/* Once. -1 with an exception. */
int bp_withdraw_init(void);

/* ---- carrier.c ---------------------------------------------------------------------------------------- */

int bp_carrier_init(void);
/* Its exception, now and here: it is at a place that admits it. */
void bp_raise_here(struct bp_thread *t);

/* ---- async_exc.c -------------------------------------------------------------------------------------- */

/* Before what needs it. It loads Python code, so other threads run, and may end: look a thread up afterwards, or keep
 * to the calling one. -1 with an exception: it could not be started. */
int bp_async_exc_start(void);
/* The async thread, which was started, is to look at the thread. No other thread runs meanwhile. */
void bp_async_exc_need(struct bp_thread *t);
/* The thread's entry is about to be freed. */
void bp_async_exc_forget(struct bp_thread *t);
/* By the thread itself: interrupts come anywhere in its bytecode. Whether they did before; -1 with an exception. */
int bp_set_asynchronous(struct bp_thread *t, bool on);
int bp_async_exc_init(void);
/* The interpreter is about to end: no thread of the library's may enter it any more. */
bool bp_async_exc_is(unsigned long ident);

/* ---- delivery.c --------------------------------------------------------------------------------------- */

/* By the async thread. In how many ms the thread is to be looked at again; -1: it lives, and there is nothing to raise.
 * It may have ended otherwise. */
int bp_delivery_look(struct bp_thread *t);

/* ---- turn.c ------------------------------------------------------------------------------------------- */

/* The clock of a live thread's processor time, which can be read without the GIL. */
int32_t bp_turn_clock(const struct bp_thread *t);
/* In ns; 0: it has ended. */
int64_t bp_turn_read(int32_t clock);
/* An interrupt may have become due, when the thread had run so long. */
void bp_turn_due(struct bp_thread *t, int64_t had_run);
/* By the async thread: it has seen that there is something to raise. Sets `due_since`. */
void bp_turn_begins(struct bp_thread *t);
/* Has it had its time to come to a point? */
bool bp_turn_is_over(struct bp_thread *t);

/* ---- admits.c ----------------------------------------------------------------------------------------- */

/* By the thread itself: does its place admit an exception? */
bool bp_place_admits_here(const struct bp_thread *t);
/* By the async thread: may one be armed? `t` may be gone when this comes back false. */
bool bp_may_come_in(struct bp_thread *t);

/* ---- c_code.c ----------------------------------------------------------------------------------------- */

/* By the async thread: what does this interpreter do? */
void bp_c_code_probe(void);
/* Has the thread stood in the same call for a while, which may raise what is armed? */
bool bp_stays_in_c(struct bp_thread *t);
/* Whether PyErr_CheckSignals() raises what is armed; known when the async thread runs. */
bool bp_signals_raise(void);

/* ---- monitor.c ---------------------------------------------------------------------------------------- */

/* The thread looks at each instruction of the functions it is in whether an exception may come in there. `waited`: ns
 * since it could have. False: not yet. */
bool bp_monitor(struct bp_thread *t, int64_t waited);
/* No thread is awaited any more. */
void bp_monitor_stop(void);
/* It slows these functions down: where a thread that runs is long in coming it is done a tenth of the time. */
bool bp_monitor_pauses(int64_t waited);

/* ---- instructions.c ----------------------------------------------------------------------------------- */

/* Call bp_watch_step() and bp_monitor_step() at each instruction of the code object, if one of them wants it, or no
 * more. Whatever exception is set stays. 0; -1: the interpreter can't do that, or has no tool left. */
int bp_instructions(PyCodeObject *code);

/* ---- trace.c ------------------------------------------------------------------------------------------ */

/* 3.11: the thread's trace function reports marked frames' instructions from here on; or no more, if nobody wants
 * it. */
void bp_trace(struct bp_thread *t);
void bp_trace_if_wanted(struct bp_thread *t);
/* The same, and marks all frames of the thread. */
void bp_trace_frames(struct bp_thread *t);

/* ---- regions.c ---------------------------------------------------------------------------------------- */

int bp_regions_init(PyObject *module);
/* Would an interrupt be let in here now, by levels alone? */
bool bp_admits(const struct bp_thread *t);
/* Ends the innermost region if it is of this kind; -1 with RuntimeError. */
int bp_region_end(struct bp_thread *t, int kind);
/* A region in which all interrupts cut blocking calls; it ends as any does. */
int bp_taking_part_begin(struct bp_thread *t);
int bp_critical_begin(struct bp_thread *t);
/* ladder.c: the handler's region; the library's return value. */
int bp_handler_enter(struct bp_region *r, PyObject *callable, unsigned flags, const char *file, int line);
/* The calling thread ends: so does what stays until then. */
void bp_regions_forget(struct bp_thread *t);
struct bp_region *bp_region_new(struct bp_thread *t, int kind);
/* Frees one that was not begun or is ended. */
void bp_region_free(struct bp_thread *t, struct bp_region *r);

/* All regions of the calling thread but the outermost `keep`: nobody can leave them any more. How many. */
long bp_leave_open(struct bp_thread *t, long keep);

/* ---- methods, each in the file that has its name ------------------------------------------------------- */

extern PyMethodDef bp_thread_methods[], bp_exception_methods[], bp_interpose_methods[], bp_post_methods[],
    bp_async_exc_methods[], bp_branch_methods[], bp_child_object_methods[], bp_branch_object_methods[],
    bp_pool_item_methods[], bp_pool_call_methods[], bp_ladder_methods[], bp_signal_methods[], bp_site_methods[],
    bp_report_methods[], bp_lock_methods[], bp_judge_methods[], bp_callback_methods[], bp_loop_methods[],
    bp_stranger_methods[], bp_interpreter_methods[], bp_around_methods[], bp_stack_methods[], bp_status_methods[],
    bp_window_methods[], bp_open_branch_methods[], bp_fork_methods[], bp_rearm_methods[], bp_replaced_methods[],
    bp_point_methods[], bp_reason_methods[], bp_cut_methods[], bp_kind_methods[], bp_scope_methods[],
    bp_scope_block_methods[], bp_scoped_methods[], bp_turn_methods[];

#endif

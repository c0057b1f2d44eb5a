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
#include <bough/interpose.h>
#include <stdbool.h>

/* The errno of an interrupted call. The kernel has no errno so high, so no code mistakes it for another error. Not
 * EINTR, after which the interpreter would retry the call. */
enum { BP_CUT = 1125 };

/* An open region; a thread's list has the innermost first. It contains the library's region, and is on the heap, where
 * `with` blocks can find it. */
struct bp_region {
    struct bough_region region;
    struct bp_region *outer;
    int kind;           /* enum bp_region_kind */
    bough_time entered; /* of a critical section */
    int64_t budget;
    unsigned kinds_before; /* of a region that opts in */
    bool stays;            /* it lasts until its thread ends, whatever regions are entered and left meanwhile */
    PyObject *callable;    /* of a handler */
};

enum bp_region_kind { BP_CRITICAL = 1, BP_CLEANUP, BP_ALLOW, BP_TAKES_PART, BP_HANDLER };

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

/* A reason: a string, or None. */
struct bp_queued {
    struct bp_queued *next;
    PyObject *reason;
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
    bough_time told_until;         /* when the grace period of the pending interrupt ends */
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

/* ---- load.c ---------------------------------------------------------------------------------------- */

/* Load one of the package's files, and return a name from it: a new reference. An exception that is set stays, unless
 * NULL is returned with another one. */
PyObject *bp_load(const char *file, const char *name);

/* ---- text.c ------------------------------------------------------------------------------------------ */

/* Convert text for the library. `*utf8` is valid as long as the returned object: a new reference. NULL with an
 * exception. */
PyObject *bp_for_library(PyObject *text, const char **utf8);
/* Text of the library's: names and reasons may come from the kernel or from C code, and contain any bytes. Those that are
 * not UTF-8 are replaced. NULL with MemoryError. */
PyObject *bp_text(const char *utf8);
/* Is the keyword argument this one? */
bool bp_is_keyword(PyObject *keyword, const char *name);

/* ---- errors.c -------------------------------------------------------------------------------------- */

/* Set an exception for errno after a failed call. Returns NULL. */
PyObject *bp_error(const char *what);
/* An exception is set. If it is Python's for arguments that do not fit, which comes before any frame, misfit(function,
 * exception) completes its message. */
void bp_explain_misfit(PyObject *misfit, PyObject *function);
/* The same for a public function of this name. NULL. */
PyObject *bp_misfit(const char *name);
/* Fetch the exception that is set, and clear it: a new reference. NULL: none is set. */
PyObject *bp_taken_exception(void);
/* Sets a NotAliveError. */
void bp_not_alive(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- place.c --------------------------------------------------------------------------------------- */

/* The calling thread's place, with or without the interpreter lock. */
struct bp_place bp_place(const struct bp_thread *t);
/* Is the thread still at the place of its interrupted call? */
bool bp_is_cut_place(const struct bp_thread *t);

/* ---- traceback.c ------------------------------------------------------------------------------------ */

/* Remove the package's frames from the beginning of the set exception's traceback. */
void bp_hide_own_frames(void);

/* ---- record.c -------------------------------------------------------------------------------------- */

PyObject *bp_record_object(const struct bough_record *record);
/* Post the interrupt for an exception that is stored in `t`. -1: the thread has ended. */
int bp_post_exception(struct bp_thread *t);
int bp_record_init(PyObject *module);
int bp_pool_call_init(PyObject *module);
int bp_pool_future_init(PyObject *module);
int bp_pool_submit_init(PyObject *module);

/* ---- window.c ---------------------------------------------------------------------------------------- */

/* For tests: call the function that was passed to set_window(), with the window's name. 0; -1 with the exception that
 * it raised. */
int bp_window(const char *name);
/* The same where no exception may be raised: it is reported instead. */
void bp_window_passed(const char *name);

/* ---- caller.c ----------------------------------------------------------------------------------------- */

/* The file and line of the calling Python code; the file's name is never freed. "" and 0: there is no Python caller. */
const char *bp_caller(int *line);
/* The flags of its code (CO_COROUTINE and the like). */
int bp_caller_flags(void);
/* "File ..., line ..., in ...": where a thread stands that keeps the GIL, for another one that can't have it. The process is to end. */
bool bp_innermost_line(const PyThreadState *ts, char *text, size_t size);

/* ---- count.c ------------------------------------------------------------------------------------------ */

/* Replaces fopen() for the interpreter's count of threads. */
FILE *bp_fopen(const char *path, const char *mode);
extern FILE *(*bp_libc_fopen)(const char *, const char *);

/* ---- ending.c ----------------------------------------------------------------------------------------- */

/* Does the interpreter end? Then the interpreter lock must not be acquired any more. */
bool bp_is_ending(void);
void bp_end(void);
/* Without the interpreter lock: may the thread's state be read, until bp_look_ends()? */
bool bp_look_begins(void);
void bp_look_ends(void);
void bp_looks_after_fork(void);

/* ---- thread.c ----------------------------------------------------------------------------------------- */

/* The calling thread, which this makes known to bough. NULL with an exception. */
struct bp_thread *bp_self(void);
/* The same if it is known already, else NULL without an exception. */
struct bp_thread *bp_thread_known(void);
/* The entry of the thread with an ident; created if there is none. NULL with an exception: the thread is not alive. */
struct bp_thread *bp_thread_of_ident(unsigned long ident);
/* Does PyThreadState_SetAsyncExc() with the ident of this live thread affect it, and not a thread that it is just
 * starting? */
bool bp_ident_names(const struct bp_thread *t);
/* The thread with that `id`. NULL: it has ended; then the second function sets an exception. */
struct bp_thread *bp_thread_find(uint64_t id);
struct bp_thread *bp_thread_of_id(uint64_t id);
struct bp_thread *bp_thread_of_state(PyThreadState *ts);
/* Attach the entry to its thread state's dictionary: it is dropped when that is cleared. -1 with an exception. */
int bp_thread_attach(struct bp_thread *t, PyObject *dict);
/* Is it a thread state that executes Python code? */
bool bp_runs_code(const PyThreadState *ts);
/* Is the thread alive, so that `tstate` may be read? */
bool bp_thread_lives(const struct bp_thread *t);
/* The innermost frame of a live thread: a new reference; NULL: it is in no Python code. No other thread runs
 * meanwhile. */
PyFrameObject *bp_thread_frame(const struct bp_thread *t);
/* Drop the entries of threads that have ended. */
void bp_prune(void);

/* ---- queued.c ----------------------------------------------------------------------------------------- */

/* Queue an interrupt for a thread without a handle. -1 with MemoryError. */
int bp_queue(struct bp_thread *t, PyObject *reason);
/* The thread has a handle now: post the queued interrupts. */
void bp_post_queued(struct bp_thread *t);
void bp_queued_drop(struct bp_thread *t);

/* ---- fork.c ------------------------------------------------------------------------------------------- */

int bp_fork_init(void);

/* ---- thread_name.c ------------------------------------------------------------------------------------ */

enum { BP_NAME = 32 }; /* bytes that the library keeps */

/* The name of the thread with this ident in threading; "": threading does not know it. Runs no Python code, keeps a set
 * exception. */
void bp_thread_name(unsigned long ident, char *name, size_t size);

/* ---- stranger.c --------------------------------------------------------------------------------------- */

/* Make a thread known to the library, although it may not have used bough: then interrupts of it are visible, and are
 * reported if it ignores them (rule 16). If that is not possible, `handle` stays NULL, and posts are queued here. */
void bp_thread_show(struct bp_thread *t);

/* ---- entries.c ---------------------------------------------------------------------------------------- */

/* The entry with this number; NULL. */
struct bp_thread *bp_entry_find(uint64_t id);
void bp_entry_add(struct bp_thread *t);
/* Remove an entry that is in the list. */
void bp_entry_remove(struct bp_thread *t);

/* ---- raised.c ----------------------------------------------------------------------------------------- */

/* Record that bough raises the instance in the thread; and: has it? */
void bp_mark_raised(const struct bp_thread *t, PyObject *exception);
bool bp_was_raised_here(const struct bp_thread *t, PyObject *exception);
/* Record that the record is raised now; and: until when it must not be raised again, because it was raised a short time
 * ago; 0: it was not. */
void bp_note_raised(struct bp_thread *t, const struct bough_record *why);
bough_time bp_raised_until(const struct bp_thread *t, const struct bough_record *why);
/* Allow pending interrupts to be raised again at once. */
void bp_forget_raised(struct bp_thread *t);
/* Are the records the same, apart from their rungs? */
bool bp_same_record(const struct bp_raised *seen, const struct bough_record *why);

/* ---- exceptions.c ------------------------------------------------------------------------------------- */

/* Set the exception for a record of the calling thread. A posted exception is consumed. */
void bp_raise(struct bp_thread *t, const struct bough_record *why);
/* The same, but return the exception. NULL with another exception. */
PyObject *bp_exception_for(struct bp_thread *t, const struct bough_record *why);
/* A call was interrupted: -1 with the interrupt's exception; 0: the interrupt was cleared meanwhile. */
int bp_meet(struct bp_thread *t);
/* A ThreadExit with the record in it. NULL with another exception. */
PyObject *bp_thread_exit(const struct bough_record *why);

/* ---- point.c ------------------------------------------------------------------------------------------ */

/* An interruption point: -1 with the exception set. */
int bp_check(struct bp_thread *t);

/* ---- replaced.c --------------------------------------------------------------------------------------- */

/* Replace errors of interrupted calls by the interrupt's exception, or stop doing so. */
int bp_replace_errors(bool on);

/* ---- rearm.c ------------------------------------------------------------------------------------------ */

/* Arm a swallowed exception again, if it was an interrupt's. Returns whether it was. */
bool bp_arm_again(struct bp_thread *t, PyObject *exception);

/* ---- cause.c ------------------------------------------------------------------------------------------ */

/* A call of the calling thread was interrupted; `cut_at` and `why` are set. With or without the interpreter lock. */
void bp_cause_cut(struct bp_thread *t);
/* The calling thread is about to raise the interrupt's exception at its present place. */
void bp_cause_raised(struct bp_thread *t);
/* Forget the thread's interrupted calls; those of a record's target; those of a kind. */
void bp_cause_forget(struct bp_thread *t);
void bp_cause_forget_target(bough_target target);
void bp_cause_forget_kind(const struct bp_thread *t, enum bough_kind kind);
/* A callback of on_interrupt() runs: the thread's present instruction counts as interrupted. Called by any thread.
 * Other threads may run, and `t` may have ended when this returns. */
void bp_cause_running(struct bp_thread *t);
/* Called by the thread: assigns the pending record to these places. */
void bp_cause_known(const struct bp_thread *t);

/* ---- judge.c ------------------------------------------------------------------------------------------ */

/* If the pending interrupt has caused the exception, the interrupt's exception with this one as its cause; else the
 * exception itself. A new reference. */
PyObject *bp_as_interrupt(struct bp_thread *t, PyObject *exception);
/* Has the interrupt caused the exception? */
bool bp_is_caused(const struct bp_thread *t, PyObject *exception);

/* ---- stand_in.c --------------------------------------------------------------------------------------- */

/* Stand-ins for the interpreter's functions in extension modules. */
PyThreadState *bp_save_thread(void);
void bp_restore_thread(PyThreadState *ts);
void bp_acquire_thread(PyThreadState *ts);
PyGILState_STATE bp_gilstate_ensure(void);
void bp_clear_error(void);
void bp_print_error(int set_variables);
void bp_print_error_as_ever(void);
void bp_write_unraisable(PyObject *where);

/* ---- callback.c --------------------------------------------------------------------------------------- */

/* Are the thread's calls ended by a callback, and not interrupted? */
bool bp_callbacks_end_calls(const struct bp_thread *t);
/* Does a callback run for the thread? */
bool bp_callback_runs(const struct bp_thread *t);
/* Does the frame belong to code with one of the blocks? */
bool bp_callback_is_of(const struct bp_thread *t, const PyFrameObject *frame);
void bp_callbacks_forget(struct bp_thread *t);
/* Was its call interrupted because the deadlines of its callbacks have passed? */
bool bp_is_nudge(const struct bp_thread *t, const struct bough_record *why);
/* Called by the thread itself: it has seen that. */
void bp_nudge_arrives(struct bp_thread *t);
void bp_nudge_for(struct bp_thread *t, struct bough_record *why);

/* ---- interpose.c -------------------------------------------------------------------------------------- */

int bp_interpose(void);
int bp_interpose_undo(void);
/* ---- kinds.c ------------------------------------------------------------------------------------------ */

/* Set which interrupts end the calling thread's blocking calls. */
int bp_set_kinds(struct bp_thread *t, unsigned kinds);
enum { BP_ALL_KINDS = (1u << BOUGH_KINDS) - 1, BP_EXCEPTION_ONLY = 1u << BOUGH_EXCEPTION };

/* ---- call_errors.c ------------------------------------------------------------------------------------ */

/* Chooses the error of an interrupted call (bough/interpose.h) of the thread `argument`, called at `site`. */
int bp_choose_error(void *argument, const char *call, const void *site);
/* Find the object that contains the interpreter, and its name; "" is the program. */
void bp_find_interpreter(void);
extern char bp_interpreters_name[256];

/* ---- waits.c ------------------------------------------------------------------------------------------ */

/* Sleeps, and ends early if an interrupt is due. */
void bp_pause(int64_t ns);

/* ---- cut.c -------------------------------------------------------------------------------------------- */

/* Is the error of an interrupted call still to be raised at the calling thread's place? */
bool bp_is_cut_here(const struct bp_thread *t);
/* Is an interrupt due for the calling thread? Then its wait ends, and the error that the caller reports becomes the
 * interrupt's exception. With or without the interpreter lock. */
bool bp_cut_here(void);

/* ---- signals.c ---------------------------------------------------------------------------------------- */

/* In main: the signal that has interrupted everything and was not cleared, or 0. */
int bp_unhandled_signal(void);

/* ---- sqlite.c ----------------------------------------------------------------------------------------- */

/* Stand-ins for sqlite's functions in the module _sqlite3. */
int bp_sqlite_busy_timeout(void *database, int ms);
int bp_sqlite_sleep(int ms);
int bp_sqlite_backup_step(void *backup, int pages);
/* Their originals. */
extern bough_code *bp_sqlite_timeout, *bp_sqlite_slept, *bp_sqlite_step;

/* ---- stacks.c ----------------------------------------------------------------------------------------- */

/* Keep the memory for the frames of ended threads for the next ones, or stop doing so. */
void bp_keep_stacks(bool on);

/* ---- lock_methods.c ----------------------------------------------------------------------------------- */

int bp_wrap_locks(void);
void bp_unwrap_locks(void);
/* For the report: a list of (name, whether it is wrapped). */
PyObject *bp_locks_report(void);

/* ---- armed.c ------------------------------------------------------------------------------------------ */

/* The class that is armed: its instantiation returns the exception that is due. NULL before bp_carrier_init(). */
extern PyObject *bp_carrier;
/* Withdraw the calling thread's armed exception. An exception that is set stays. */
void bp_carrier_withdraw(struct bp_thread *t);
/* Drop the armed exception. */
void bp_disarm(struct bp_thread *t);
/* Withdraw the armed exception but keep it pending: the async thread retries later. */
void bp_hold(struct bp_thread *t);
/* Drop an exception that raise_exc() has posted to the calling thread and that was not raised yet. */
void bp_drop_posted(struct bp_thread *t);
/* Once. -1 with an exception. */
int bp_withdraw_init(void);

/* ---- carrier.c ---------------------------------------------------------------------------------------- */

int bp_carrier_init(void);
/* Raise the thread's exception here, at a place that admits it. */
void bp_raise_here(struct bp_thread *t);

/* ---- async_exc.c -------------------------------------------------------------------------------------- */

/* Start the async thread, before it is needed. This loads Python code, so other threads run, and may end: look up other
 * threads only afterwards. -1 with an exception: it could not be started. */
int bp_async_exc_start(void);
/* Make the async thread, which was started, examine the thread. No other thread runs meanwhile. */
void bp_async_exc_need(struct bp_thread *t);
/* The thread's entry is about to be freed. */
void bp_async_exc_forget(struct bp_thread *t);
/* Called by the thread itself: interrupts may be raised anywhere in its bytecode. Returns the former setting; -1 with
 * an exception. */
int bp_set_asynchronous(struct bp_thread *t, bool on);
int bp_async_exc_init(void);
/* Is this the ident of the async thread? */
bool bp_async_exc_is(unsigned long ident);

/* ---- delivery.c --------------------------------------------------------------------------------------- */

/* Called by the async thread. Returns in how many ms to examine the thread again; -1: it lives, and there is nothing to
 * raise. Otherwise it may have ended. */
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

/* Called by the thread itself: does its place admit an exception? */
bool bp_place_admits_here(const struct bp_thread *t);
/* Called by the async thread: may an exception be armed? `t` may have been freed when this returns false. */
bool bp_may_come_in(struct bp_thread *t);

/* ---- c_code.c ----------------------------------------------------------------------------------------- */

/* Called by the async thread: tests this interpreter's behaviour. */
void bp_c_code_probe(void);
/* Has the thread been in the same call for a while, which may raise an armed exception? */
bool bp_stays_in_c(struct bp_thread *t);
/* Does PyErr_CheckSignals() raise an armed exception? Known once the async thread runs. */
bool bp_signals_raise(void);

/* ---- monitor.c ---------------------------------------------------------------------------------------- */

/* Make the thread check at each instruction of the functions on its stack whether an exception may be raised there.
 * `waited`: ns since it is due. False: not yet. */
bool bp_monitor(struct bp_thread *t, int64_t waited);
/* Stop: no thread is monitored any more. */
void bp_monitor_stop(void);
/* Monitoring slows these functions down: if it takes long, it is active for only a tenth of the time. True: pause
 * now. */
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
/* Would the levels admit an interrupt here? */
bool bp_admits(const struct bp_thread *t);
/* End the innermost region if it is of this kind; -1 with RuntimeError. */
int bp_region_end(struct bp_thread *t, int kind);
/* Begin a region in which all interrupts end blocking calls. */
int bp_taking_part_begin(struct bp_thread *t);
int bp_critical_begin(struct bp_thread *t);
/* ladder.c: the handler's region; the library's return value. */
int bp_handler_enter(struct bp_region *r, PyObject *callable, unsigned flags, const char *file, int line);
/* The calling thread ends: end the regions that last until then. */
void bp_regions_forget(struct bp_thread *t);
struct bp_region *bp_region_new(struct bp_thread *t, int kind);
/* Free a region that was not begun or has ended. */
void bp_region_free(struct bp_thread *t, struct bp_region *r);

/* End all regions of the calling thread but the outermost `keep`, which can't be left any more. Returns their
 * number. */
long bp_leave_open(struct bp_thread *t, long keep);

/* ---- methods, each in the file that has its name ------------------------------------------------------- */

extern PyMethodDef bp_thread_methods[], bp_exception_methods[], bp_interpose_methods[], bp_post_methods[],
    bp_async_exc_methods[], bp_branch_methods[], bp_child_object_methods[], bp_branch_object_methods[],
    bp_pool_future_methods[], bp_ladder_methods[], bp_signal_methods[], bp_site_methods[], bp_report_methods[],
    bp_lock_methods[], bp_judge_methods[], bp_callback_methods[], bp_loop_methods[], bp_stranger_methods[],
    bp_interpreter_methods[], bp_around_methods[], bp_stack_methods[], bp_status_methods[], bp_window_methods[],
    bp_open_branch_methods[], bp_fork_methods[], bp_rearm_methods[], bp_replaced_methods[], bp_point_methods[],
    bp_reason_methods[], bp_cut_methods[], bp_kind_methods[], bp_scope_methods[], bp_scope_block_methods[],
    bp_scoped_methods[], bp_turn_methods[], bp_watching_methods[], bp_deadman_methods[], bp_program_methods[];

#endif

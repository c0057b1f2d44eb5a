/* SPDX-License-Identifier: MIT */
/* The entries of threads: how they are found, made and dropped; their places, names and queued interrupts. */
#ifndef BP_THREAD_H
#define BP_THREAD_H

#include "base/state.h"

/* A reason: a string, or None. */
struct bp_queued {
    struct bp_queued *next;
    PyObject *reason;
};

/* ---- place.c -------------------------------------------------------------------------------------------------- */

/* The calling thread's place, with or without the interpreter lock. */
struct bp_place bp_place(const struct bp_thread *t);
/* Is the thread still at the place of its interrupted call? */
bool bp_is_cut_place(const struct bp_thread *t);

/* ---- record.c ------------------------------------------------------------------------------------------------- */

PyObject *bp_record_object(const struct bough_record *record);
/* Post the interrupt for an exception that is stored in `t`. -1: the thread has ended. */
int bp_post_exception(struct bp_thread *t);
int bp_record_init(PyObject *module);

/* ---- thread.c ------------------------------------------------------------------------------------------------- */

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

/* ---- queued.c ------------------------------------------------------------------------------------------------- */

/* Queue an interrupt for a thread without a handle. -1 with MemoryError. */
int bp_queue(struct bp_thread *t, PyObject *reason);
/* The thread has a handle now: post the queued interrupts. */
void bp_post_queued(struct bp_thread *t);
void bp_queued_drop(struct bp_thread *t);

/* ---- thread_name.c -------------------------------------------------------------------------------------------- */

enum { BP_NAME = 32 }; /* bytes that the library keeps */

/* The name of the thread with this ident in threading; "": threading does not know it. Runs no Python code, keeps a set
 * exception. */
void bp_thread_name(unsigned long ident, char *name, size_t size);

/* ---- stranger.c ----------------------------------------------------------------------------------------------- */

/* Make a thread known to the library, although it may not have used bough: then interrupts of it are visible, and are
 * reported if it ignores them (rule 16). If that is not possible, `handle` stays NULL, and posts are queued here. */
void bp_thread_show(struct bp_thread *t);

/* ---- entries.c ------------------------------------------------------------------------------------------------ */

/* The entry with this number; NULL. */
struct bp_thread *bp_entry_find(uint64_t id);
void bp_entry_add(struct bp_thread *t);
/* Remove an entry that is in the list. */
void bp_entry_remove(struct bp_thread *t);

#endif

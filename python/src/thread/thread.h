/* SPDX-License-Identifier: MIT */
/* The entries of threads: finding, creating and dropping them; their places, names and queued interrupts. */
#ifndef BP_THREAD_H
#define BP_THREAD_H

#include "base/state.h"

/* An interrupt that is queued. */
struct bp_queued {
    struct bp_queued *next;
    PyObject *reason; /* a string, or None */
};

/* ---- place.c -------------------------------------------------------------------------------------------------- */

/* The calling thread's place, with or without the GIL. */
struct bp_place bp_place(const struct bp_thread *t);
/* Is the thread still at the place of its interrupted call? */
bool bp_is_cut_place(const struct bp_thread *t);

/* ---- record.c ------------------------------------------------------------------------------------------------- */

PyObject *bp_record_object(const struct bough_record *record);
/* Post the interrupt for an exception that is stored in `t`. -1: the thread has ended. */
int bp_post_exception(struct bp_thread *t);
int bp_record_init(PyObject *module);

/* ---- thread.c ------------------------------------------------------------------------------------------------- */

/* Make the calling thread known to bough, and return its entry. NULL with an exception. */
struct bp_thread *bp_self(void);
/* The calling thread's entry; NULL, without an exception, if bough does not know the thread. */
struct bp_thread *bp_thread_known(void);
/* The entry of the thread with this ident; created if there is none. NULL with an exception, if there is no thread. */
struct bp_thread *bp_thread_of_ident(unsigned long ident);
/* Does PyThreadState_SetAsyncExc() with the ident of this live thread affect this thread, and not a thread that it is
 * just starting? */
bool bp_ident_names(const struct bp_thread *t);
/* The entry of the thread with this `id`. NULL: the thread has ended; bp_thread_of_id() then sets an exception. */
struct bp_thread *bp_thread_find(uint64_t id);
struct bp_thread *bp_thread_of_id(uint64_t id);
struct bp_thread *bp_thread_of_state(PyThreadState *ts);
/* Put the entry's capsule into the thread state's dictionary: clearing `dict` drops the entry. -1 with an exception. */
int bp_thread_attach(struct bp_thread *t, PyObject *dict);
/* Does the thread state execute Python code? */
bool bp_runs_code(const PyThreadState *ts);
/* Is the thread alive, so that `tstate` may be read? */
bool bp_thread_lives(const struct bp_thread *t);
/* A new reference to the innermost frame of a live thread; NULL: the thread executes no Python code. No other thread
 * runs during the call. */
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

/* The name that threading has for the thread with this ident; "": threading does not know the thread. Runs no Python
 * code, and keeps the exception that is set. */
void bp_thread_name(unsigned long ident, char *name, size_t size);

/* ---- stranger.c ----------------------------------------------------------------------------------------------- */

/* Make a thread known to the library, although it may not have used bough: then its interrupts are visible, and are
 * reported if the thread ignores them (rule 16). If the thread can't be made known, `handle` stays NULL, and posts have
 * to be queued with bp_queue(). */
void bp_thread_show(struct bp_thread *t);

/* ---- entries.c ------------------------------------------------------------------------------------------------ */

/* The entry with this number; NULL: there is none. */
struct bp_thread *bp_entry_find(uint64_t id);
void bp_entry_add(struct bp_thread *t);
/* Remove an entry that is in the list. */
void bp_entry_remove(struct bp_thread *t);

#endif

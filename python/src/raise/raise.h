/* SPDX-License-Identifier: MIT */
/* From a record to its exception: which exception it is, where it is raised, and for how long it is not raised
 * again. */
#ifndef BP_RAISE_H
#define BP_RAISE_H

#include "base/state.h"

/* ---- raised.c ------------------------------------------------------------------------------------------------- */

/* Mark the instance, because bough raises it in the thread. Was it marked so? */
void bp_mark_raised(const struct bp_thread *t, PyObject *exception);
bool bp_was_raised_here(const struct bp_thread *t, PyObject *exception);
/* Note that the record is raised now. Until when must a record not be raised again, because it was raised a short time
 * ago? 0: it was not. */
void bp_note_raised(struct bp_thread *t, const struct bough_record *why);
bough_time bp_raised_until(const struct bp_thread *t, const struct bough_record *why);
/* Allow pending interrupts to be raised again at once. */
void bp_forget_raised(struct bp_thread *t);
/* Are the records the same, apart from their rungs? */
bool bp_same_record(const struct bp_raised *seen, const struct bough_record *why);

/* ---- exceptions.c --------------------------------------------------------------------------------------------- */

/* Set the exception for a record of the calling thread. A posted exception is consumed. */
void bp_raise(struct bp_thread *t, const struct bough_record *why);
/* As bp_raise(), but return the exception. NULL with another exception. */
PyObject *bp_exception_for(struct bp_thread *t, const struct bough_record *why);
/* A call was interrupted: -1 with the interrupt's exception; 0: the interrupt was cleared meanwhile. */
int bp_meet(struct bp_thread *t);
/* A ThreadExit with the record in it. NULL with another exception. */
PyObject *bp_thread_exit(const struct bough_record *why);

/* ---- point.c -------------------------------------------------------------------------------------------------- */

/* An interruption point: -1 with the exception set. */
int bp_check(struct bp_thread *t);

/* ---- replaced.c ----------------------------------------------------------------------------------------------- */

/* Replace errors of interrupted calls by the interrupt's exception, or stop doing so. */
int bp_replace_errors(bool on);

/* ---- judge.c -------------------------------------------------------------------------------------------------- */

/* If the pending interrupt has caused the exception, the interrupt's exception with this one as its cause; else the
 * exception itself. A new reference. */
PyObject *bp_as_interrupt(struct bp_thread *t, PyObject *exception);
/* Has the interrupt caused the exception? */
bool bp_is_caused(const struct bp_thread *t, PyObject *exception);

/* ---- cut.c ---------------------------------------------------------------------------------------------------- */

/* Is the error of an interrupted call still to be raised at the calling thread's place? */
bool bp_is_cut_here(const struct bp_thread *t);
/* Is an interrupt due for the calling thread? Then its wait ends, and the error that the caller reports becomes the
 * interrupt's exception. Called with or without the GIL. */
bool bp_cut_here(void);

/* ---- armed.c -------------------------------------------------------------------------------------------------- */

/* The class that is armed: its instantiation returns the exception that is due. NULL before bp_carrier_init(). */
extern PyObject *bp_carrier;
/* Withdraw the calling thread's armed exception. An exception that is set stays set. */
void bp_carrier_withdraw(struct bp_thread *t);
/* Drop the armed exception. */
void bp_disarm(struct bp_thread *t);
/* Withdraw the armed exception but keep it pending: the async thread retries later. */
void bp_hold(struct bp_thread *t);
/* Drop an exception that raise_exc() has posted to the calling thread and that was not raised yet. */
void bp_drop_posted(struct bp_thread *t);
/* Once. -1 with an exception. */
int bp_withdraw_init(void);

#endif

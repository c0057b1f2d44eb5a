/* SPDX-License-Identifier: MIT */
/* Interrupted calls: which ones are ended and by which error, and the instructions that made them. */
#ifndef BP_CALLS_H
#define BP_CALLS_H

#include "base/state.h"

#include <bough/interpose.h>

/* ---- cause.c -------------------------------------------------------------------------------------------------- */

/* A call of the calling thread was interrupted; `cut.place` and `cut.why` are set. With or without the interpreter
 * lock. */
void bp_cause_cut(struct bp_thread *t);
/* The calling thread is about to raise the interrupt's exception at its present place. */
void bp_cause_raised(struct bp_thread *t);
/* Forget the thread's interrupted calls; all that a target's records interrupted; the thread's that a kind did. */
void bp_cause_forget(struct bp_thread *t);
void bp_cause_forget_target(bough_target target);
void bp_cause_forget_kind(const struct bp_thread *t, enum bough_kind kind);
/* A callback of on_interrupt() runs: the thread's present instruction counts as interrupted. Called by any thread.
 * Other threads may run, and `t` may have ended when this returns. */
void bp_cause_running(struct bp_thread *t);
/* Called by the thread: assign the pending record to its places whose record is not known yet. Without one, drop
 * them. */
void bp_cause_known(const struct bp_thread *t);

/* ---- callback.c ----------------------------------------------------------------------------------------------- */

/* Are the thread's calls ended by a callback, and not interrupted? */
bool bp_callbacks_end_calls(const struct bp_thread *t);
/* Does a callback run for the thread? */
bool bp_callback_runs(const struct bp_thread *t);
/* Is this the frame of code with one of the thread's blocks? */
bool bp_callback_is_of(const struct bp_thread *t, const PyFrameObject *frame);
void bp_callbacks_forget(struct bp_thread *t);
/* Is `why` a nudge: was the thread's call interrupted because the deadlines of its callbacks have passed? */
bool bp_is_nudge(const struct bp_thread *t, const struct bough_record *why);
/* Called by the thread itself, which has seen a nudge. */
void bp_nudge_arrives(struct bp_thread *t);
void bp_nudge_for(struct bp_thread *t, struct bough_record *why);

/* ---- kinds.c -------------------------------------------------------------------------------------------------- */

/* Set which interrupts end the calling thread's blocking calls. */
int bp_set_kinds(struct bp_thread *t, unsigned kinds);
enum { BP_ALL_KINDS = (1u << BOUGH_KINDS) - 1, BP_EXCEPTION_ONLY = 1u << BOUGH_EXCEPTION };

/* ---- call_errors.c -------------------------------------------------------------------------------------------- */

/* Chooses the error of an interrupted call (bough/interpose.h) of the thread `argument`, called at `site`. */
int bp_choose_error(void *argument, const char *call, const void *site);
/* Find the object that contains the interpreter, and its name; "" is the program. */
void bp_find_interpreter(void);
extern char bp_interpreters_name[256];

/* ---- instructions.c ------------------------------------------------------------------------------------------- */

/* Begin, or stop, to call bp_watch_step() and bp_monitor_step() at each instruction of the code object, as their files
 * need now. An exception that is set stays set. Returns 0; -1: the interpreter can't do that, or has no tool left. */
int bp_instructions(PyCodeObject *code);

/* ---- trace.c -------------------------------------------------------------------------------------------------- */

/* 3.11: let the thread's trace function report the instructions of marked frames; stop, if no file needs the
 * reports. */
void bp_trace(struct bp_thread *t);
void bp_trace_if_wanted(struct bp_thread *t);
/* As bp_trace(), and marks all frames of the thread unless it had another trace function. */
void bp_trace_frames(struct bp_thread *t);

#endif

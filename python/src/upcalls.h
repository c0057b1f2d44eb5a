/* SPDX-License-Identifier: MIT */
/*
 * Upcalls: functions of higher files that lower files call. Each is declared here, with its reason, and defined in the
 * higher file. tests/test_symbols.py reads this header, and rejects any other call upward.
 */
#ifndef BP_UPCALLS_H
#define BP_UPCALLS_H

#include "calls/cause.h"

/* ---- from thread.c to a thread's end (thread_end.c) ----------------------------------------------------- */

/* The calling thread's Python state is being cleared: its regions end, and its interrupted calls no longer become
 * exceptions. Regions need the thread, so they are in a higher file. */
void bp_thread_leaves(struct bp_thread *t);
/* The thread has ended, or its entry could not be completed: free the entry. Each file that stores data with a thread
 * is above thread.c, but thread.c detects the end: by the thread's capsule, and by the interpreter's list. */
void bp_thread_ends(struct bp_thread *t);

/* ---- from kinds.c to cut.c ------------------------------------------------------------------------------ */

/* The library calls this on the thread, with or without the GIL, when a call of the thread was interrupted. kinds.c
 * only passes the function to the library; the function needs the places of calls, which need kinds.c. */
int bp_call_interrupted(void *argument, const struct bough_cut *cut);

/* ---- from instructions.c and trace.c to the files that use them (watch.c, monitor.c) --------------------- */

/* From 3.12 on: does watch.c, or monitor.c, need reports of this code object's instructions (NULL: of any)? When the
 * answer has changed, that file calls bp_instructions(). */
bool bp_watch_wants(const PyCodeObject *code);
bool bp_monitor_wants(const PyCodeObject *code);
/* In 3.11: does watch.c need reports of a thread's instructions, or of a frame's? */
bool bp_watch_is_on(const struct bp_thread *t);
bool bp_watch_is_of(const PyFrameObject *frame);

/* The interpreter calls instructions.c or trace.c at each instruction, on the thread that is about to execute it; they
 * call the functions below. */
void bp_watch_step(PyCodeObject *code, int offset);
/* In 3.11: a frame is about to execute an instruction; a frame returns. */
void bp_watch_opcode(PyFrameObject *frame);
void bp_watch_return(const PyFrameObject *frame);
/* Raise the exception that waits for a safe place, if this instruction is one: -1 with the exception; else 0. */
int bp_monitor_step(void);

#endif

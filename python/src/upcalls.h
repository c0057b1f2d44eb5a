/* SPDX-License-Identifier: MIT */
/*
 * The upcalls: what a lower file asks of a higher one. Each is declared here and defined there, where it is known what
 * to do. tests/test_symbols.py knows them by this header: any other call upward is a mistake. Each has its reason.
 */
#ifndef BP_UPCALLS_H
#define BP_UPCALLS_H

#include "calls/cause.h"

/* ---- from thread.c to a thread's end (thread_end.c) ----------------------------------------------------- */

/* The calling thread's Python state is being cleared: its regions end, and its calls become errors of Python no more.
 * Regions need the thread, so they are above it. */
void bp_thread_leaves(struct bp_thread *t);
/* The thread has ended, or its entry could not be completed: the entry is freed. Each file that keeps something with a
 * thread is above thread.c, and thread.c is the one that sees the end: by the thread's capsule, and by a look at the
 * interpreter's list. */
void bp_thread_ends(struct bp_thread *t);

/* ---- from kinds.c to cut.c ------------------------------------------------------------------------------ */

/* The library calls this when a call of the thread was interrupted, on the thread, with or without the GIL. kinds.c
 * only names it to the library. What it does needs the places of calls, which need kinds.c. */
int bp_call_interrupted(void *argument, const struct bough_cut *cut);

/* ---- from instructions.c and trace.c to those that want instructions reported (watch.c, monitor.c) ------- */

/* From 3.12 on: of one code object, or of any for NULL, are its instructions wanted? instructions.c is asked to look
 * again by both files when that has changed. */
bool bp_watch_wants(const PyCodeObject *code);
bool bp_monitor_wants(const PyCodeObject *code);
/* In 3.11 the places of interrupted calls are asked about by thread, and by frame. */
bool bp_watch_is_on(const struct bp_thread *t);
bool bp_watch_is_of(const PyFrameObject *frame);

/* The interpreter calls instructions.c or trace.c at each instruction, on the thread that is about to execute it: the
 * files that have asked for it look at it. */
void bp_watch_step(PyCodeObject *code, int offset);
/* In 3.11 the same, and a frame that returns. */
void bp_watch_opcode(PyFrameObject *frame);
void bp_watch_return(const PyFrameObject *frame);
/* As above, for an exception that waits to come in: -1 with the exception that comes in at this instruction. */
int bp_monitor_step(void);

#endif

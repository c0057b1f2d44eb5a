/* SPDX-License-Identifier: MIT */
/* The async thread, which raises interrupts in bytecode. */
#ifndef BP_ASYNC_H
#define BP_ASYNC_H

#include "base/state.h"

/* ---- rearm.c -------------------------------------------------------------------------------------------------- */

/* Arm a swallowed exception again, if it was an interrupt's. Returns whether it was. */
bool bp_arm_again(struct bp_thread *t, PyObject *exception);

/* ---- carrier.c ------------------------------------------------------------------------------------------------ */

int bp_carrier_init(void);
/* Raise the thread's exception here, at a place that admits it. */
void bp_raise_here(struct bp_thread *t);

/* ---- async_exc.c ---------------------------------------------------------------------------------------------- */

/* Start the async thread, before it is needed. This loads Python code, so other threads run, and may end: look up other
 * threads only afterwards. -1 with an exception: the thread could not be started. */
int bp_async_exc_start(void);
/* Make the async thread, which was started, examine thread `t`. No other thread runs during this call. */
void bp_async_exc_need(struct bp_thread *t);
/* The thread's entry is about to be freed. */
void bp_async_exc_forget(struct bp_thread *t);
/* Called by the thread itself: interrupts may be raised anywhere in its bytecode. Returns the former setting; -1 with
 * an exception. */
int bp_set_asynchronous(struct bp_thread *t, bool on);
int bp_async_exc_init(void);
/* Is this the ident of the async thread? */
bool bp_async_exc_is(unsigned long ident);

/* ---- delivery.c ----------------------------------------------------------------------------------------------- */

/* Called by the async thread. Returns after how many ms to examine the thread again, which may have ended; -1: the
 * thread lives, and has nothing to raise. */
int bp_delivery_look(struct bp_thread *t);

/* ---- turn.c --------------------------------------------------------------------------------------------------- */

/* The clock of a live thread's processor time, which can be read without the GIL. */
int32_t bp_turn_clock(const struct bp_thread *t);
/* The clock's time in ns; 0: the thread has ended. */
int64_t bp_turn_read(int32_t clock);
/* An interrupt may have become due, when the thread's processor time was `had_run`. */
void bp_turn_due(struct bp_thread *t, int64_t had_run);
/* Called by the async thread, which has seen that the thread has something to raise. Sets `due.since`. */
void bp_turn_begins(struct bp_thread *t);
/* Has the thread had its time to reach a point? */
bool bp_turn_is_over(struct bp_thread *t);

/* ---- admits.c ------------------------------------------------------------------------------------------------- */

/* Called by the thread itself: does its place admit an exception? */
bool bp_place_admits_here(const struct bp_thread *t);
/* Called by the async thread: may an exception be armed? `t` may have been freed when this returns false. */
bool bp_may_come_in(struct bp_thread *t);

/* ---- c_code.c ------------------------------------------------------------------------------------------------- */

/* Called by the async thread: tests this interpreter's behaviour. */
void bp_c_code_probe(void);
/* Has the thread been in the same call of C code for a while, and may that call raise an armed exception? */
bool bp_stays_in_c(struct bp_thread *t);
/* Does PyErr_CheckSignals() raise an armed exception? Known once the async thread runs. */
bool bp_signals_raise(void);

/* ---- monitor.c ------------------------------------------------------------------------------------------------ */

/* Make the thread check at each instruction of the functions on its stack whether an exception may be raised there.
 * `waited`: for how many ns the exception has been due. False: the thread does not check. */
bool bp_monitor(struct bp_thread *t, int64_t waited);
/* No thread needs to check any more: stop monitoring. */
void bp_monitor_stop(void);
/* Monitoring slows these functions down, so for an exception that has been due for long it is active for only a tenth
 * of the time. True: pause now. */
bool bp_monitor_pauses(int64_t waited);

#endif

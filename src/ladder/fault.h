/* SPDX-License-Identifier: MIT */
/*
 * Faults (SIGSEGV, SIGBUS, SIGFPE, SIGILL) in application code that the ladder runs: a handler, a closer, a destructor
 * of a lost thread, an exit tier. The fault ends the function and is reported, and the ladder continues; otherwise the
 * process would end without its dump. Other faults go to the previous handler.
 */
#ifndef BO_LADDER_FAULT_H
#define BO_LADDER_FAULT_H

/* Catch faults from now on; the first call installs the handlers. */
void bo_fault_catch(void);
/* Run fn(argument) on a library thread. 0, or the signal of the fault that has ended it. */
int bo_fault_guarded(void (*fn)(void *), void *argument);

#endif

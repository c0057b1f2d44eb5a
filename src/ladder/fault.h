/* SPDX-License-Identifier: MIT */
/*
 * Faults (SIGSEGV, SIGBUS, SIGFPE, SIGILL) in application code that the ladder runs: a handler, a closer, a destructor
 * of a lost thread, an exit tier. Each is ended by its fault and reported, and the ladder continues; else the process
 * would end without its dump. Other faults go to the previous handler.
 */
#ifndef BO_LADDER_FAULT_H
#define BO_LADDER_FAULT_H

/* From here on faults are looked at; the first call installs the handlers. */
void bo_fault_catch(void);
/* Run fn(argument) on a thread of the library's. 0; the signal of the fault that has ended it. */
int bo_fault_guarded(void (*fn)(void *), void *argument);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * bough: threads that stop when you ask.
 *
 *   static int handle_client(void *conn);              // returns 0 or an error number
 *
 *   int accept_loop(int server)
 *   {
 *       BOUGH_BRANCH(clients) {                         // joins, interrupts, collects on every way out
 *           int conn;
 *           while ((conn = bough_accept(server, NULL, NULL)) >= 0)
 *               bough_add(clients, handle_client, bough_fd(conn));
 *           bough_fail(clients, errno, "accept");       // leaving by failure interrupts the clients
 *       }
 *       return bough_last_result();
 *   }
 *
 * The ideas, in the order you need them
 * -------------------------------------
 *
 * branch      A scope that owns threads. It grows off your call stack; its end joins every child,
 *             collects their errors, and on failure interrupts the others.      <bough/branch.h>
 * interrupt   A request to stop, posted to a thread, a branch or everything, from anywhere, a
 *             signal handler included. It is sticky: every interruption point fails with
 *             ECANCELED until the target has ended or the record is cleared.  <bough/interrupt.h>
 * point       bough_check(), or any interruptible call. An interruptible call is a drop-in for its
 *             POSIX namesake: bough_read() for read(). ECANCELED from it means that nothing
 *             happened: no byte is read, no descriptor opened, no child reaped.    <bough/call.h>
 * level       What a thread admits now: disabled, deferred (at points; the default) or
 *             asynchronous. A critical section delays a stop by its budget, and never hangs it.
 *                                                                                 <bough/level.h>
 * sync        Mutex, condition, semaphore, event, bounded queue, whose waits are points and which
 *             lose no wake-up to an interrupt.                                     <bough/sync.h>
 * signals     Ctrl-C and SIGTERM end the whole tree cleanly, by one call, and the exit status is
 *             the one a shell expects.                                          <bough/signals.h>
 *
 * foreign     Blocking calls inside libraries that do not use bough, made interruptible for
 *             threads that opted in.                                         <bough/interpose.h>
 * ladder      What becomes of an interrupt that is not heeded: handlers, closing, exit, dump and kill, each
 *             rung with a deadline; and the means to see where a thread is stuck.   <bough/ladder.h>
 * trace       A recording of what the threads did, and when, that survives a crash.  <bough/trace.h>
 *
 * Conventions
 * -----------
 *
 * Calls that act return 0, a descriptor, a count or a handle; on failure -1 or NULL, with errno set
 * and every output untouched. Results (of a child, of a branch) are error numbers: 0 is success.
 * Times are int64_t nanoseconds; a deadline is absolute on bough_now()'s clock.
 * Handles are values, never to be dereferenced; a stale one is recognised and fails with ESRCH.
 *
 * Each function's comment ends with tags:
 *   [point]        it is an interruption point: it can fail with ECANCELED
 *   [signal]       async-signal-safe
 *   [owner]        only the thread that opened the branch or region may call it
 *   [rule N]       the rule of docs/semantics.md that it keeps
 *
 * bough uses one signal, SIGURG unless BOUGH_SIGNAL names another, and sends it only to a thread
 * that is inside an interruptible call or an asynchronous region (rule 13).
 */
#ifndef BOUGH_H
#define BOUGH_H

/* The version of these headers. */
#define BOUGH_VERSION_MAJOR 0
#define BOUGH_VERSION_MINOR 1
#define BOUGH_VERSION_PATCH 0
#define BOUGH_VERSION "0.1.0"

#include <bough/types.h>
#include <bough/interrupt.h>
#include <bough/branch.h>
#include <bough/level.h>
#include <bough/ladder.h>
#include <bough/call.h>
#include <bough/interpose.h>
#include <bough/sync.h>
#include <bough/signals.h>
#include <bough/trace.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library that runs, as BOUGH_VERSION's text. [signal] */
BOUGH_API const char *bough_version(void);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: MIT */
/*
 * Signals and exit: Ctrl-C ends the tree cleanly, and the shell gets the usual status.
 *
 *   int main(void)
 *   {
 *       bough_signals(0);                  // SIGHUP, SIGINT, SIGTERM interrupt everything
 *       return accept_loop(server) != 0;   // after which the process ends by the signal: 130, 143
 *   }
 *
 * The first event interrupts everything, with a record of kind BOUGH_SIGNAL at the root. Repeats within 250 ms are
 * one event; SIGINT and SIGTERM are one incident. When main returns (or exit() is called in it) while that record is
 * pending, the process waits for all threads and raises the signal again with its default action. If the program has
 * cleared the record (bough_clear(BOUGH_ROOT)), Ctrl-C was handled and the exit is an ordinary exit. The second event
 * moves the incident up the ladder by one rung that has something to run (<bough/ladder.h>), which in a program
 * without handlers begins the exit. The third event moves it up again, in such a program to the dump and the kill,
 * and is final: the record can't be cleared any more.
 */
#ifndef BOUGH_SIGNALS_H
#define BOUGH_SIGNALS_H

#include <bough/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum bough_signals_flags {
    BOUGH_SIGNALS_TAKE = 1,   /* also if a handler is installed or the signal is ignored */
    BOUGH_SIGNALS_WAIT = 2,   /* for daemons that block all signals: a thread of the library calls sigwait() */
    BOUGH_SIGNALS_STATUS = 4, /* the exit status stays the signal's in other threads' exit() and in quick_exit(), too */
    BOUGH_SIGNALS_QUIET = 8   /* no report of a signal that every thread blocks */
};

/*
 * Handle SIGHUP, SIGINT and SIGTERM, but only those that have their default action (so nohup works). Call it once,
 * early, in the main thread. With BOUGH_SIGNALS_WAIT the three are blocked in the caller, which new threads inherit,
 * and a thread of the library takes them by sigwait. With BOUGH_SIGNALS_STATUS the process also ends by the signal,
 * while its record is pending, when exit() is called in another thread, without waiting for threads, and when
 * quick_exit() is called, after the handlers of at_quick_exit() that were registered after this call. For _exit() see
 * bough_exit_now(). A signal that every thread blocks reaches no handler, which is reported once, unless
 * BOUGH_SIGNALS_WAIT or BOUGH_SIGNALS_QUIET is given: the latter is for code that calls this function on behalf of a
 * program, which may inherit such a mask on purpose. A child of fork() has the signals' actions from before this call,
 * and may call this function again. Returns how many signals were taken; -1 with EINVAL, EALREADY, EAGAIN, ENOMEM.
 * [rule 32]
 */
BOUGH_API int bough_signals(unsigned flags);

/* Restore the signals' previous actions; a handler that the program has installed since then stays. Returns 0; -1
 * with ENOENT: bough_signals() was not called. [rule 32] */
BOUGH_API int bough_signals_undo(void);

/*
 * Report a signal by hand, with the same effect: for a program with a handler or a sigwait loop. `signo` is any of the
 * three, or another number, which is kept in the record. Returns the number of the incident's events.
 * [signal] [rule 32]
 */
BOUGH_API int bough_signal_event(int signo);

/* Interrupt everything with kind BOUGH_EXIT, wait for all children and adopted threads to end (at most
 * `grace` ns; 0: 5 s), then exit(status). The C spelling of sys.exit(). Call it from the main thread.
 * [rule 32] */
BOUGH_API void bough_exit(int status, int64_t grace) __attribute__((noreturn));

/* _exit(status), but with the exit status of a pending signal: while the record of a signal is pending at the root,
 * the process ends at once by that signal, in any thread. In the child of a fork() or vfork() this applies only to
 * signals that the child itself got. No handler runs and no stream is flushed. For code that replaces _exit().
 * [signal] [rule 32] */
BOUGH_API void bough_exit_now(int status) __attribute__((noreturn));

#ifdef __cplusplus
}
#endif
#endif

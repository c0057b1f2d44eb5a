/* SPDX-License-Identifier: MIT */
/*
 * Signals and exit: Ctrl-C ends the tree in order, and the shell sees the usual status.
 *
 *   int main(void)
 *   {
 *       bough_signals(0);                  // SIGHUP, SIGINT, SIGTERM interrupt everything
 *       return accept_loop(server) != 0;   // after which the process ends by the signal: 130, 143
 *   }
 *
 * The first event interrupts everything, with a record of kind BOUGH_SIGNAL at the root. Repeats
 * within 250 ms are one event; SIGINT and SIGTERM are one incident. When main returns (or exit() is called
 * in it) while that record stands, all threads are awaited and the signal is raised again with its default
 * action. If the program has cleared it (bough_clear(BOUGH_ROOT)), Ctrl-C was handled and the exit is
 * an ordinary one. The second event promotes: the incident goes up the ladder by one rung that has something to run
 * (<bough/ladder.h>), which in a program without handlers begins the exit. The third promotes again, there to the dump and
 * the kill, and is final: the record can't be cleared any more.
 */
#ifndef BOUGH_SIGNALS_H
#define BOUGH_SIGNALS_H

#include <bough/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum bough_signals_flags {
    BOUGH_SIGNALS_TAKE = 1,  /* also where a handler is installed or the signal is ignored */
    BOUGH_SIGNALS_WAIT = 2,  /* for daemons that block all signals: a thread of bough's sigwaits */
    BOUGH_SIGNALS_STATUS = 4 /* the exit status stays the signal's in other threads' exit() and in quick_exit(), too */
};

/*
 * Take part in SIGHUP, SIGINT and SIGTERM, of which only those that have their default action (nohup stays
 * nohup), from the main thread, once and early. With BOUGH_SIGNALS_WAIT the three are blocked in
 * the caller, which new threads inherit, and a thread of the library takes them by sigwait.
 * With BOUGH_SIGNALS_STATUS the process also ends by the signal, while its record stands, when exit() is called in another
 * thread, for which nobody is awaited, and when quick_exit() is called, after the handlers of at_quick_exit() that were
 * registered after this call. For _exit() see bough_exit_now().
 * A child of fork() has the signals as they were before this call, and takes part by a call of its own.
 * Returns how many signals were taken; -1 with EINVAL, EALREADY, EAGAIN, ENOMEM. [rule 32]
 */
BOUGH_API int bough_signals(unsigned flags);

/* Give the signals back as they were; a handler that the program has installed since then stays. Returns 0; -1 with ENOENT. */
BOUGH_API int bough_signals_undo(void);

/*
 * For a program with a handler or sigwait loop of its own: feed the same machine by hand. `signo` is any
 * of the three, or another number, which is kept in the record. Returns how many events the incident has had.
 * [signal] [rule 32]
 */
BOUGH_API int bough_signal_event(int signo);

/* Interrupt everything with kind BOUGH_EXIT, wait for all children and adopted threads to end (at most
 * `grace` ns; 0: 5 s), then exit(status). The C spelling of sys.exit(). Call it from the main thread.
 * [rule 32] */
BOUGH_API void bough_exit(int status, int64_t grace) __attribute__((noreturn));

/* _exit(status), which keeps the exit status that a signal asks for: while the record of a signal stands at the root,
 * uncleared, the process ends at once by that signal, in any thread. In the child of a fork() or vfork() that holds only for
 * what was asked of the child. No handler runs and no stream is flushed. For code that replaces _exit(). [signal] [rule 32] */
BOUGH_API void bough_exit_now(int status) __attribute__((noreturn));

#ifdef __cplusplus
}
#endif
#endif

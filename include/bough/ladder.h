/* SPDX-License-Identifier: MIT */
/*
 * The ladder: how an interrupt that is not heeded escalates.
 *
 *   rung             what happens                                      failed when              for a grace of 30 s
 *   1 flag           sticky flag, a blocked call is woken              not handled in time       5 s
 *   2 handler        runs on the target, must return, with a verdict   not back in time          1 s
 *   3 final handler  runs on the target, must not return               it returned, or time      5 s
 *   4 close          the thread is frozen, its environment closed      not safe, or time         2 s
 *   5 exit           all others are interrupted, the process exits     the process still runs    8 s
 *   6 kill           a dump is written, the process kills itself       -                         2 s
 *                                                                      all of it: the hard cap   28 s
 *
 * An incident is one interrupt's climb up the ladder. It climbs one rung when the rung's time is over, when a second
 * event of its kind comes (posts within 250 ms are one event), or by a handler's verdict or fault. It never goes back.
 * Rungs with nothing to run are skipped. An incident ends when the target has ended, the record was cleared, or the
 * thread was published as lost.
 *
 * The ceiling is the highest rung of an incident. An interrupt that the program posts to itself (BOUGH_STOP,
 * BOUGH_TIMEOUT, BOUGH_SIBLING, BOUGH_EXCEPTION) stays at rung 1, or 3 where handlers are installed, and is then
 * reported as overdue; an interrupt from outside (BOUGH_SIGNAL, BOUGH_EXIT, BOUGH_OPERATOR) goes to rung 6. Both
 * ceilings can be set: for the process, a branch, a thread. `bough interrupt` sets a ceiling for its post, 3 for one
 * thread or branch.
 *
 *   static int save(struct bough_incident *incident, void *document)     // rung 2, on the thread itself
 *   {
 *       return write_draft(document) == 0 ? BOUGH_UNWIND : BOUGH_PROMOTE;
 *   }
 *
 *   BOUGH_HANDLE(save, document) {                                       // a region: nests, ends on every way out
 *       edit(document);
 *   }
 *
 * [rules 17, 20, 34 to 40]
 */
#ifndef BOUGH_LADDER_H
#define BOUGH_LADDER_H

#include <pthread.h>
#include <stdio.h>
#include <bough/interrupt.h>
#include <bough/level.h>
#include <bough/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The rungs, as in the table above. */
enum bough_rung {
    BOUGH_RUNG_FLAG = 1,
    BOUGH_RUNG_HANDLER,
    BOUGH_RUNG_FINAL,
    BOUGH_RUNG_CLOSE,
    BOUGH_RUNG_EXIT,
    BOUGH_RUNG_KILL,
    BOUGH_RUNGS
};

/* ---- times and ceilings -------------------------------------------------------------------- */

/* A field that is 0 is inherited from the enclosing branch or the process, and finally from the table above. Times
 * are in ns, at most 24 days. */
struct bough_ladder {
    int64_t grace;                /* the whole time: the table's times, and the cap, are scaled to it */
    int64_t time[BOUGH_RUNGS];    /* [n]: how long rung n may take; not scaled */
    int64_t cap;                  /* from the first post to the end of the process, if the incident climbs that far */
    uint8_t ceiling[BOUGH_KINDS]; /* the highest rung for each kind */
};

/*
 * Set the ladder for a target: BOUGH_ROOT (the process), a branch (by its owner), or NULL (the calling thread, until
 * it ends). For each field, the setting nearest to an incident's target applies, to rungs that begin later. If the
 * process sets no grace, it is BOUGH_GRACE of the environment (seconds, such as 2.5); else 9 s in process 1, which a
 * container's supervisor kills after 10 s; else 30 s. Returns 0; -1 with EINVAL (a negative or overlong time, a
 * ceiling above 6), EPERM, ESRCH, EAGAIN. [rules 34, 38, 39]
 */
BOUGH_API int bough_ladder_set(bough_target target, const struct bough_ladder *ladder);
/* Get the values that apply to a target (NULL: the caller), with every field filled in. Returns 0; -1 with EINVAL,
 * ESRCH. [rule 38] */
BOUGH_API int bough_ladder_get(bough_target target, struct bough_ladder *ladder);

/* ---- handlers: rungs 2 and 3 --------------------------------------------------------------- */

/* The return value of a rung 2 handler. Any other value counts as BOUGH_PROMOTE. */
enum bough_verdict {
    BOUGH_UNWIND,  /* end the thread: the interruption point at which the handler ran fails with ECANCELED */
    BOUGH_RESUME,  /* work on: until `resume_until`, points do not fail because of this incident */
    BOUGH_PROMOTE, /* the next handler outwards; if there is none, the next rung */
    BOUGH_DISMISS, /* clear the record, as bough_clear() may, unless it is a third event's or final */
    /* The record of an incident that may go beyond rung 3 is final from its third event on. */
    BOUGH_LEAVE /* the only verdict of a final handler, for bindings: the binding has raised an exception, which ends
                   the thread after the return. The point fails; the thread has the rest of rung 3's time */
};

/* The argument of a handler. */
struct bough_incident {
    struct bough_record record;
    int rung;                /* the rung at which the handler runs */
    bough_time deadline;     /* the time by which the handler must return */
    bough_time cap;          /* the time by which the process ends; 0 if this incident does not climb that far */
    bough_time resume_until; /* out: for BOUGH_RESUME; the cap limits it */
};

/* A handler: runs on the thread that is interrupted. Returns an enum bough_verdict. */
typedef int bough_handler_fn(struct bough_incident *incident, void *argument);

enum bough_handler_flags {
    BOUGH_HANDLER_FINAL = 1, /* rung 3: it must end the thread and not return: leave by bough_longjmp(), exit, throw */
    BOUGH_HANDLER_ASYNC = 2  /* final handlers only: also runs in code without interruption points, like a signal
                                handler, and may call only async-signal-safe functions */
};

/*
 * A region with a handler. At rung 2 the innermost handler of each thread in the target's subtree runs, on that
 * thread, at its next interruption point; at rung 3 the innermost final handler. If the thread's level admits no
 * interrupts, the rung's time runs out. While a handler runs, its incident does not interrupt its calls and does not
 * call it again. A handler that faults (SIGSEGV, SIGBUS, SIGFPE, SIGILL), or leaves rung 2 by a jump or a C++
 * exception, has failed: the incident goes up. To catch faults, the first region of this kind installs signal
 * handlers, which pass other faults on to the previous handlers. If the program installs handlers for these signals
 * later, they replace the library's.
 */
#define BOUGH_HANDLE(fn, argument) BOUGH_HANDLE_((fn), (argument), 0)
#define BOUGH_HANDLE_FINAL(fn, argument) BOUGH_HANDLE_((fn), (argument), BOUGH_HANDLER_FINAL)
/* Begin such a region by a call; bough_region_end() ends it. Returns 0; -1 with EINVAL, EAGAIN, ENOMEM. [owner] [rule
 * 36] */
BOUGH_API int bough_handler_begin(struct bough_region *region, bough_handler_fn *fn, void *argument, unsigned flags,
                                  const char *file, int line);

/* ---- rung 4: closing a thread's environment without it ------------------------------------- */

/*
 * A frozen thread may hold a lock of libc or of another library, which no thread could ever take again. So rung 4 is
 * only for threads that are in a bough call, or in a region that is declared closable: code that takes no lock and
 * allocates nothing, except what its closers release. Elsewhere the incident continues to rung 5, and the report has
 * the reason.
 *
 * At rung 4 the thread is stopped where it is, permanently. Its closers run, the last registered first, on a thread
 * of the library. The next thread that locks one of its library mutexes gets EOWNERDEAD. Its branches become those of
 * the branch around it. Its resource's destructor runs. Then the thread is published as lost: its outcome is
 * BOUGH_LOST, posts to it are BOUGH_POST_LOST, and its branch no longer waits for it. Its stack is never freed.
 * [rule 37]
 */
#define BOUGH_CLOSABLE BOUGH_REGION_(bough_closable_begin_, 0)
BOUGH_API int bough_closable_begin(struct bough_region *region, const char *file, int line);

/* Register a closer for the calling thread, until bough_closer_drop() or the thread's end. Closers run at rung 4
 * only, not at the thread's end. Return NULL with EINVAL, ENOMEM, EAGAIN. [owner] [rule 37] */
typedef struct bough_closer bough_closer;
BOUGH_API bough_closer *bough_closer_fn(void (*fn)(void *), void *argument);
BOUGH_API bough_closer *bough_closer_fd(int fd);                     /* close() */
BOUGH_API bough_closer *bough_closer_file(FILE *file);               /* fclose(), if no thread holds its lock */
BOUGH_API bough_closer *bough_closer_heap(void *memory);             /* free() */
BOUGH_API bough_closer *bough_closer_mapping(void *at, size_t size); /* munmap() */
BOUGH_API bough_closer *bough_closer_shm(const char *name);          /* shm_unlink(); the name is copied */
BOUGH_API bough_closer *bough_closer_child(pid_t pid);               /* SIGTERM, SIGKILL after a while; reaped */
/* A robust mutex, process-shared or not: its next taker gets EOWNERDEAD. EINVAL if it is not robust.
 * [owner] [rule 37] */
BOUGH_API bough_closer *bough_closer_mutex(pthread_mutex_t *mutex);
/* Restore the terminal's settings (echo, raw mode) to those at the time of this call, at rungs 4, 5 and 6. ENOTTY. */
BOUGH_API bough_closer *bough_closer_terminal(int fd);
/* Drop a closer that is no longer needed. If `run` is not 0, the closer runs now. Returns 0; -1 with EINVAL, EPERM.
 * [owner] [rule 37] */
BOUGH_API int bough_closer_drop(bough_closer *closer, int run);

/* ---- rungs 5 and 6: the end of the process -------------------------------------------------- */

/*
 * The exit status of a process that ends by rung 5 is that of the signal that asked for it (130, 143), else 70. By
 * rung 6 the process ends by SIGABRT with a core (134) if the program has set that, else by SIGKILL (137). Process 1
 * of a namespace, which signals do not end, exits with 137.
 */
enum { BOUGH_EXIT_STATUS = 70 };

/* Run fn(argument) at rung 5, before exit(): lower tiers first, and in a tier the function that was registered last.
 * The functions run on a thread of the library, and together have at most half of the rung's time. Returns 0; -1 with
 * EINVAL, ENOMEM. [rules 38 and 39] */
BOUGH_API int bough_exit_tier(int tier, void (*fn)(void *), void *argument);

enum bough_last_words_flags { BOUGH_CORE = 1 /* end by SIGABRT, with a core file where limits allow one */ };
/*
 * Set where rung 6 writes its dump. `path` is opened now; `%d` in it stands for the process id. If `path` is NULL,
 * the dump goes to the descriptor `fd`, which is duplicated; -1 is standard error, the default. BOUGH_DUMP in the
 * environment names a path as well. A new file has mode 0600. EPERM: the file belongs to another user. A program with
 * more rights than its caller reads no environment and follows no links here (ELOOP, EMLINK). Returns 0; -1 with
 * EINVAL or open's errno, and nothing is changed. [rule 39]
 */
BOUGH_API int bough_last_words(const char *path, int fd, unsigned flags);

/* ---- the service manager ---------------------------------------------------------------------- */

/*
 * Notify the service manager (systemd, or another program that listens at NOTIFY_SOCKET) that the process has started
 * and is ready: READY=1 of sd_notify(3), which units with Type=notify wait for. This does not block, and the library
 * sends the message only by this call. Returns 1 if it was sent; 0 if no service manager listens; -1 with EINVAL
 * (NOTIFY_SOCKET names no socket), EAGAIN (its queue is full: call again) or an error of socket() or sendto(). [signal]
 * [rule 39]
 */
BOUGH_API int bough_notify_ready(void);
/*
 * Feed the service manager's watchdog (WATCHDOG=1), which ends a process that does not feed it in time. The library
 * feeds it only by this call, because the library's threads continue when the program hangs: call this function where
 * the program does its work, at least twice in an interval. Returns 1 if the message was sent; 0 if there is no
 * watchdog for this process, or no service manager listens; -1 with EINVAL, EAGAIN or another error as above. [signal]
 * [rule 39]
 */
BOUGH_API int bough_watchdog_feed(void);
/* Get the time within which the watchdog has to be fed, in ns. Returns 0 if there is no watchdog for this process; -1
 * with EINVAL: WATCHDOG_USEC or WATCHDOG_PID is not a positive number. [signal] [rule 39] */
BOUGH_API int64_t bough_watchdog_interval(void);

/* ---- watching ------------------------------------------------------------------------------- */

/* One step of an incident. The strings belong to the library, and are valid while the callback runs. */
struct bough_transition {
    bough_post post;
    enum bough_kind kind;
    int from, to;           /* rungs; `to` == `from`: overdue at its ceiling. 0: the incident is over */
    bough_target target;    /* the record's target */
    bough_target wider;     /* the branch around the target, which is not affected; NULL at the root */
    const char *name;       /* the target's name */
    const char *why;        /* "not handled in 5.0 s", "a further event", "it was cleared" */
    const char *place;      /* the threads that have not ended, the likely cause first and where it is stuck; or "" */
    pid_t source;           /* the thread that posted */
    bough_time at, since;   /* now, and when it was posted */
    const char *wider_name; /* of `wider`; "" at the root */
    const char *reason;     /* the interrupt's reason; "" if none was given */
};

/* Have `fn` called for each transition of any incident, on a thread of the library, one call at a time. NULL ends
 * that. The library also writes a line to the log (bough_set_report()). Returns 0. [rule 40] */
typedef void bough_transition_fn(const struct bough_transition *transition, void *argument);
BOUGH_API int bough_on_transition(bough_transition_fn *fn, void *argument);

/* A post that was made, has reached its target, or is over. The strings belong to the library, and are valid while the
 * callback runs. */
struct bough_posting {
    bough_post post;
    enum bough_post_status status; /* PENDING: it was made; DELIVERED: by a first point; CLEARED, ENDED, LOST */
    struct bough_record record;    /* the interrupt, with its target and reason */
    const char *name;              /* the target's name */
    bough_target wider;            /* the branch around the target; NULL at the root */
    const char *wider_name;
    bough_time at;
    unsigned lost; /* how many postings were dropped before this one, because the callback was too slow */
};

/* Have `fn` called for each post, including those of the library (a deadline, a failed sibling) and from outside: when
 * it is made (before the target can meet it), when it is delivered, when it is over, in this order. The calls are made
 * on a thread of the library, one at a time; no thread waits for them. A repeated post that is only counted makes no
 * call. NULL ends the calls. This function waits for calls for earlier posts, for at most 5 s. Returns 0. [rule 40] */
typedef void bough_posting_fn(const struct bough_posting *posting, void *argument);
BOUGH_API int bough_on_posting(bough_posting_fn *fn, void *argument);

/* The progress of a post's incident. */
struct bough_progress {
    int rung, ceiling;
    int overdue; /* 1: the incident is at its ceiling, and its time is over */
    unsigned events;
    bough_time deadline; /* of this rung; 0: none */
    bough_time cap;      /* 0: the incident does not climb to the end of the process */
    char place[160];     /* the threads that have not ended, the likely cause first and where it is stuck */
};
/* Get the progress. Returns 0; -1 with EINVAL (NULL), ESRCH: the post is over (bough_post_status() returns how it
 * ended). */
BOUGH_API int bough_post_progress(bough_post post, struct bough_progress *progress);

/*
 * Write the state of this process to a descriptor: the tree, the threads' states and levels, open regions with file,
 * line and age, records and their rungs, where each thread is stuck, the stacks. It takes no lock, allocates no
 * memory and does not disturb other threads. Returns 0; -1 with write's errno. [signal] [rule 41]
 */
BOUGH_API int bough_dump(int fd);

enum bough_dump_flags {
    BOUGH_DUMP_THREAD = 1, /* only the thread that the signal reaches */
    BOUGH_DUMP_CHAIN = 2   /* then the previous action of the signal */
};
/*
 * Have a signal write a dump to `fd`, on the thread that it reaches, which may be in any code. Calls that the signal
 * interrupts are restarted. A later call for the same signal replaces descriptor and flags. The descriptor is not
 * duplicated: it has to stay open. The setting also applies in a child of fork(). Returns 0; -1 with EINVAL (no signal,
 * or one that can't be caught, that the library uses, or that is a fault), EBADF. [rule 41]
 */
BOUGH_API int bough_dump_on_signal(int signo, int fd, unsigned flags);
/* Restore the signal's previous action, unless the program has set another one since. Returns 1; 0 if no dump was set
 * for the signal. [rule 41] */
BOUGH_API int bough_dump_on_signal_undo(int signo);

/* ---- how the block forms are made ----------------------------------------------------------- */

static inline int bough_closable_begin_(struct bough_region *region, int64_t unused, const char *file, int line)
{
    (void)unused;
    return bough_closable_begin(region, file, line);
}

#define BOUGH_HANDLE_(fn, argument, flags) \
    BOUGH_HANDLE_AT_(fn, argument, flags, BOUGH_PASTE_(bough_region_, __LINE__), BOUGH_PASTE_(bough_once_, __LINE__))
#define BOUGH_HANDLE_AT_(fn, argument, flags, region, once)                                              \
    for (struct bough_region region __attribute__((cleanup(bough_region_leave_))),                       \
         *once = (bough_handler_begin(&region, (fn), (argument), (flags), __FILE__, __LINE__), &region); \
         once; once = NULL)

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: MIT */
/*
 * The ladder: what becomes of an interrupt that is not heeded.
 *
 *   rung             what happens                                      failed when              for a grace of 30 s
 *   1 flag           sticky flag, a blocked call is woken              not handled in time       5 s
 *   2 handler        runs on the target, must return, with a verdict   not back in time          1 s
 *   3 final handler  runs on the target, must not return               it returned, or time      5 s
 *   4 close          the thread is frozen, its environment closed      not safe, or time         2 s
 *   5 exit           the others are told, the process exits            the process is there      8 s
 *   6 kill           a dump is written, the process kills itself       -                         2 s
 *                                                                      all of it: the hard cap   28 s
 *
 * One interrupt's way up is an incident. It goes up one rung when a time is over, when a second event of its kind
 * comes (what comes within 250 ms is one event), by a handler's verdict or fault; never back. Rungs with nothing to
 * run are skipped. It ends when the target has ended, or the record was cleared, or the thread was published as lost.
 *
 * How far it climbs is its ceiling. An interrupt that the program posts to itself (BOUGH_STOP, BOUGH_TIMEOUT,
 * BOUGH_SIBLING, BOUGH_EXCEPTION) stays at rung 1, or 3 where handlers are installed, and is then reported as
 * overdue; one from outside (BOUGH_SIGNAL, BOUGH_EXIT, BOUGH_OPERATOR) goes to rung 6. Both can be set: for the
 * process, a branch, a thread. Nothing kills a process by surprise: `bough interrupt` asks for a ceiling of its own, 3
 * for one thread or branch.
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

/* All fields may be 0: as it is further out, at last as in the table above. Times are in ns, at most 24 days. */
struct bough_ladder {
    int64_t grace;                /* the whole: the table's times, and the cap, are scaled to it */
    int64_t time[BOUGH_RUNGS];    /* [n]: how long rung n may take; not scaled */
    int64_t cap;                  /* from the first post to the end of the process, if it climbs that far */
    uint8_t ceiling[BOUGH_KINDS]; /* the highest rung for each kind */
};

/*
 * Set the ladder for a target: BOUGH_ROOT (the process), a branch (by its owner), or NULL (the calling thread, until
 * it ends). What is nearest to an incident's target counts, field by field. It counts for rungs that begin later.
 * The grace of the process is, where nobody sets it: BOUGH_GRACE in the environment (seconds, 2.5 is fine); 9 s as
 * process 1, which a container's supervisor kills after 10; else 30 s.
 * Returns 0; -1 with EINVAL (a negative or overlong time, a ceiling above 6), EPERM, ESRCH, EAGAIN. [rules 34, 38, 39]
 */
BOUGH_API int bough_ladder_set(bough_target target, const struct bough_ladder *ladder);
/* What counts for a target (NULL: the caller), every field filled in. Returns 0; -1 with EINVAL, ESRCH. */
BOUGH_API int bough_ladder_get(bough_target target, struct bough_ladder *ladder);

/* ---- handlers: rungs 2 and 3 --------------------------------------------------------------- */

/* What a rung 2 handler returns. Anything else counts as BOUGH_PROMOTE. */
enum bough_verdict {
    BOUGH_UNWIND,  /* go on as the flag asks: the point at which it ran fails with ECANCELED */
    BOUGH_RESUME,  /* work on until `resume_until`: points do not fail for this incident before */
    BOUGH_PROMOTE, /* the next handler outwards; if there is none, the next rung */
    BOUGH_DISMISS, /* clear the record, as bough_clear() may: not that of a third event, nor a final one */
    /* The record of an incident that may go beyond rung 3 is final from its third event on. */
    BOUGH_LEAVE /* a final handler's only one, for language bindings: an exception is on its way and ends the thread once
                   this has returned. The point fails; the thread has the rest of rung 3's time */
};

/* What a handler is told. */
struct bough_incident {
    struct bough_record record;
    int rung;                /* the one it runs at */
    bough_time deadline;     /* by when it must be back */
    bough_time cap;          /* by when the process ends, 0 if this incident does not climb that far */
    bough_time resume_until; /* out: for BOUGH_RESUME; later than the cap is cut */
};

/* A handler: runs on the thread that is interrupted. Returns an enum bough_verdict. */
typedef int bough_handler_fn(struct bough_incident *incident, void *argument);

enum bough_handler_flags {
    BOUGH_HANDLER_FINAL = 1, /* rung 3: it must not return, but end the thread: leave by bough_longjmp(), exit, throw */
    BOUGH_HANDLER_ASYNC = 2  /* final ones only: also in the middle of code that meets no point, on top of it like a
                                signal handler, with what is allowed there */
};

/*
 * A region with a handler. At rung 2 the innermost handler of each thread below the target runs, on that thread, at
 * its next point; at rung 3 the innermost final one. Where the level admits no point, its time runs out. While a
 * handler runs, its own incident does not cut its calls and does not enter it again. One that faults (SIGSEGV, SIGBUS,
 * SIGFPE, SIGILL) or leaves by a jump or a C++ exception from rung 2 counts as failed: the incident goes up. For the
 * faults the first region of this kind installs handlers of the library's, which hand on what is not theirs; a program
 * that installs its own later, without handing on, has the last word.
 */
#define BOUGH_HANDLE(fn, argument) BOUGH_HANDLE_((fn), (argument), 0)
#define BOUGH_HANDLE_FINAL(fn, argument) BOUGH_HANDLE_((fn), (argument), BOUGH_HANDLER_FINAL)
/* The same as a call; ended by bough_region_end(). Returns 0; -1 with EINVAL, EAGAIN, ENOMEM. [owner] [rule 36] */
BOUGH_API int bough_handler_begin(struct bough_region *region, bough_handler_fn *fn, void *argument, unsigned flags,
                                  const char *file, int line);

/* ---- rung 4: closing a thread's environment without it ------------------------------------- */

/*
 * A frozen thread may hold a lock of libc or of any library, which nobody could ever take again. So rung 4 is for
 * threads that are in a bough call, or in a region that is declared closable: code that takes no lock and allocates
 * nothing, or only what its closers put right. Elsewhere the incident goes on to rung 5 and says why.
 *
 * What happens: the thread is stopped where it is, for good; its closers run, the last registered first, on a thread
 * of the library's; library locks that it held have their next taker learn of it (EOWNERDEAD); its branches become
 * those of the branch around it; its resource's destructor runs; it is published: its outcome is BOUGH_LOST, posts to it are
 * BOUGH_POST_LOST, a branch no longer waits for it. Its stack is never freed.
 */
#define BOUGH_CLOSABLE BOUGH_REGION_(bough_closable_begin_, 0)
BOUGH_API int bough_closable_begin(struct bough_region *region, const char *file, int line);

/* Registered for the calling thread, until bough_closer_drop() or its end, which runs none of them: they are for rung
 * 4 only. NULL with EINVAL, ENOMEM, EAGAIN. [owner] [rule 37] */
typedef struct bough_closer bough_closer;
BOUGH_API bough_closer *bough_closer_fn(void (*fn)(void *), void *argument);
BOUGH_API bough_closer *bough_closer_fd(int fd);                     /* close() */
BOUGH_API bough_closer *bough_closer_file(FILE *file);               /* fclose(), if nobody holds its lock */
BOUGH_API bough_closer *bough_closer_heap(void *memory);             /* free() */
BOUGH_API bough_closer *bough_closer_mapping(void *at, size_t size); /* munmap() */
BOUGH_API bough_closer *bough_closer_shm(const char *name);          /* shm_unlink(); the name is copied */
BOUGH_API bough_closer *bough_closer_child(pid_t pid);               /* SIGTERM, SIGKILL after a while; reaped */
/* A robust mutex, process-shared or not: its next taker gets EOWNERDEAD. EINVAL if it is not robust. */
BOUGH_API bough_closer *bough_closer_mutex(pthread_mutex_t *mutex);
/* The terminal's settings as they are now, to be put back at rungs 4, 5 and 6: echo, raw mode. ENOTTY. */
BOUGH_API bough_closer *bough_closer_terminal(int fd);
/* What it was for is done. `run`: do now what it would have done. Returns 0; -1 with EINVAL, EPERM. [owner] */
BOUGH_API int bough_closer_drop(bough_closer *closer, int run);

/* ---- rungs 5 and 6: the end of the process -------------------------------------------------- */

/*
 * The status of a process that ends here: by rung 5, that of the signal that asked for it (130, 143), else 70; by rung
 * 6, SIGABRT with a core (134) if that is wanted, else SIGKILL (137). Process 1 of a namespace, which signals do not
 * end, exits with 137.
 */
enum { BOUGH_EXIT_STATUS = 70 };

/* Run fn(argument) at rung 5, before exit(): lower tiers first, the last registered of a tier first, on a thread of
 * the library's, together at most half of the rung's time. Returns 0; -1 with EINVAL, ENOMEM. */
BOUGH_API int bough_exit_tier(int tier, void (*fn)(void *), void *argument);

enum bough_last_words_flags { BOUGH_CORE = 1 /* end by SIGABRT, with a core file where limits allow one */ };
/*
 * Where rung 6 writes its dump, opened now: `path` (NULL: the descriptor `fd`, which is duplicated; -1: standard
 * error, the default; with `%d` in the path for the process id). BOUGH_DUMP in the environment names a path as well.
 * A new file has mode 0600. EPERM: it belongs to another user. A program with more rights than its caller reads no
 * environment and follows no links here (ELOOP, EMLINK).
 * Returns 0; -1 with EINVAL or open's errno, and nothing is changed. [rule 39]
 */
BOUGH_API int bough_last_words(const char *path, int fd, unsigned flags);

/* ---- watching ------------------------------------------------------------------------------- */

/* One step of an incident. Strings are the library's, and valid while the callback runs. */
struct bough_transition {
    bough_post post;
    enum bough_kind kind;
    int from, to;        /* rungs; `to` == `from`: overdue at its ceiling. 0: it is over */
    bough_target target; /* of the record */
    bough_target wider;  /* the branch around the target; NULL at the root. Told, not touched */
    const char *name;    /* the target's */
    const char *why;     /* "not handled in 5.0 s", "a further event", "it was cleared" */
    const char
        *place; /* the threads that have not ended, the likely cause first and where it is stuck; "" if there is none */
    pid_t source;         /* who posted */
    bough_time at, since; /* now, and when it was posted */
};

/* Called for each transition of any incident, on a thread of the library's; one at a time. NULL ends it. A line in the
 * log (bough_set_report()) is written besides. Returns 0. [rule 40] */
typedef void bough_transition_fn(const struct bough_transition *transition, void *argument);
BOUGH_API int bough_on_transition(bough_transition_fn *fn, void *argument);

/* How a post's incident stands. */
struct bough_progress {
    int rung, ceiling;
    int overdue; /* 1: at its ceiling, and out of time */
    unsigned events;
    bough_time deadline; /* of this rung; 0: none */
    bough_time cap;      /* 0: it does not climb to the end of the process */
    char place[160];     /* the threads that have not ended, the likely cause first and where it is stuck */
};
/* Returns 0; -1 with EINVAL (NULL), ESRCH: the post is over (bough_post_status() tells how). */
BOUGH_API int bough_post_progress(bough_post post, struct bough_progress *progress);

/*
 * Write what is going on in this process to a descriptor: the tree, the threads' states and levels, open regions with
 * file, line and age, records and their rungs, where each thread is stuck, the stacks. Without a lock and without
 * memory; other threads are not disturbed. Returns 0; -1 with write's errno. [signal] [rule 41]
 */
BOUGH_API int bough_dump(int fd);

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

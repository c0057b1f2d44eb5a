/* SPDX-License-Identifier: MIT */
/*
 * Other people's code: blocking calls inside libraries that know nothing of bough become interruptible.
 *
 *   bough_interpose(NULL, 0);                  // once: all that is loaded, and what is loaded later
 *
 *   BOUGH_FOREIGN {                            // in here this thread takes part
 *       result = PQexec(db, "select pg_sleep(3600)");
 *   }                                          // interrupted: poll() in libpq fails, and PQexec() as if the server had
 *   if (bough_check() != 0) ...                // the interrupt stays to be seen
 *
 * How it works: an object that is loaded reaches libc's functions through a table of addresses of its own (GOT). There
 * bough puts a function of its own for each call of its table (bough_read() for read(), ...), which for a thread that does
 * not take part goes straight on to libc's. Code is not touched; bough_interpose_undo() puts back every address.
 *
 * How an interrupted call fails (rule 22): in ways that its standard allows and that its callers survive.
 *
 *   a call that may fail with EINTR          EINTR. If the same function comes back from the same place, for the same descriptor and
 *                                            with no other blocking call and nothing written to it in between, the caller
 *                                            retries on EINTR: then ECANCELED
 *   a wait for a semaphore, pause(),         EINTR, never another error: a caller that retries on EINTR takes any other
 *   sigsuspend()                             result for success
 *   a condition wait                         returns 0, the spurious wakeup that POSIX allows
 *   sleep(), usleep(), nanosleep() and the   ends early, with EINTR; if it comes back at once, as if its time were over.
 *   like, poll() and select() without        Callers ignore that, so it does not count as the delivery of the interrupt, and
 *   descriptors                              happens once a grace period
 *   pthread_join() and the like              are never interrupted: POSIX allows no such error, and callers abort. A report of
 *                                            what keeps a thread from stopping names the thread that is joined
 *   a call of a library that aborts on       EINTR, never another error
 *   other errors (libuv, libev, libzmq)
 *   getaddrinfo() and the like, sigwait()    the error at once: EAI_SYSTEM with ECANCELED, or ECANCELED
 *
 * Code that ignores the failure of a poll() or select() meets the error once more: its next call on one of those descriptors
 * that would fail with EAGAIN fails with ECANCELED.
 *
 * Each interrupt makes one call fail (two, counting a retry). Then it is suppressed in foreign code for a grace period (5 s), so
 * that the library's cleanup works; then it comes again, or sooner if it has climbed a rung of the ladder. Only a call that may
 * block is interrupted: none on a regular file, none on a descriptor with O_NONBLOCK, none with a timeout of zero,
 * MSG_DONTWAIT or WNOHANG. A call that had an effect returns it (rule 9).
 *
 * What can't be reached is in the report: calls inside libc itself (stdio's output, scanf(); getaddrinfo() and the like,
 * system(), pclose(), and stdio's getc(), fgets(), fread(), getline() are replaced as a whole, some of them with glibc only), system calls made by hand, addresses got from dlsym() or kept in data, static programs, objects
 * in other namespaces of dlmopen(), and slots that somebody else has taken.
 */
#ifndef BOUGH_INTERPOSE_H
#define BOUGH_INTERPOSE_H

#include <bough/interrupt.h>
#include <bough/level.h>

#ifdef __cplusplus
extern "C" {
#endif

enum bough_interpose_flags {
    BOUGH_LOADED_ONLY = 1 /* leave alone what is loaded later */
};

/*
 * Patch the objects named, a list that ends with NULL; NULL for all. "" is the program itself; a name is compared with the
 * last part of an object's path, with or without its version ("libpq.so" is libpq.so.5.15), and may be a pattern of
 * fnmatch(3). Called again it adds to what was named before. libc, the loader and bough itself are never patched.
 *
 * Returns how many addresses are patched now, in all; -1 with EINVAL (flags), ENOMEM, ENOTSUP (a static program: there is
 * nothing to patch, and nothing is loaded later). What was skipped, and why, is in the report. From ordinary code.
 */
BOUGH_API int bough_interpose(const char *const objects[], unsigned flags);
/* Put every address back: what bough_interpose() was told is forgotten; hooks stay. Threads that are in a call finish it.
 * Returns how many are left, for hooks; -1 with EACCES if a page could not be made writable: the report says which. */
BOUGH_API int bough_interpose_undo(void);
/* Look for what was loaded since. Done by itself after a dlopen() out of a patched object and when a thread begins to take
 * part; for who loads in other ways. Returns as bough_interpose(). */
BOUGH_API int bough_interpose_rescan(void);

/* ---- taking part ---------------------------------------------------------------------------- */

/* A region in which the calling thread takes part. It nests and is restored on every way out as the others are
 * (bough/level.h). A child that takes part from its start: .foreign in struct bough_child_options. */
#define BOUGH_FOREIGN BOUGH_REGION_(bough_foreign_begin_, 0)
/* Returns 0; -1 with EINVAL (NULL), EAGAIN (no thread for the ticker, table full). bough_region_end() ends it. [owner] */
BOUGH_API int bough_foreign_begin(struct bough_region *region, const char *file, int line);
/* Whether the calling thread takes part now. [signal] */
BOUGH_API int bough_foreign(void);

/* A call of foreign code that was interrupted. */
struct bough_cut {
    const char *call;               /* libc's name of the function */
    const char *object;             /* the path of the object that called it; "" is the program, or unknown code */
    const void *site;               /* an address there */
    int fd;                         /* the descriptor; -1: none, or several */
    int error;                      /* the error number that it is about to fail with */
    int again;                      /* 1: it failed with EINTR before and was made again at once */
    const struct bough_record *why; /* NULL if the record was cleared in the last moment */
};

/* Runs on the thread, after the call and before it returns to the foreign code. Returns another error number to fail with, or 0.
 * It may run a binding's code, and call bough. Not called for a pause or a condition wait that ends early. */
typedef int bough_cut_fn(void *argument, const struct bough_cut *cut);
/* Returns the error number with which calls from this place fail, at once and without EINTR first; 0: as described above. For
 * callers that are known to handle that error, such as a binding's interpreter. Runs on the thread, before and after calls;
 * makes no blocking calls. */
typedef int bough_choose_fn(void *argument, const char *call, const void *site);

/* How foreign code is interrupted in the calling thread; all fields may be 0. */
struct bough_foreign {
    int error; /* the errno of a call that is retried after EINTR; 0: ECANCELED. EINTR: no call gets another error */
    unsigned kinds;          /* the kinds that interrupt it, 1 << enum bough_kind each; 0: all */
    int64_t grace;           /* ns; 0: 5 s (rule 22) */
    bough_cut_fn *on_cut;    /* may be NULL */
    void *argument;          /* to it, and to `choose` */
    bough_choose_fn *choose; /* may be NULL */
    int paced;               /* 1: it shares a lock with other threads, see bough_paced() */
};

/* Until the thread ends, or the child does. NULL: by default. Returns 0; -1 with EINVAL, EAGAIN (table full). */
BOUGH_API int bough_foreign_set(const struct bough_foreign *ways);
/* The last failure has not arrived (a binding's exception was swallowed): interrupt foreign code again at its next call, not only
 * after the grace period. Returns 1 if an interrupt is due there, else 0. [rules 22, 44] */
BOUGH_API int bough_foreign_again(void);
/* An interruption point for foreign code, where a binding's code looks for one (an interpreter's check for signals). It fails as
 * a call of foreign code would: for the kinds that interrupt it, once, and not again before the grace period is over. `why` may be
 * NULL; gets the record on failure, its reason empty if it was cleared in the last moment. Returns 0, also in a thread that does
 * not take part; -1 with ECANCELED. [point, rule 22] */
BOUGH_API int bough_foreign_check(struct bough_record *why);
/*
 * Threads whose code needs one lock to go on after a blocking call, an interpreter's lock: each says .paced = 1. An interrupt
 * of many of them marks all at once, and wakes a few; another one is woken each time that one which was woken calls
 * bough_paced(), with that lock in its hands, or ends. So they do not all wait for the lock at the same time, which takes
 * far longer than one after the other. A thread that does not call it holds the others up for 50 ms: then some are woken
 * without that, and after a few times 50 ms all of them. A rung above the first wakes all at once.
 *
 * Called by the thread that has the lock, after a call that was interrupted, before code that may take long. Without effect in any other
 * thread, or a second time. Never fails. [thread, signal, rule 4]
 */
BOUGH_API void bough_paced(void);
/*
 * Calls of the object with this name (as for bough_interpose()) fail with no other error than EINTR because of an interrupt: it
 * aborts on any other. For libraries that bough does not know; bough_interpose_report() lists the known ones, and
 * BOUGH_EINTR_ONLY in the environment adds names, separated by ':' (privileged programs ignore it). For the whole process, and
 * for good. Returns 0; -1 with EINVAL (NULL), ENOMEM. [any thread]
 */
BOUGH_API int bough_interpose_eintr_only(const char *object);

/* ---- for bindings --------------------------------------------------------------------------- */

typedef void bough_code(void); /* any function */
/* A hook that is in place. */
typedef struct bough_hook_entry bough_hook_t;

/*
 * Have calls of `symbol` out of `object` (a name as above, NULL: all) come to `function`, now and in what is loaded
 * later: by the same patcher, the same rescan. *original (may be NULL) becomes what to call instead: libc's function,
 * interruptible if that object is interposed, or whatever the symbol stands for. A slot that a third party has taken is
 * left alone. `function` must stay in memory for good: a thread may be in it after bough_unhook(). A symbol that the program
 * at large does not know is looked for where `object` finds it, if that is loaded.
 *
 * Returns the hook; NULL with EINVAL (NULL, an empty symbol), EEXIST (there is one for that object and symbol), ENOENT
 * (no such symbol is known), ENOMEM, ENOTSUP (a static program).
 */
BOUGH_API bough_hook_t *bough_hook(const char *object, const char *symbol, bough_code *function, bough_code **original);
/* Undo one; the handle is gone. Returns 0; -1 with EINVAL (no such hook), EACCES (a page could not be made writable: the
 * hook stays). */
BOUGH_API int bough_unhook(bough_hook_t *hook);

/* ---- the report ----------------------------------------------------------------------------- */

enum bough_slot_state {
    BOUGH_SLOT_INTERPOSED, /* it is bough's */
    BOUGH_SLOT_HOOKED,     /* a hook's */
    BOUGH_SLOT_SKIPPED     /* left alone: `why` */
};

/* An address of libc's in an object's table, or an object that has none (`symbol` is NULL). */
struct bough_slot {
    const char *object; /* its path; "" is the program */
    const char *symbol;
    const void *at; /* where the address lies; NULL */
    enum bough_slot_state state;
    const char *why; /* NULL; skipped: why; else what is wrong: its page could not be protected again */
};

/* Call `visit` for each, as they stood when the call began; the strings are valid meanwhile. Returns how many; -1 with EINVAL
 * (NULL), ENOMEM, ENOTSUP (a static program). */
BOUGH_API int bough_interposed(void (*visit)(void *context, const struct bough_slot *slot), void *context);
/* The same as text, an object a paragraph. Returns 0; -1 with errno of write(). */
BOUGH_API int bough_interpose_report(int fd);

/* ---- how the block form is made ------------------------------------------------------------- */

static inline int bough_foreign_begin_(struct bough_region *region, int64_t unused, const char *file, int line)
{
    (void)unused;
    return bough_foreign_begin(region, file, line);
}

#ifdef __cplusplus
}
#endif
#endif

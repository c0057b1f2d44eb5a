/* SPDX-License-Identifier: MIT */
/*
 * Foreign code: blocking calls inside libraries that were not written for bough become interruptible.
 *
 *   bough_interpose(NULL, 0);                  // once: all objects, including those that are loaded later
 *
 *   BOUGH_FOREIGN {                            // in here this thread is opted in
 *       result = PQexec(db, "select pg_sleep(3600)");
 *   }                                          // interrupted: poll() in libpq fails, and PQexec() as if the server had
 *   if (bough_check() != 0) ...                // the interrupt is still pending
 *
 * How it works: each loaded object calls libc's functions through its table of addresses (GOT). bough replaces the
 * addresses of blocking calls there by its functions (bough_read() for read(), ...). In a thread that has not opted
 * in these call libc's function directly. Code is not changed; bough_interpose_undo() restores every address.
 *
 * How an interrupted call fails (rule 22): in ways that its standard allows and that its callers survive.
 *
 *   a call that may fail with EINTR          EINTR. If the same function is called again from the same place, for the
 *                                            same descriptor and with no other blocking call and no write to it in
 *                                            between, the caller retries on EINTR: then ECANCELED
 *   a wait for a semaphore, pause(),         EINTR, never another error: a caller that retries on EINTR takes any other
 *   sigsuspend()                             result for success
 *   a condition wait                         returns 0, the spurious wakeup that POSIX allows
 *   sleep(), usleep(), nanosleep() and the   ends early, with EINTR; if it is called again at once, it returns as if
 *   like, poll() and select() without        its time were over. Callers ignore that, so it does not count as the
 *   descriptors                              delivery of the interrupt, and happens once in a grace period
 *   pthread_join() and the like              are never interrupted: POSIX allows no such error, and callers abort.
 *                                            The report about a thread that does not stop names the thread that is
 *                                            joined
 *   a call of a library that aborts on       EINTR, never another error
 *   other errors (libuv, libev, libzmq,
 *   libstdc++, libc++, GLib)
 *   getaddrinfo() and the like, sigwait()    the error at once: EAI_SYSTEM with ECANCELED, or ECANCELED
 *
 * If code ignores the failure of a poll() or select(), it gets the error again: its next call on one of those
 * descriptors that would fail with EAGAIN fails with ECANCELED.
 *
 * Each interrupt makes one call fail (two, counting a retry). Then it is suppressed in foreign code for a grace
 * period (5 s), so that the library's cleanup works. After that it is delivered again, or sooner if it has climbed a
 * rung of the ladder. Only a call that may block is interrupted: no call on a regular file, on a descriptor with
 * O_NONBLOCK, or with a timeout of zero, MSG_DONTWAIT or WNOHANG. A call that had an effect returns it (rule 9).
 *
 * The report lists what can't be interposed: calls inside libc itself (stdio's output, scanf(); getaddrinfo() and
 * related functions, system(), pclose(), and stdio's getc(), fgets(), fread(), getline() are replaced as a whole,
 * some of them with glibc only), system calls made by hand, addresses got from dlsym() or kept in data, static
 * programs, objects in other namespaces of dlmopen(), and slots that other code has replaced.
 */
#ifndef BOUGH_INTERPOSE_H
#define BOUGH_INTERPOSE_H

#include <bough/interrupt.h>
#include <bough/level.h>

#ifdef __cplusplus
extern "C" {
#endif

enum bough_interpose_flags {
    BOUGH_LOADED_ONLY = 1 /* do not patch objects that are loaded later */
};

/*
 * Patch the named objects, a list that ends with NULL; NULL for all. "" is the program itself. Any other name is
 * compared with the last part of an object's path, with or without its version ("libpq.so" is libpq.so.5.15), and may
 * be a pattern of fnmatch(3). Another call adds objects to those named before. libc, the loader and bough itself are
 * never patched.
 *
 * Returns the number of all addresses that are patched now; -1 with EINVAL (flags), ENOMEM, ENOTSUP (a static
 * program: there is nothing to patch, and nothing is loaded later). The report lists the addresses that were skipped,
 * with the reasons. Call it from ordinary code. [rule 22]
 */
BOUGH_API int bough_interpose(const char *const objects[], unsigned flags);
/* Restore every address, and drop the names given to bough_interpose(); hooks stay. Threads that are in a call finish
 * it. Returns the number of addresses that remain patched, for hooks; -1 with EACCES if a page could not be made
 * writable: the report has the address. [rule 22] */
BOUGH_API int bough_interpose_undo(void);
/* Look for objects that were loaded since. The library does so itself after a dlopen() from a patched object and when
 * a thread opts in; call it after loading objects in other ways. Returns as bough_interpose(). [rule 22] */
BOUGH_API int bough_interpose_rescan(void);

/* ---- opting in ------------------------------------------------------------------------------ */

/* A region in which the calling thread is opted in. It nests and ends on every way out, like the other regions
 * (bough/level.h). To opt in a child from its start, set .foreign in struct bough_child_options. */
#define BOUGH_FOREIGN BOUGH_REGION_(bough_foreign_begin_, 0)
/* Begin such a region; bough_region_end() ends it. Returns 0; -1 with EINVAL (NULL), EAGAIN (no thread for the ticker,
 * table full). [owner] [rule 22] */
BOUGH_API int bough_foreign_begin(struct bough_region *region, const char *file, int line);
/* Whether the calling thread is opted in now. [signal] */
BOUGH_API int bough_foreign(void);

/* A call of foreign code that was interrupted. */
struct bough_cut {
    const char *call;               /* libc's name of the function */
    const char *object;             /* the path of the object that called it; "" is the program, or unknown code */
    const void *site;               /* an address in that object */
    int fd;                         /* the descriptor; -1: none, or several */
    int error;                      /* the error number with which it is about to fail */
    int again;                      /* 1: it has failed with EINTR and was retried at once */
    const struct bough_record *why; /* NULL if the record has just been cleared */
};

/* Runs on the thread, after the call and before it returns to the foreign code. Returns an error number that replaces
 * the call's, or 0. It may run a binding's code, and call bough. It is not called for a pause or a condition wait
 * that ends early. */
typedef int bough_cut_fn(void *argument, const struct bough_cut *cut);
/* Returns the error number with which calls from this place fail, at once and without EINTR first; 0: as described
 * above. It is for callers that are known to handle that error, such as a binding's interpreter. It runs on the
 * thread, before and after calls, and must not block. */
typedef int bough_choose_fn(void *argument, const char *call, const void *site);

/* How foreign code is interrupted in the calling thread; all fields may be 0. */
struct bough_foreign {
    int error; /* the errno of a call that is retried after EINTR; 0: ECANCELED. EINTR: no call gets another error */
    unsigned kinds;          /* the kinds that interrupt it, 1 << enum bough_kind each; 0: all */
    int64_t grace;           /* ns; 0: 5 s (rule 22) */
    bough_cut_fn *on_cut;    /* may be NULL */
    void *argument;          /* of `on_cut` and `choose` */
    bough_choose_fn *choose; /* may be NULL */
    int paced;               /* 1: it shares a lock with other threads, see bough_paced() */
};

/* Set how the calling thread's foreign code is interrupted, until the thread, or the child, ends. NULL: the defaults.
 * Returns 0; -1 with EINVAL (a field is out of range), EAGAIN (table full). [rule 22] */
BOUGH_API int bough_foreign_set(const struct bough_foreign *ways);
/* Interrupt foreign code again at its next call, not only after the grace period: for a binding whose exception was
 * swallowed before it reached the program. Returns 1 if an interrupt is due there, else 0. [rules 22, 44] */
BOUGH_API int bough_foreign_again(void);
/* An interruption point for foreign code; a binding calls it where its code checks for interrupts (an interpreter's
 * check for signals). It fails as a call of foreign code would: for the kinds that interrupt it, once, and not again
 * before the grace period is over. On failure the record is copied to `why` (may be NULL); its reason is empty if it
 * has just been cleared. Returns 0, also in a thread that is not opted in; -1 with ECANCELED. [point] [rule 22] */
BOUGH_API int bough_foreign_check(struct bough_record *why);
/*
 * For threads that all need one lock, such as an interpreter's, to continue after a blocking call: each sets .paced =
 * 1. An interrupt of many such threads marks all of them at once, but wakes only a few. Each time a woken thread calls
 * bough_paced(), while it holds the lock, or ends, another one is woken. So they do not all wait for the lock at the
 * same time, which takes far longer than one after the other. If a woken thread does not call it, the others wait for
 * 50 ms: then some are woken, and after a few times 50 ms all of them. A rung above the first wakes all at once.
 *
 * The thread that holds the lock calls it after an interrupted call, before code that may take long. It has no effect
 * in any other thread, or a second time. It never fails. [signal] [rule 4]
 */
BOUGH_API void bough_paced(void);
/*
 * Let calls of the object with this name (as for bough_interpose()) fail with no other error than EINTR because of an
 * interrupt, for a library that aborts on other errors and that bough does not know. bough_interpose_report() lists
 * the known ones, and BOUGH_EINTR_ONLY in the environment adds names, separated by ':' (privileged programs ignore
 * it). This holds for the whole process and cannot be undone. Any thread may call this. Returns 0; -1 with EINVAL
 * (NULL), ENOMEM. [rules 22 and 46]
 */
BOUGH_API int bough_interpose_eintr_only(const char *object);

/* ---- for bindings --------------------------------------------------------------------------- */

typedef void bough_code(void); /* any function */
/* A hook that is in place. */
typedef struct bough_hook_entry bough_hook_t;

/*
 * Redirect calls of `symbol` from `object` (a name as above, NULL: all) to `function`, also in objects that are
 * loaded later. *original (may be NULL) is set to the function to call instead: libc's function, interruptible if
 * that object is interposed, or the function of the symbol. A slot that other code has replaced is not changed.
 * `function` must never be unloaded: a thread may be in it after bough_unhook(). If the program as a whole does not
 * know the symbol, it is looked up where `object` finds it, if that object is loaded.
 *
 * Returns the hook; NULL with EINVAL (NULL, an empty symbol), EEXIST (there is a hook for that object and symbol
 * already), ENOENT (the symbol is not known), ENOMEM, ENOTSUP (a static program).
 */
BOUGH_API bough_hook_t *bough_hook(const char *object, const char *symbol, bough_code *function, bough_code **original);
/* Remove a hook; its handle is no longer valid. Returns 0; -1 with EINVAL (no such hook), EACCES (a page could not be
 * made writable: the hook stays). */
BOUGH_API int bough_unhook(bough_hook_t *hook);

/* ---- the report ----------------------------------------------------------------------------- */

enum bough_slot_state {
    BOUGH_SLOT_INTERPOSED, /* the address of a function of bough */
    BOUGH_SLOT_HOOKED,     /* the address of a hook's function */
    BOUGH_SLOT_SKIPPED     /* not patched: `why` */
};

/* An address of a libc function in an object's table, or an object that has no such address (`symbol` is NULL). */
struct bough_slot {
    const char *object; /* its path; "" is the program */
    const char *symbol;
    const void *at; /* where the address is stored; NULL */
    enum bough_slot_state state;
    const char *why; /* for a skipped address, why; else a problem (its page could not be protected again) or NULL */
};

/* Call `visit` for each address, as of the moment when the call began; the strings are valid during the call. Returns
 * the number of addresses; -1 with EINVAL (NULL), ENOMEM, ENOTSUP (a static program). */
BOUGH_API int bough_interposed(void (*visit)(void *context, const struct bough_slot *slot), void *context);
/* Write the same as text, one paragraph for each object. Returns 0; -1 with errno of write(). */
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

/* SPDX-License-Identifier: MIT */
/*
 * Interrupts: requests to stop, their targets, and their state.
 *
 *   bough_interrupt(worker, "shutting down");     // a thread, its branches and their children
 *   bough_interrupt(clients, "drained");          // a branch: its children and its body
 *   bough_interrupt(BOUGH_ROOT, "bye");           // everything, the caller included
 *   bough_interrupt_all("bye");                   // everything but the caller
 *
 * There is one record for each target and kind: repeats are counted, the first reason stays. A record is sticky:
 * every interruption point in the target's subtree fails with ECANCELED until the target has ended or the record has
 * been cleared. Catching the failure and going on does not clear it.
 */
#ifndef BOUGH_INTERRUPT_H
#define BOUGH_INTERRUPT_H

#include <errno.h>
#include <sys/types.h>
#include <bough/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Why a target has to stop; there is one record for each kind (rule 1). */
enum bough_kind {
    BOUGH_STOP,      /* requested by bough_interrupt() */
    BOUGH_TIMEOUT,   /* the branch's deadline passed */
    BOUGH_SIBLING,   /* a sibling, or the body, failed */
    BOUGH_SIGNAL,    /* SIGHUP, SIGINT, SIGTERM */
    BOUGH_EXIT,      /* the process is about to exit */
    BOUGH_OPERATOR,  /* from outside the process */
    BOUGH_EXCEPTION, /* an exception posted by a language binding; consumed when raised */
    BOUGH_KINDS
};

/* The state of a post (rule 1). */
enum bough_post_status {
    BOUGH_POST_PENDING,   /* no interruption point of the target has failed because of it yet */
    BOUGH_POST_DELIVERED, /* an interruption point has failed because of it */
    BOUGH_POST_CLEARED,   /* the target cleared it */
    BOUGH_POST_ENDED,     /* the target ended */
    BOUGH_POST_LOST,      /* the target was published as lost */
    BOUGH_POST_GONE       /* posted too long ago to be known, or never */
};

/* A handle on one post. It is a value, which may be copied and dropped. `record == 0` means that posting failed. */
typedef struct bough_post {
    uint64_t record;
    uint32_t serial;
} bough_post;

enum bough_post_flags {
    BOUGH_FINAL = 1, /* can't be cleared */
    BOUGH_ALONE = 2  /* the post is for a thread only, without its branches */
};

/* What to post. Only `kind` is needed; unset fields are 0. */
struct bough_event {
    enum bough_kind kind;
    unsigned flags;     /* enum bough_post_flags */
    const char *reason; /* copied, at most BOUGH_REASON_MAX bytes; may be NULL */
    int signo;          /* for BOUGH_SIGNAL */
    int rung;           /* the first rung of the ladder, no higher than the ceiling; 0 and 1: the flag */
    int64_t value;      /* any value; it is kept in struct bough_record */
};

/* How many bytes of a reason are kept. */
#define BOUGH_REASON_MAX 95

/* A record: which thread asked, why and when. */
struct bough_record {
    enum bough_kind kind;
    unsigned flags; /* enum bough_post_flags */
    unsigned count; /* the number of posts */
    int signo;
    int rung;
    int64_t value;
    bough_time since;    /* when it was first posted */
    pid_t source;        /* the thread that posted it; 0: the library */
    bough_target target; /* the thread or branch it was posted to */
    char reason[BOUGH_REASON_MAX + 1];
};

/*
 * Post a stop. If it was called from ordinary code, the whole subtree has been marked and woken when it returns,
 * including children that are just being added. If it was called in a signal handler, the target has been marked, and
 * the library's ticker does the rest at once. `reason` is copied and may be NULL. Returns 0; -1 with ESRCH (the
 * target has ended) or EINVAL (not a handle). A thread may post to itself; in a signal handler this ends the blocking
 * call that the handler has interrupted. [signal] [rules 1, 4, 5, 7]
 */
BOUGH_API int bough_interrupt(bough_target target, const char *reason);

/* Post a stop to every thread that bough knows, except the caller. Returns the number of those threads. Not in a
 * signal handler: it wakes each of them itself. [rule 7] */
BOUGH_API int bough_interrupt_all(const char *reason);

/* Post with all options: any kind, any flag; returns a handle on the post. NULL `event` posts a plain stop. On
 * failure `.record` is 0 and errno is set as above; EINVAL also for an unknown kind or rung. [signal] [rules 1, 4] */
BOUGH_API bough_post bough_post_event(bough_target target, const struct bough_event *event);

/* The state of a post. [signal] [rule 1] */
BOUGH_API enum bough_post_status bough_post_status(bough_post post);

/*
 * Wait until the post is cleared, ended, lost or gone, at most until `deadline` (0: none). Returns 0; -1 with
 * ETIMEDOUT, ECANCELED (also if the post has ended), or EDEADLK for a post to the caller. [point] [rules 1 and 2]
 */
BOUGH_API int bough_post_wait(bough_post post, bough_time deadline);

/* ---- on the target ------------------------------------------------------------------------- */

/* The library's word for the calling thread. Only the two functions below read it. */
extern BOUGH_API __thread const volatile uint32_t *bough_word_ __attribute__((tls_model("initial-exec")));
#define BOUGH_WORD_DUE_ 1u     /* an interrupt is due here and now */
#define BOUGH_WORD_PENDING_ 2u /* an interrupt is pending, at any level */
#define BOUGH_WORD_SLOW_ 4u    /* the thread is not known yet, or needs the slow path */
#define BOUGH_WORD_ __atomic_load_n(bough_word_, __ATOMIC_RELAXED) /* a load, and no data race */
BOUGH_API int bough_check_slow_(void) BOUGH_COLD;
BOUGH_API int bough_interrupted_slow_(void) BOUGH_COLD;

/*
 * An interruption point that does nothing else. Returns 0; -1 with ECANCELED if an interrupt is due at the thread's
 * level. It costs a thread-local load, and adopts an unknown thread. [point] [rule 2]
 */
static inline int bough_check(void)
{
    if (__builtin_expect(BOUGH_WORD_ & (BOUGH_WORD_DUE_ | BOUGH_WORD_SLOW_), 0))
        return bough_check_slow_();
    return 0;
}

/* Returns 1 if an interrupt is pending for the calling thread, at any level; else 0. It is not an interruption point:
 * it delivers nothing. [signal] [rule 2] */
static inline int bough_interrupted(void)
{
    if (__builtin_expect(BOUGH_WORD_ & (BOUGH_WORD_PENDING_ | BOUGH_WORD_SLOW_), 0))
        return bough_interrupted_slow_();
    return 0;
}

/*
 * Copy the innermost record that is pending for the calling thread: which thread asked, why and when. Returns 0; -1
 * with ENOENT if there is none, EINVAL for NULL. [signal] [rules 1, 7]
 */
BOUGH_API int bough_reason(struct bough_record *record);

/*
 * Copy the innermost record that is pending for `thread`, at any level. The result is a hint for bindings and for
 * reports: the thread may clear or receive a record meanwhile. Returns 0; -1 with ENOENT if nothing is pending, ESRCH
 * if the thread has ended, EINVAL if it is not a thread's handle, or for NULL. On failure `record` is unchanged.
 * [signal] [rules 1, 7]
 */
BOUGH_API int bough_reason_of(const bough_thread *thread, struct bough_record *record);

/*
 * Clear the records of `target`: NULL or bough_self() is the caller; a branch's owner may clear those of the branch.
 * Interrupts that were posted to an enclosing branch stay. Returns the number of records that were cleared; -1 with
 * EPERM (not the target, nor the branch's owner), EBUSY (a final record), ESRCH, EINVAL. [rules 2, 7]
 */
BOUGH_API int bough_clear(bough_target target);
/* Clear the record of one kind only. A language binding clears BOUGH_EXCEPTION in this way when it raises the posted
 * exception. EINVAL also for an unknown kind. [rule 2] */
BOUGH_API int bough_clear_kind(bough_target target, enum bough_kind kind);

/* ---- threads ------------------------------------------------------------------------------- */

/* The handle of the calling thread, which is adopted if it is not known yet. NULL with EAGAIN if the table is full.
 * [rule 4] */
BOUGH_API bough_thread *bough_self(void);

/*
 * Make a thread that bough has not started interruptible, and give it a name (may be NULL). The first interruptible
 * call adopts its thread automatically. The adoption ends with the thread, or by bough_release(). Returns its handle;
 * NULL with EAGAIN if the table is full. [rule 4]
 */
BOUGH_API bough_thread *bough_adopt(const char *name);

/*
 * Make another thread of this process known that has not used bough yet, so that interrupts can be posted to it. A
 * post waits for the thread's first use of bough, is reported as overdue if that takes too long, and is shown in the
 * tree. If `name` is NULL, the thread has the kernel's name for it. A thread that is known already keeps its name.
 * None of its calls is interrupted before it uses bough itself.
 *
 * Returns its handle, the same for each call; NULL with EINVAL (no thread id), ESRCH (there is no such thread in this
 * process), EAGAIN (the table is full). The handle becomes stale when the thread has ended: the library detects that
 * at its next check, or bough_release_thread() reports it. The thread must not end during the call. Any thread may
 * call this, at any time; not in a signal handler. [rules 6, 16]
 */
BOUGH_API bough_thread *bough_adopt_thread(pid_t tid, const char *name);

/*
 * End the adoption of a thread that bough_adopt_thread() has made known, because it ends or is no longer a target.
 * Posts to it end. Returns 0; -1 with EPERM (the thread uses bough already, and its adoption ends with it), ESRCH
 * (the adoption has ended), EINVAL (not a thread's handle). Any thread may call this; not in a signal handler.
 * [rule 6]
 */
BOUGH_API int bough_release_thread(bough_thread *thread);

/* End the adoption of the calling thread. Its handle is stale from here on. Returns 0; -1 with EPERM on a child of a
 * branch, EBUSY with a branch or region open, ENOENT if it was not adopted. [rule 6] */
BOUGH_API int bough_release(void);

/* The handle of the thread with this kernel thread id; NULL with ESRCH if bough knows none. For debuggers and bindings.
 * [signal] [rule 6] */
BOUGH_API bough_thread *bough_thread_of(pid_t tid);

/* Whether the thread has not ended yet: 0 if so, else -1 with ESRCH; with EINVAL if it is not a thread's handle.
 * [signal] [rule 6] */
BOUGH_API int bough_alive(const bough_thread *thread);

/* Name the calling thread, in bough and for the kernel (15 bytes there). Returns 0. [rule 41] */
BOUGH_API int bough_set_name(const char *name);

/* Copy the name of a thread or branch, or as much as `size` bytes have room for, always terminated. Returns the length
 * of the whole name; -1 with ESRCH (the target has ended), EINVAL (not a handle, no buffer, size 0). [rule 41] */
BOUGH_API int bough_get_name(bough_target target, char *buffer, size_t size);

/*
 * A descriptor that is readable while an interrupt is due for the calling thread: for threads that run an event loop.
 * It belongs to the library, which keeps one for each thread and closes it at the thread's end; do not read, write or
 * close it. Returns the descriptor; -1 with EMFILE, ENFILE or ENOMEM. Call bough_check() to get the interrupt itself.
 * [rule 11]
 */
BOUGH_API int bough_event_fd(void);

#ifdef __cplusplus
}
#endif
#endif

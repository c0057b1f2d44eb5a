/* SPDX-License-Identifier: MIT */
/*
 * The upcalls: what a lower layer asks of a higher one. Each is declared here and defined there, where it is known what
 * to do; the lower layer includes nothing from above, and a program that links to any of it has all of it.
 * tests/symbols.py knows them by this header: any other call upward is a mistake. Each has its reason.
 */
#ifndef BO_UPCALLS_H
#define BO_UPCALLS_H

#include "state/arena.h"

/* ---- from thread/ to its own end (thread/thread_end.c) ----------------------------------------------- */

/* An adopted thread ends: the destructor of its key. The key is made when the library begins, before anything that an
 * end needs, and adoption sets it. */
void bo_thread_ends(void *slot);

/* ---- from wake/ to thread/ ---------------------------------------------------------------------------- */

/* From the wake signal's handler, in an asynchronous region: leave it unless a handler runs inside it. That ends
 * regions, which wake/ does not know. [signal] (thread/async.c) */
void bo_async_cut(struct bo_thread *t, void *context);

/* The ticker keeps time; its work needs everything that can be woken, and regions, budgets and grace periods. Both are
 * called on its thread, and return when to come again, on CLOCK_MONOTONIC: for a slot that was enlisted, and at each
 * tick. (thread/service.c) */
int64_t bo_service(struct bo_target *target);
int64_t bo_service_tick(void);

/* ---- from thread/ to branch/ --------------------------------------------------------------------------- */

/* An adopted thread ends, on it: the branches that it has left open are ended. (branch/end.c) */
void bo_branches_end(struct bo_thread *t);
/* In a forked child, whose arena is new: its open branches forget the parent's children. `self`: the thread that has
 * forked; NULL if bough does not know it. (branch/branch_fork.c) */
void bo_branches_forked(struct bo_thread *self);

/* ---- from a worker to what it runs (branch/child.c) ------------------------------------------------------ */

/* A child is started by way of a worker, and the worker then runs it: the way back is these two. */
struct bo_child;
/* On the worker: run the child's function, and account for it. Cancellation is disabled when it returns. */
void bo_child_run(struct bo_child *child);
/* `left` is set when the function was left by pthread_exit() or pthread_cancel() instead of returning. */
void bo_child_finish(struct bo_child *child, int returned, bool left);

/* ---- from wake/ and thread/ to api/ (api/signals.c, api/exit.c) -------------------------------------------------- */

/* The ticker finds that no thread of the program's is left: exit(0), by a thread made for it. Exit is the API's, where
 * it is also asked for. */
void bo_last_one_out(void);
/* In a forked child, with all signals blocked: the program's own handlers, which the API has replaced, are put back. */
void bo_signals_forked(void);

/* ---- from all of these to ladder/: policy is not known below it -------------------------------------------------- */

/* A record was posted, for the first time or again. The caller's pin keeps the target. [signal] */
void bo_ladder_posted(struct bo_target *target, struct bo_record *r, bool repeated);
/* An incident is over that the ladder watches. [signal] */
void bo_ladder_closed(struct bo_record *r);

/* On the ticker's thread: at each look at a live slot with a record, and at each tick. Both return when to come again,
 * on CLOCK_MONOTONIC. */
int64_t bo_ladder_look(struct bo_target *target);
int64_t bo_ladder_tick(void);

/* On the target, at a point: the record stands above rung 1, or the thread is asked to freeze. Runs handlers.
 * Returns whether the point fails. */
enum bo_point bo_ladder_verdict(struct bo_thread *t, struct bo_record *r);
/* A summons has arrived by signal, with all signals blocked, in a closable region or one with an asynchronous final
 * handler. [signal] */
void bo_ladder_summoned(struct bo_thread *t, void *context);
/* A jump has left handlers that run, all inside `until` (NULL: all). */
void bo_ladder_jumped(struct bo_thread *t, struct bo_handling *until);
/* A jump leaves all calls that were made inside the handler `until` (NULL: all): what they have to put right is
 * done. */
void bo_ladder_undo(const struct bo_handling *until);
/* Find the handlers that a plain longjmp() has left: they ran below `sp`, a frame of the thread that is in use. */
void bo_ladder_end_abandoned(struct bo_thread *t, uintptr_t sp);
/* A generation ends in order, or is copied by a fork: its closers are forgotten. */
void bo_ladder_forget_closers(struct bo_thread *t);

/* Names the threads that `is_one` says, the likely cause first: "thread 17 (reader) is in ...; and 2 more: ...".
 * Returns how many they are. */
unsigned bo_ladder_name(bool (*is_one)(const struct bo_thread *t, uint64_t word), char *text, size_t size);
/* Run fn(argument), which is the program's, on one of the library's threads: a fault in it is reported, as that of
 * `what`, and ends no more than it. (ladder/fault.c) */
void bo_ladder_guard(void (*fn)(void *), void *argument, const char *what);
/* Takes a line over that the calling thread must not write itself, and returns true. */
bool bo_ladder_report(const char *line);

/* In ordinary code: before the ticker is started; and before threads are needed that run what is the program's. */
void bo_ladder_prepare(void);
void bo_ladder_need_help(void);
/* In a forked child, before anything else. */
void bo_ladder_forked(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Upcalls: functions of higher layers that lower layers call. Each is declared here, with its reason, and defined in
 * the higher layer; the lower layer includes no header from above. tests/symbols.py reads this header, and rejects any
 * other call upward.
 */
#ifndef BO_UPCALLS_H
#define BO_UPCALLS_H

#include "state/arena.h"

/* ---- from trace/ to state/ (state/current.c) ---------------------------------------------------------- */

/* Fill in the generation that the calling thread has at the moment; nothing if it has none. A recording keeps it with
 * the thread's events. [signal] */
struct bo_trace_thread;
void bo_trace_identify(struct bo_trace_thread *me);

/* ---- from trace/ to wake/ (wake/ticker.c) --------------------------------------------------------------- */

/* The recording is limited from now on, which is to be reported: not by this thread, which may be in a signal handler.
 * [signal] */
void bo_trace_limited(void);

/* ---- from thread/ to its own end (thread/thread_end.c) ----------------------------------------------- */

/* The destructor of the key that adoption sets: an adopted thread ends. The key is created when the library is
 * initialised, before anything that the end of a thread needs. */
void bo_thread_ends(void *slot);

/* ---- from wake/ to thread/ ---------------------------------------------------------------------------- */

/* From the wake signal's handler, in an asynchronous region: leave it unless a handler runs inside it. This ends
 * regions, which are in a higher layer than wake/. [signal] (thread/async.c) */
void bo_async_cut(struct bo_thread *t, void *context);

/* The ticker only keeps time; its work concerns regions, budgets and grace periods. Both are called on its thread, for
 * a slot that was enlisted, and at each tick, and return when to call them again, on CLOCK_MONOTONIC.
 * (thread/service.c) */
int64_t bo_service(struct bo_target *target);
int64_t bo_service_tick(void);

/* ---- from thread/ to branch/ --------------------------------------------------------------------------- */

/* Called on an adopted thread at its end: end the branches that it has left open. (branch/end.c) */
void bo_branches_end(struct bo_thread *t);
/* In a forked child, with a new arena: remove the parent's children from its open branches. `self`: the forking thread;
 * NULL if bough does not know it, or there is no arena. `worker`: what runs the child that has forked; NULL: none has.
 * `lost`: the thread had branches open, and they stayed in the parent. (branch/branch_fork.c) */
struct bo_worker;
void bo_branches_forked(struct bo_thread *self, struct bo_worker *worker, bool lost);

/* ---- from a worker to its child (branch/child.c) ------------------------------------------------------ */

/* A child is started by a worker, which calls back to run and to end it. */
struct bo_child;
/* On the worker: run the child's function, and account for it. Cancellation is disabled when it returns. */
void bo_child_run(struct bo_child *child);
/* `left`: pthread_exit() or pthread_cancel() has left the function, which has not returned. */
void bo_child_finish(struct bo_child *child, int returned, bool left);

/* ---- from wake/ and thread/ to api/ (api/signals.c, api/exit.c) -------------------------------------------------- */

/* The ticker has found that no thread of the program is left: call exit(0), on a new thread. The code for exits is in
 * api/. */
void bo_last_one_out(void);
/* In a forked child, with all signals blocked: restore the program's handlers, which the API has replaced. */
void bo_signals_forked(void);

/* ---- from all of these to ladder/, which has the policy -------------------------------------------------- */

/* A record was posted, for the first time or again. The caller holds a pin on the target. [signal] */
void bo_ladder_posted(struct bo_target *target, struct bo_record *r, bool repeated);
/* An incident that the ladder watches is over. [signal] */
void bo_ladder_closed(struct bo_record *r);
/* A record is about to be visible to its target, to be delivered, or to be closed: writes a report, which is handed out
 * before the reports of later calls. `state` is the record's. Returns the report, or NULL. [signal] */
void *bo_ladder_changes(const struct bo_record *r, uint64_t state, enum bough_post_status status);
/* The record has changed, and the report can be handed out; not `done`: the report is dropped. [signal] */
void bo_ladder_changed(void *report, bool done);

/* On the ticker's thread: for each live slot with a record that it examines, and at each tick. Both return when to call
 * them again, on CLOCK_MONOTONIC. */
int64_t bo_ladder_look(struct bo_target *target);
int64_t bo_ladder_tick(void);

/* On the target, at a point: the record is above rung 1, or there is a request to freeze the thread. Runs handlers.
 * Returns whether the point fails. */
enum bo_point bo_ladder_verdict(struct bo_thread *t, struct bo_record *r);
/* A summons has arrived by signal, with all signals blocked, in a closable region or one with an asynchronous final
 * handler. [signal] */
void bo_ladder_summoned(struct bo_thread *t, void *context);
/* A jump has left handlers that run, all inside `until` (NULL: all). */
void bo_ladder_jumped(struct bo_thread *t, struct bo_handling *until);
/* A jump leaves all calls that were made inside the handler `until` (NULL: all): run their cleanup (state/undo.h). */
void bo_ladder_undo(const struct bo_handling *until);
/* End the handlers that a plain longjmp() has left: their frames are below `sp`, a frame of the thread that is in
 * use. */
void bo_ladder_end_abandoned(struct bo_thread *t, uintptr_t sp);
/* A generation ends normally, or was copied by a fork: drop its closers. */
void bo_ladder_forget_closers(struct bo_thread *t);

/* Name the threads for which `is_one` returns true, the likely cause first: "thread 17 (reader) is in ...; and 2 more:
 * ...". Returns their number. */
unsigned bo_ladder_name(bool (*is_one)(const struct bo_thread *t, uint64_t word), char *text, size_t size);
/* The process exits: wait for the reports that have not been delivered, at most until `until` (CLOCK_MONOTONIC). */
void bo_ladder_drain(int64_t until);
/* Run fn(argument), application code, on a library thread. A fault ends only this function, and is reported with `what`
 * as its name. (ladder/fault.c) */
void bo_ladder_guard(void (*fn)(void *), void *argument, const char *what);
/* Take over a line that the calling thread must not write itself. Returns whether it did. */
bool bo_ladder_report(const char *line);

/* In ordinary code: called before the ticker is started, and before threads are needed that run application code. */
void bo_ladder_prepare(void);
void bo_ladder_need_help(void);
/* In a forked child, before anything else. */
void bo_ladder_forked(void);

#endif

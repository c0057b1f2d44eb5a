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

/* Fill in the calling thread's present generation; nothing if there is none. A recording keeps it with the thread's
 * events. [signal] */
struct bo_trace_thread;
void bo_trace_identify(struct bo_trace_thread *me);

/* ---- from trace/ to wake/ (wake/ticker.c) --------------------------------------------------------------- */

/* The recording is limited from now on: makes another thread report that, because this one may be in a signal handler.
 * [signal] */
void bo_trace_limited(void);

/* ---- from thread/ to its own end (thread/thread_end.c) ----------------------------------------------- */

/* The destructor of the key that adoption sets: it ends an adopted thread. The key is created when the library is
 * initialised, in a lower layer than the functions that end a thread. */
void bo_thread_ends(void *slot);

/* ---- from wake/ to thread/ ---------------------------------------------------------------------------- */

/* Called in the wake signal's handler, in an asynchronous region: leave the region unless another handler runs inside
 * it. This ends regions, which are in a higher layer than wake/. [signal] (thread/async.c) */
void bo_async_cut(struct bo_thread *t, void *context);

/* The ticker only keeps time; the work on regions, budgets and grace periods is in these functions. The ticker calls
 * them for a slot that was enlisted, and at each tick. Each returns the time of its next call, on CLOCK_MONOTONIC.
 * (thread/service.c) */
int64_t bo_service(struct bo_target *target);
int64_t bo_service_tick(void);

/* ---- from thread/ to branch/ --------------------------------------------------------------------------- */

/* Called on an adopted thread at its end: end the branches that it has left open. (branch/end.c) */
void bo_branches_end(struct bo_thread *t);
/* Called in a forked child, with a new arena: remove the parent's children from the open branches. `self`: the forking
 * thread; NULL if it is not adopted, or there is no arena. `worker`: the worker whose child has forked, or NULL.
 * `lost`: the thread had branches open, and they stayed in the parent. (branch/branch_fork.c) */
struct bo_worker;
void bo_branches_forked(struct bo_thread *self, struct bo_worker *worker, bool lost);

/* ---- from a worker to its child (branch/child.c) ------------------------------------------------------ */

/* A child is started by a worker, which calls back to run and to end it. */
struct bo_child;
/* Called on the worker: run the child's function, and account for it. Cancellation is disabled when this returns. */
void bo_child_run(struct bo_child *child);
/* `left`: pthread_exit() or pthread_cancel() has left the function, which has not returned. */
void bo_child_finish(struct bo_child *child, int returned, bool left);

/* ---- from wake/ and thread/ to api/ (api/signals.c, api/exit.c) -------------------------------------------------- */

/* The ticker has found that no thread of the program is left: call exit(0), on a new thread. The code for exits is in
 * api/. */
void bo_last_one_out(void);
/* Called in a forked child, with all signals blocked: restore the program's handlers, which the API has replaced. */
void bo_signals_forked(void);

/* ---- from all these layers to ladder/, which has the policy ----------------------------------------------- */

/* A record was posted, for the first time or again. The caller holds a pin on the target. [signal] */
void bo_ladder_posted(struct bo_target *target, struct bo_record *r, bool repeated);
/* An incident that the ladder watches is over. [signal] */
void bo_ladder_closed(struct bo_record *r);
/* A record is about to be visible to its target, to be delivered, or to be closed: writes a report, which is handed out
 * before the reports of later calls. `state` is the record's. Returns the report, or NULL. [signal] */
void *bo_ladder_changes(const struct bo_record *r, uint64_t state, enum bough_post_status status);
/* The record has changed, and the report can be handed out; not `done`: the report is dropped. [signal] */
void bo_ladder_changed(void *report, bool done);

/* Called on the ticker's thread: the first for each live slot with a record that the ticker examines, the second at
 * each tick. Each returns the time of its next call, on CLOCK_MONOTONIC. */
int64_t bo_ladder_look(struct bo_target *target);
int64_t bo_ladder_tick(void);

/* Called on the target, at a point, if the record is above rung 1 or there is a request to freeze the thread. Runs
 * handlers. Returns whether the point fails. */
enum bo_point bo_ladder_verdict(struct bo_thread *t, struct bo_record *r);
/* Called when a summons has arrived by signal, with all signals blocked, in a closable region or a region with an
 * asynchronous final handler. [signal] */
void bo_ladder_summoned(struct bo_thread *t, void *context);
/* Called when a jump has left running handlers: those inside `until` (NULL: all). */
void bo_ladder_jumped(struct bo_thread *t, struct bo_handling *until);
/* Called when a jump leaves all calls that were made inside the handler `until` (NULL: all calls): run their cleanup
 * (state/undo.h). */
void bo_ladder_undo(const struct bo_handling *until);
/* End the handlers that a plain longjmp() has left: their frames are below `sp`, a present frame of the thread. */
void bo_ladder_end_abandoned(struct bo_thread *t, uintptr_t sp);
/* Called when a generation ends normally, or was copied by a fork: drop its closers. */
void bo_ladder_forget_closers(struct bo_thread *t);

/* Name the threads for which `is_one` returns true, the likely cause first: "thread 17 (reader) is in ...; and 2 more:
 * ...". Returns their number. */
unsigned bo_ladder_name(bool (*is_one)(const struct bo_thread *t, uint64_t word), char *text, size_t size);
/* Called at exit: wait until all reports are delivered, at most until `until` (CLOCK_MONOTONIC). */
void bo_ladder_drain(int64_t until);
/* Run fn(argument), application code, on a library thread. A fault ends only this function, and is reported with `what`
 * as its name. (ladder/fault.c) */
void bo_ladder_guard(void (*fn)(void *), void *argument, const char *what);
/* Take over a line that the calling thread must not write itself. Returns whether it did. */
bool bo_ladder_report(const char *line);

/* Called in ordinary code, before the ticker is started, and before threads are needed that run application code. */
void bo_ladder_prepare(void);
void bo_ladder_need_help(void);
/* Called first in a forked child. */
void bo_ladder_forked(void);

#endif

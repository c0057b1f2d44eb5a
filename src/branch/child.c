/* SPDX-License-Identifier: MIT */
/* Children: how they run and end. add.c adds them, join.c waits for them. */
#define _GNU_SOURCE
#include "branch/child.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bough/interrupt.h>
#include "base/hook.h"
#include "branch/end.h"
#include "branch/failure.h"
#include "branch/branch_state.h"
#include "branch/result.h"
#include "branch/worker.h"
#include "state/arena.h"
#include "state/current.h"
#include "sync/mutex.h"
#include "thread/level.h"
#include "thread/retire.h"
#include "trace/recorder.h"
#include "upcalls.h"
#include "wake/post.h"

/* ---- resources --------------------------------------------------------------------------------------------------- */

void bough_destroy_fd_(void *value)
{
    close(bough_fd_of(value));
}

void bough_destroy_heap_(void *value)
{
    free(value);
}

void bo_resource_destroy(bough_resource r)
{
    if (r.destroy)
        r.destroy(r.value);
}

void *bough_take(void)
{
    struct bo_child *c = bo_self ? bo_self->child : NULL;
    if (!c)
        return errno = EPERM, NULL;
    if (!c->own->destroy)
        return errno = ENOENT, NULL;
    c->own->destroy = NULL;
    return c->own->value;
}

/* ---- a child's entry in its branch ------------------------------------------------------------------------------- */

void bo_child_keep_name(struct bo_child *child, const struct bo_thread *t)
{
    if (child->named)
        memcpy(child->name, t->t.name, BO_NAME);
}

void bo_child_unlink(struct bo_child *child)
{
    *child->link = child->next;
    if (child->next)
        child->next->link = child->link;
    else
        child->state->last_child = child->link;
}

/* ---- on the child's thread --------------------------------------------------------------------------------------- */

static void record_child_begin(const struct bo_thread *t)
{
    const struct bo_branch *b = bo_branch_at(bo_load_relaxed(&t->parent));
    bo_trace_thread_begin(
        &(struct bo_trace_thread){
            .handle = bo_thread_handle(t), .branch = bo_branch_handle(b), .name = t->t.name, .branch_name = b->t.name},
        false);
}

/* After the child's function, cancellation is disabled: the child must be accounted for exactly once. */
void bo_child_run(struct bo_child *child)
{
    if (bo_tracing())
        record_child_begin(bo_self);
    int returned = child->fn(child->resource.value);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    bo_child_finish(child, returned, false);
}

/* Determines the child's failure: the failures reported by bough_fail(); or the failure of its last branch, if the
 * function returned that branch's result; or only the number. True: the child was interrupted instead (rule 28). */
static bool judge_outcome(struct bo_child *c, int returned, bool left, bool was_cut)
{
    static const char by_exit[] = "the child was left by pthread_exit() or pthread_cancel(): return from it instead";
    if (left)
        bo_child_failed(c, EPROTO, bo_failure_new(EPROTO, by_exit, BO_NONE));
    if (c->code || !returned)
        return false;
    if (returned == ECANCELED || was_cut)
        return true;
    struct bo_failure *f = bo_ending_pass_on(returned, 0);
    bo_child_failed(c, returned, f ? f : bo_failure_new(returned, "", BO_NONE));
    return false;
}

/* Removes the resource before its destructor runs, so that the destructor runs exactly once (rule 21), even if it calls
 * pthread_exit(). */
static bough_resource take_resource(struct bo_child *c)
{
    bough_resource r = c->resource;
    c->resource.destroy = NULL;
    c->own = &c->resource;
    return r;
}

static void destroy_resource(struct bo_child *c)
{
    bo_resource_destroy(take_resource(c));
}

/* The resource of a lost thread may be half changed, so its destructor runs guarded, on a thread of the library. */
static void destroy_lost_resource(struct bo_child *c)
{
    bough_resource r = take_resource(c);
    if (r.destroy)
        bo_ladder_guard(r.destroy, r.value, "the destructor of a lost child's resource");
}

/* An unread failure turns even a result of 0 into a failure, and is attached to another failure (rule 26). */
static void add_unread(struct bo_child *c)
{
    struct bo_failure *unread = bo_ending_unread();
    if (unread)
        bo_child_failed(c, unread->face.code, unread);
}

/* Stores how the child ended; frees the child unless it is to be kept. */
static void account_for_child(struct bo_child *c, enum bough_outcome outcome, int result)
{
    struct bo_branch_state *state = c->state;
    struct bo_failure *failure = c->failure;
    bool kept = state->collect;
    if (outcome == BOUGH_ERROR || outcome == BOUGH_LOST)
        bo_trace_fail(c->id, result, failure ? failure->face.message : "");
    bo_lock(&state->lock);
    c->failure = NULL;
    c->outcome = outcome;
    c->result = result;
    state->tally.count[BOUGH_RUNNING]--;
    state->tally.count[outcome]++;
    if (outcome == BOUGH_INTERRUPTED)
        state->cut = true;
    if (outcome == BOUGH_ERROR || outcome == BOUGH_LOST)
        kept |= bo_branch_state_failed(state, result, failure, false) || !state->supervisor;
    if (!kept)
        bo_child_unlink(c);
    bo_unlock(&state->lock);
    if (!kept)
        bo_child_free(c);
}

/* The first failure interrupts the siblings and wakes a blocked body (rule 25). It is put into the list before that, so
 * that the failures that it causes come after it. */
static void account_and_stop_siblings(struct bo_child *c, enum bough_outcome outcome, int returned)
{
    char reason[BOUGH_REASON_MAX + 1];
    uint64_t branch = c->branch;
    int code = c->code;
    bool stops_siblings = code && !c->state->supervisor;
    const struct bough_error *face = c->failure ? &c->failure->face : NULL;
    if (stops_siblings)
        snprintf(reason, sizeof reason, "%s failed: %s", face ? face->who : "a child",
                 face && *face->message ? face->message : strerror(code));
    account_for_child(c, outcome, code ? code : returned);
    struct bough_event event = {.kind = BOUGH_SIBLING, .reason = reason};
    if (stops_siblings)
        bo_post(branch, &event, NULL);
}

void bo_child_finish(struct bo_child *child, int returned, bool left)
{
    struct bo_thread *t = bo_self;
    BO_HOOK(child_ended);
    if (bo_unlikely(!t || t->child != child)) { /* the child has forked: its slot stayed in the parent (fork.h) */
        destroy_resource(child);
        return;
    }
    bool was_cut = t->call.last_was_cut;
    bo_branch_end_forgotten(t, BO_NONE, "the end of its child");
    bo_level_end(t);
    bool cut = judge_outcome(child, returned, left, was_cut);
    destroy_resource(child);
    bo_mutex_owner_ended();
    add_unread(child);
    bo_child_keep_name(child, t);
    t->child = NULL;
    enum bough_outcome outcome = child->code ? BOUGH_ERROR : cut ? BOUGH_INTERRUPTED : BOUGH_OK;
    int result = child->code ? child->code : returned;
    account_and_stop_siblings(child, outcome, returned);
    bo_trace_thread_end(bo_thread_handle(t), outcome, result);
    bo_ending_drop();
    if (t->worker->orphan)
        return; /* exit() follows, and its handlers run on this thread */
    bo_worker_reset_mask();
    bo_retire(t, BOUGH_POST_ENDED);
}

/* The branch's failure is the loss; failures that the child has reported itself are attached to it. */
void bo_child_lost(struct bo_child *child, struct bo_failure *failure)
{
    struct bo_failure *said = child->failure;
    child->failure = failure ? failure : said;
    if (failure)
        bo_failure_attach(failure, said);
    child->code = EOWNERDEAD;
    destroy_lost_resource(child);
    account_and_stop_siblings(child, BOUGH_LOST, EOWNERDEAD);
}

/* A child that forks continues in the new process without a branch to report to, because a thread of the parent may
 * have been changing the branch's list. When the child's function returns, the process ends, as with pthreads when the
 * last thread returns, but here even if threads of the library run. */
void bo_child_after_fork(struct bo_child *child)
{
    static struct bo_branch_state orphan;
    orphan =
        (struct bo_branch_state){.children = child, .last_child = &child->next, .supervisor = true, .collect = true};
    orphan.last_failure = &orphan.failures;
    orphan.tally.added = orphan.tally.count[BOUGH_RUNNING] = 1;
    child->state = &orphan;
    child->link = &orphan.children;
    child->next = NULL;
}

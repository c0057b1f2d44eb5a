/* SPDX-License-Identifier: MIT */
/* Children: adding, running and ending them. */
#define _GNU_SOURCE
#include "branch/child.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <bough/interrupt.h>
#include "arch/frame.h"
#include "base/hook.h"
#include "base/raw.h"
#include "branch/end.h"
#include "branch/failure.h"
#include "branch/branch_state.h"
#include "branch/result.h"
#include "branch/worker.h"
#include "state/arena.h"
#include "state/current.h"
#include "state/generation.h"
#include "state/reach.h"
#include "state/tree.h"
#include "sync/mutex.h"
#include "sync/sync.h"
#include "thread/adopt.h"
#include "thread/call.h"
#include "thread/level.h"
#include "thread/retire.h"
#include "trace/recorder.h"
#include "upcalls.h"
#include "wake/post.h"

void bough_destroy_fd_(void *value)
{
    close(bough_fd_of(value));
}

void bough_destroy_heap_(void *value)
{
    free(value);
}

static void destroy_value(bough_resource r)
{
    if (r.destroy)
        r.destroy(r.value);
}

/* ---- adding ------------------------------------------------------------------------------------------- */

/* Makes room for the result of one more child in a branch that collects, because the end must not need memory. The
 * caller holds the branch state's lock. */
static bool reserve(struct bo_branch_state *state)
{
    if (!state->collect || state->tally.added - state->tally.count[BOUGH_NOT_STARTED] < state->room)
        return true;
    size_t room = state->room ? 2 * state->room : 8;
    struct bough_child_result *more = realloc(state->results, room * sizeof *more);
    if (!more)
        return false;
    state->results = more;
    state->room = room;
    return true;
}

static bool link_child(struct bo_branch_state *state, struct bo_child *c)
{
    bo_lock(&state->lock);
    bool room = reserve(state);
    if (room) {
        c->link = state->last_child;
        *state->last_child = c;
        state->last_child = &c->next;
        state->tally.added++;
        state->tally.count[BOUGH_RUNNING]++;
    }
    bo_unlock(&state->lock);
    return room;
}

/* The caller holds the branch state's lock. */
static void unlink_child(struct bo_branch_state *state, struct bo_child *c)
{
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    else
        state->last_child = c->link;
}

static struct bo_child *child_new(struct bo_branch *b, bough_fn *fn, bough_resource r,
                                  const struct bough_child_options *o)
{
    bool named = b->state->collect;
    struct bo_child *c = calloc(1, sizeof *c + (named ? BO_NAME : 0));
    if (!c)
        return errno = ENOMEM, NULL;
    c->named = named;
    c->state = b->state;
    c->branch = bo_branch_handle(b);
    c->fn = fn;
    c->resource = r;
    c->own = &c->resource;
    c->disabled = o->disabled != 0;
    c->foreign = o->foreign != 0;
    bo_raw4(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&c->mask, sizeof c->mask);
    return c;
}

void bo_child_keep_name(struct bo_child *child, const struct bo_thread *t)
{
    if (child->named)
        memcpy(child->name, t->t.name, BO_NAME);
}

static void prepare_child(struct bo_worker *w, struct bo_child *c, const char *name)
{
    struct bo_thread *t = w->slot;
    bo_level_reset(t, c->disabled, c->foreign);
    bo_set_name(&t->t, name);
    t->child = c;
    t->worker = w;
    c->id = bo_thread_handle(t);
}

/* From here on posters see the child; wake/post.h explains why no post is missed. */
static void publish_child(struct bo_branch *b, struct bo_thread *t, bool disabled)
{
    bo_add_seq(&b->live, 1);
    bo_reach_add(b, t->t.index);
    bo_publish(t, b->t.index, disabled ? BO_DISABLED : 0);
    BO_HOOK(add_published);
}

/* Called if the branch was marked meanwhile: the child does not start. */
static void withdraw(struct bo_branch *b, struct bo_worker *w, struct bo_child *c)
{
    struct bo_branch_state *state = b->state;
    w->slot->child = NULL;
    bo_retire(w->slot, BOUGH_POST_ENDED);
    bo_worker_put(w);
    bo_lock(&state->lock);
    unlink_child(state, c);
    state->tally.count[BOUGH_RUNNING]--;
    state->tally.count[BOUGH_NOT_STARTED]++;
    state->cut = true;
    bo_unlock(&state->lock);
    bo_child_gone(c->branch);
}

static void count_not_started(struct bo_branch_state *state, bool cut)
{
    bo_lock(&state->lock);
    state->tally.added++;
    state->tally.count[BOUGH_NOT_STARTED]++;
    state->cut |= cut;
    bo_unlock(&state->lock);
}

/* If the branch's record makes bough_add() refuse the child, the record counts as delivered (rules 27, 29). */
static bool is_refused(struct bo_branch *b)
{
    struct bo_record *r = bo_marked(b);
    if (!r)
        return false;
    bo_record_deliver(r);
    bo_self->call.last_was_cut = 1;
    return errno = ECANCELED, true;
}

/* Returns the child's handle, or 0. Once the child runs, it may end and be freed at any moment. */
static uint64_t start_child(struct bo_branch *b, struct bo_child *c, const struct bough_child_options *o)
{
    struct bo_worker *w = bo_worker_get(o);
    if (w)
        prepare_child(w, c, o->name);
    if (w && !link_child(b->state, c)) {
        w->slot->child = NULL;
        bo_worker_put(w);
        errno = ENOMEM;
        w = NULL;
    }
    if (!w) {
        count_not_started(b->state, false);
        return 0;
    }
    publish_child(b, w->slot, c->disabled);
    if (is_refused(b)) {
        withdraw(b, w, c);
        return errno = ECANCELED, 0;
    }
    uint64_t id = c->id;
    bo_worker_start(w, c);
    return id;
}

static struct bo_branch *branch_to_add_to(bough_branch *branch)
{
    struct bo_branch *b = bo_branch_of_handle(branch);
    struct bo_thread *t = b ? bo_self_or_adopt() : NULL;
    if (!t)
        return NULL;
    if (b->t.index == BO_ROOT || !bo_below(t, &b->t))
        return errno = EPERM, NULL;
    bo_branch_end_abandoned(t, BO_FRAME());
    return bo_branch_of_handle(branch); /* checked again, because a longjmp() may have left the branch */
}

/* Returns the new child's handle; 0 if no child was started. */
static uint64_t add_child(struct bo_branch *b, bough_fn *fn, bough_resource resource,
                          const struct bough_child_options *o)
{
    if (is_refused(b)) {
        count_not_started(b->state, true);
        return errno = ECANCELED, 0;
    }
    struct bo_child *c = child_new(b, fn, resource, o);
    if (!c) {
        count_not_started(b->state, false);
        return errno = ENOMEM, 0;
    }
    uint64_t id = start_child(b, c, o);
    if (id)
        return id;
    int error = errno;
    free(c);
    return errno = error, 0;
}

bough_thread *bough_add_with(bough_branch *branch, bough_fn *fn, bough_resource resource,
                             const struct bough_child_options *options)
{
    static const struct bough_child_options none;
    const struct bough_child_options *o = options ? options : &none;
    struct bo_branch *b = fn ? branch_to_add_to(branch) : (errno = EINVAL, NULL);
    bo_busy_begin();
    uint64_t id = b ? add_child(b, fn, resource, o) : 0;
    bo_busy_end();
    if (!id) {
        int error = errno;
        destroy_value(resource);
        errno = error;
    }
    return (bough_thread *)(uintptr_t)id;
}

bough_thread *bough_add(bough_branch *branch, bough_fn *fn, bough_resource resource)
{
    return bough_add_with(branch, fn, resource, NULL);
}

/* ---- on the child's thread ------------------------------------------------------------------------------ */

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
    destroy_value(take_resource(c));
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
        unlink_child(state, c);
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

/* ---- queries ------------------------------------------------------------------------------------------- */

static struct bo_child *find_child(struct bo_branch_state *state, uint64_t id)
{
    struct bo_child *c = state->children;
    while (c && c->id != id)
        c = c->next;
    return c;
}

static bool look_child_up(struct bo_branch_state *state, uint64_t id, int *outcome, int *result)
{
    bo_lock(&state->lock);
    const struct bo_child *c = find_child(state, id);
    if (c) {
        *outcome = (int)c->outcome;
        *result = c->result;
    }
    bo_unlock(&state->lock);
    return c != NULL;
}

int bough_outcome(const bough_thread *child, int *result)
{
    uint64_t id = (uint64_t)(uintptr_t)child;
    if (!bo_target_of(id) || bo_handle_is_branch(id))
        return errno = EINVAL, -1;
    const struct bo_thread *t = bo_self;
    uint32_t index = !t ? BO_NONE : bo_load_relaxed(&t->top) ? bo_load_relaxed(&t->top) : bo_load_relaxed(&t->parent);
    for (; index > BO_ROOT; index = bo_load_relaxed(&bo_branch_at(index)->outer)) {
        int outcome, value;
        if (!look_child_up(bo_branch_at(index)->state, id, &outcome, &value))
            continue;
        if (result && outcome != BOUGH_RUNNING)
            *result = value;
        return outcome;
    }
    return errno = ESRCH, -1;
}

/* A generation ends when the child has finished completely, its destructor included. */
static long wait_for_end(struct bo_thread *t, uint32_t generation)
{
    const _Atomic uint32_t *word = bo_generation_of(t);
    long r = 0;
    BO_YIELD_UNTIL(bo_word_generation(bo_load_seq(&t->t.word)) != generation);
    bo_add_seq(&t->t.join_waiters, 1);
    while (r != -BO_ECUT && bo_word_generation(bo_load_seq(&t->t.word)) == generation)
        r = bo_futex_wait(word, generation, BO_FOREVER);
    bo_sub_seq(&t->t.join_waiters, 1);
    return bo_word_generation(bo_load_seq(&t->t.word)) == generation ? r : 0;
}

/* The check for an interrupt comes first, so that the result does not depend on whether the child has ended already
 * (rule 2). */
int bough_join(const bough_thread *child)
{
    uint64_t id = (uint64_t)(uintptr_t)child;
    struct bo_target *t = bo_target_of(id);
    if (!t || bo_handle_is_branch(id))
        return errno = EINVAL, -1;
    bool ended = !bo_target_is(t, bo_handle_generation(id));
    if (!ended && bo_self && t == &bo_self->t)
        return errno = EDEADLK, -1;
    if (bough_check() != 0)
        return -1;
    return ended ? 0 : (int)bo_result(wait_for_end((struct bo_thread *)t, bo_handle_generation(id)));
}

/* SPDX-License-Identifier: MIT */
/* Adding a child to a branch. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <bough/branch.h>
#include "arch/frame.h"
#include "base/hook.h"
#include "base/raw.h"
#include "branch/branch_state.h"
#include "branch/child.h"
#include "branch/end.h"
#include "branch/worker.h"
#include "state/arena.h"
#include "state/current.h"
#include "state/generation.h"
#include "state/reach.h"
#include "state/record.h"
#include "state/tree.h"
#include "thread/adopt.h"
#include "thread/level.h"
#include "thread/retire.h"
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
    bo_child_unlink(c);
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
        bo_resource_destroy(resource);
        errno = error;
    }
    return (bough_thread *)(uintptr_t)id;
}

bough_thread *bough_add(bough_branch *branch, bough_fn *fn, bough_resource resource)
{
    return bough_add_with(branch, fn, resource, NULL);
}

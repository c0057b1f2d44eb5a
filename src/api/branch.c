/* SPDX-License-Identifier: MIT */
/* Opening and ending a branch. */
#define _GNU_SOURCE
#include "api/branch.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/level.h"
#include "core/post.h"
#include "core/report.h"
#include "core/self.h"
#include "core/ticker.h"
#include "core/tree.h"

/* ---- opening ----------------------------------------------------------------------------------------- */

static struct bo_family *family_new(const struct bough_branch_options *o)
{
    struct bo_family *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->last_child = &f->children;
    f->last_failure = &f->failures;
    f->supervisor = o->supervisor != 0;
    f->collect = o->collect != 0;
    return f;
}

static int64_t deadline_of(const struct bough_branch_options *o)
{
    int64_t deadline = o->deadline ? o->deadline : BO_FOREVER;
    int64_t timed = o->timeout ? bo_add_time(bo_now(), o->timeout) : BO_FOREVER;
    return deadline < timed ? deadline : timed;
}

static void set_label(struct bo_branch *b, const struct bough_branch_options *o)
{
    const char *label = o->label ? o->label : o->variable ? o->variable : "branch";
    size_t n = strnlen(label, BO_NAME - 1);
    memcpy(b->t.name, label, n);
    b->t.name[n] = '\0';
    b->file = o->file;
    b->line = o->line;
}

/* What is opened in a cleanup region is protected with it (rule 20). */
static void inherit_shield(struct bo_branch *b, const struct bo_thread *t)
{
    b->shield_seq = bo_load_relaxed(&t->shield_seq);
    b->shield_until = bo_load_relaxed(&t->shield_until);
    if (b->shield_seq)
        bo_ticker_look(&b->t);
}

static void publish(struct bo_branch *b, struct bo_thread *t)
{
    uint32_t top = bo_load_relaxed(&t->top);
    bo_store_relaxed(&b->owner, t->t.index);
    bo_store_relaxed(&b->outer, top != BO_NONE ? top : bo_load_relaxed(&t->parent));
    bo_store_relaxed(&b->live, 0);
    bo_store_relaxed(&b->waiters, 0);
    uint32_t generation = bo_word_generation(bo_load_relaxed(&b->t.word));
    bo_store_seq(&b->t.word, bo_word_make(generation, BO_LIVE));
    bo_store_seq(&t->top, b->t.index); /* before any child: posters to the thread scan from here on */
}

static int set_deadline(struct bo_branch *b, int64_t deadline)
{
    bo_store_seq(&b->deadline, deadline);
    if (deadline == BO_FOREVER)
        return 0;
    if (deadline > bo_now()) {
        bo_ticker_deadline(b);
        return 0;
    }
    struct bough_event passed = {.kind = BOUGH_TIMEOUT, .reason = "the deadline had passed already"};
    return bo_post(bo_branch_handle(b), &passed, NULL);
}

bough_branch *bough_branch_open(const struct bough_branch_options *options)
{
    static const struct bough_branch_options none;
    const struct bough_branch_options *o = options ? options : &none;
    if (o->deadline < 0 || o->timeout < 0)
        return errno = EINVAL, NULL;
    struct bo_thread *t = bo_self_or_adopt();
    if (!t || bo_ticker_need() != 0)
        return NULL;
    bo_level_sweep(t, (uintptr_t)__builtin_frame_address(0));
    struct bo_branch *b = bo_branch_new();
    if (!b)
        return NULL;
    b->family = family_new(o);
    if (!b->family) {
        bo_branch_free(b);
        return errno = ENOMEM, NULL;
    }
    set_label(b, o);
    publish(b, t);
    inherit_shield(b, t);
    set_deadline(b, deadline_of(o));
    return (bough_branch *)(uintptr_t)bo_branch_handle(b);
}

int bough_set_deadline(bough_branch *branch, bough_time deadline)
{
    struct bo_branch *b = deadline < 0 ? (errno = EINVAL, NULL) : bo_branch_of_handle(branch);
    if (!b)
        return -1;
    if (!bo_self || bo_load_relaxed(&b->owner) != bo_self->t.index)
        return errno = EPERM, -1;
    return set_deadline(b, deadline ? deadline : BO_FOREVER);
}

bough_time bough_deadline(void)
{
    int64_t deadline = bo_self ? bo_effective_deadline(bo_self) : BO_FOREVER;
    return deadline == BO_FOREVER ? 0 : deadline;
}

/* ---- ending ------------------------------------------------------------------------------------------ */

/* Interrupted while waiting it goes on waiting: the interrupt reaches the children by itself (rule 24). */
static void join_children(struct bo_branch *b)
{
    uint32_t live;
    bo_store_seq(&b->waiters, 1); /* before the look: the last child sees it, or we see its step */
    while ((live = bo_load_seq(&b->live)) != 0)
        bo_futex_sleep(&b->live, live, BO_FOREVER);
    if (b->family->has_leaver)
        pthread_join(b->family->leaver, NULL);
}

static void run_at_end(struct bo_family *f)
{
    while (f->at_end) {
        struct bo_at_end *hook = f->at_end;
        f->at_end = hook->next;
        hook->fn(hook->argument);
        free(hook);
    }
}

static bool delivered(const struct bo_branch *b, enum bough_kind kind)
{
    const struct bo_record *r = bo_record_of(&b->t, kind);
    return (bo_load_seq(&b->t.due) & 1u << kind) &&
           bo_record_status(bo_load_seq(&r->state)) == BO_DELIVERED;
}

/* A stop of its own that has cut something, or kept a child from starting. */
static bool stopped(const struct bo_branch *b)
{
    for (int kind = 0; kind < BO_KIND_COUNT; kind++)
        if (kind != BOUGH_TIMEOUT && kind != BOUGH_SIBLING && delivered(b, (enum bough_kind)kind))
            return true;
    return false;
}

/* Rules 26 and 27: failures first, then the own deadline, the own stop; what comes from further out is not
 * absorbed. */
static int result_of(const struct bo_branch *b, struct bo_thread *t, bool *interrupted)
{
    const struct bo_family *f = b->family;
    *interrupted = stopped(b);
    if (f->failures && (!f->supervisor || f->body_failed))
        return f->failures->face.code;
    if (delivered(b, BOUGH_TIMEOUT))
        return ETIMEDOUT;
    if (*interrupted)
        return 0;
    return f->cut && (!delivered(b, BOUGH_SIBLING) || bo_pending_record(t, false)) ? ECANCELED : 0;
}

static void pop(struct bo_branch *b, struct bo_thread *t)
{
    uint32_t outer = bo_load_relaxed(&b->outer);
    bool mine = bo_load_relaxed(&bo_branch_at(outer)->owner) == t->t.index;
    bo_store_seq(&t->top, mine ? outer : BO_NONE);
}

static int end_branch(struct bo_branch *b, struct bo_thread *t)
{
    struct bo_family *f = b->family;
    char label[BO_NAME];
    bool interrupted;
    join_children(b);
    run_at_end(f);
    bo_store_seq(&b->deadline, BO_FOREVER);
    pop(b, t);
    int result = result_of(b, t, &interrupted);
    memcpy(label, b->t.name, sizeof label);
    b->family = NULL;
    b->shield_seq = 0;
    bo_retire_branch(b, BOUGH_POST_ENDED);
    bo_branch_free(b);
    if (bo_load_seq(&t->t.word) & BO_PENDING)
        bo_level_settle(t);
    bo_ending_keep(f, label, result, interrupted);
    free(f);
    return result;
}

/* A branch that is left open at its thread's end, or inside another: nobody is going to end it. */
static void end_forgotten(struct bo_branch *b, struct bo_thread *t)
{
    struct bough_event event = {.kind = BOUGH_SIBLING, .reason = "the branch was left open"};
    bo_report("branch %s, opened at %s:%d, was left open by thread %d (%s): its children are interrupted and joined",
              b->t.name, b->file ? b->file : "?", b->line, (int)bo_load_relaxed(&t->tid), t->t.name);
    bo_post(bo_branch_handle(b), &event, NULL);
    end_branch(b, t);
}

void bo_branch_unwind(struct bo_thread *t, uint32_t until)
{
    uint32_t top;
    while ((top = bo_load_relaxed(&t->top)) != BO_NONE && top != until)
        end_forgotten(bo_branch_at(top), t);
}

static bool open_on(const struct bo_thread *t, const struct bo_branch *b)
{
    uint32_t index = bo_load_relaxed(&t->top);
    while (index != BO_NONE && index != b->t.index)
        index = bo_load_relaxed(&bo_branch_at(index)->outer);
    return index != BO_NONE;
}

int bough_branch_end(bough_branch *branch)
{
    struct bo_branch *b = bo_branch_of_handle(branch);
    struct bo_thread *t = bo_self;
    if (!b)
        return errno;
    if (!t || bo_load_relaxed(&b->owner) != t->t.index || !open_on(t, b))
        return EPERM;
    bo_level_sweep(t, (uintptr_t)__builtin_frame_address(0));
    bo_branch_unwind(t, b->t.index);
    return end_branch(b, t);
}

/* The block form's end: errno is the block's (rule 18). */
void bough_leave_(bough_branch **branch)
{
    int saved = errno;
    if (*branch)
        bough_branch_end(*branch);
    errno = saved;
}

int bo_branch_at_end(bough_branch *branch, void (*fn)(void *), void *argument)
{
    struct bo_branch *b = bo_branch_of_handle(branch);
    if (!b)
        return -1;
    struct bo_at_end *hook = malloc(sizeof *hook);
    if (!hook)
        return errno = ENOMEM, -1;
    *hook = (struct bo_at_end){.next = b->family->at_end, .fn = fn, .argument = argument};
    b->family->at_end = hook;
    return 0;
}

int bough_branch_tally(const bough_branch *branch, struct bough_tally *tally)
{
    struct bo_branch *b = tally ? bo_branch_of_handle(branch) : (errno = EINVAL, NULL);
    if (!b)
        return -1;
    if (!b->family)
        return errno = EINVAL, -1; /* the root has children of nobody's */
    bo_lock(&b->family->lock);
    *tally = b->family->tally;
    bo_unlock(&b->family->lock);
    return 0;
}

/* ---- threads that end, and processes that fork ---------------------------------------------------------- */

static void thread_ends(struct bo_thread *t)
{
    bo_branch_unwind(t, BO_NONE);
    struct bo_failure *f = bo_ending_unread();
    if (f) {
        bo_report("thread %d (%s) ended with a failure that nobody read: %s: %s", (int)bo_load_relaxed(&t->tid),
                  t->t.name, strerror(f->face.code), f->face.message);
        bo_failure_free(f);
    }
    bo_ending_drop();
}

/* A child that forks goes on in the new process with nobody to account to: its family's list may be half
 * changed by a thread that is not here. When its function returns, the process ends, as it does with pthreads
 * when the last thread returns; only that here the library's own threads may be there as well. */
static void leave_family(struct bo_thread *self)
{
    static struct bo_family nobody;
    struct bo_child *c = self->child;
    nobody = (struct bo_family){.supervisor = true, .children = c, .last_child = &c->next};
    c->family = &nobody;
    c->link = &nobody.children;
    c->next = NULL;
    self->worker->orphan = true;
}

/* The children of the branches on our stack live in the parent only: there is nobody to join here. */
static void in_fork_child(struct bo_thread *self)
{
    bo_workers_after_fork();
    if (self && self->child)
        leave_family(self);
    uint32_t index = self ? bo_load_relaxed(&self->top) : BO_NONE;
    while (index != BO_NONE) {
        struct bo_branch *b = bo_branch_at(index);
        bo_store_relaxed(&b->live, 0);
        bo_store_relaxed(&b->family->lock.state, 0);
        b->family->has_leaver = false;
        b->family->children = NULL; /* owned by threads that are not here */
        b->family->last_child = &b->family->children;
        uint32_t outer = bo_load_relaxed(&b->outer);
        if (bo_load_relaxed(&bo_branch_at(outer)->owner) != self->t.index) {
            bo_store_relaxed(&b->outer, BO_ROOT);
            break;
        }
        index = outer;
    }
}

__attribute__((constructor)) static void at_load(void)
{
    bo_on_thread_end = thread_ends;
    bo_on_fork_child = in_fork_child;
}

/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "thread/fork.h"
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/raw.h"
#include "state/arena.h"
#include "state/clock.h"
#include "state/current.h"
#include "state/reach.h"
#include "thread/level.h"
#include "thread/stranger.h"
#include "trace/recorder.h"
#include "upcalls.h"
#include "wake/last_thread.h"
#include "wake/pace.h"
#include "wake/ticker.h"

/* ---- the copy ------------------------------------------------------------------------------------------ */

/* Only the serials of records are copied, so that a handle of a post before the fork matches no post after it. */
struct serials {
    struct {
        uint64_t state;
        uint32_t last;
    } of[BO_KIND_COUNT];
};

struct branch_copy {
    struct bo_branch branch;
    struct serials serials;
};

/*
 * The values of the parent's arena that the child needs even if there is no memory for a copy.
 *
 *   seq              record numbers continue, because the thread's delivered and suppressed records are known by them
 *   threads, branches  how many slots the parent has used: handles with these indices are stale
 */
struct basics {
    uint64_t seq;
    uint32_t threads, branches;
    struct serials root;
    struct bo_ladder_cells ladder; /* the root's */
};

/* `has_thread`: the forking thread is adopted or a child. */
struct copy {
    size_t size;
    bool has_thread;
    struct bo_thread thread;
    struct serials serials;
    uint32_t branch_count;
    struct branch_copy branch[];
};

/* The state of each forking thread. A signal handler can't fork in between, because signals are blocked. */
static BO_TLS struct copy *copy; /* NULL: there is no memory for it */
static BO_TLS bool lent;         /* there is an arena, and the child inherits it */
static BO_TLS uint64_t mask;
/* The worker that runs the forking thread's child (NULL: the thread is no child); whether it has a branch open. */
static BO_TLS struct bo_worker *forker;
static BO_TLS bool in_branch;

/* All threads that fork at the same time share one object: each word of it is valid, even if another thread has stored
 * it a moment ago. It is not thread-local, because that memory is taken from each thread's stack, which may be small.
 * */
static struct basics basics;
static struct basics owed; /* in a child without an arena: the basics of the fork, for an arena that is made later */

/* Posters may write to the source meanwhile, in whole words. The child ignores their posts. */
__attribute__((no_sanitize("thread"))) static void copy_words(void *to, const void *from, size_t size)
{
    const volatile uint64_t *word = from;
    for (size_t i = 0; i < size / sizeof *word; i++)
        ((uint64_t *)to)[i] = word[i];
}

_Static_assert(sizeof(struct bo_thread) % 8 == 0 && sizeof(struct bo_branch) % 8 == 0, "copied in words");

static void copy_serials(struct serials *to, const struct bo_target *target)
{
    for (int kind = 0; kind < BO_KIND_COUNT; kind++) {
        const struct bo_record *r = bo_record_of(target, (enum bough_kind)kind);
        to->of[kind].state = bo_load_seq(&r->state);
        to->of[kind].last = bo_load_seq(&r->last);
    }
}

/* The innermost branch, from this index outwards, that the thread itself has opened; NULL. */
static struct bo_branch *branch_opened_by(const struct bo_thread *t, uint32_t index)
{
    struct bo_branch *b = bo_branch_at(index);
    return index != BO_NONE && bo_load_relaxed(&b->owner) == t->t.index ? b : NULL;
}

static uint32_t count_branches(const struct bo_thread *t)
{
    uint32_t count = 0;
    const struct bo_branch *b = t ? branch_opened_by(t, bo_load_relaxed(&t->top)) : NULL;
    for (; b; b = branch_opened_by(t, bo_load_relaxed(&b->outer)))
        count++;
    return count;
}

static void copy_thread(struct copy *c, const struct bo_thread *t)
{
    copy_words(&c->thread, t, sizeof *t);
    copy_serials(&c->serials, &t->t);
    const struct bo_branch *b = branch_opened_by(t, bo_load_relaxed(&t->top));
    for (struct branch_copy *to = c->branch; b; b = branch_opened_by(t, bo_load_relaxed(&b->outer)), to++) {
        copy_words(&to->branch, b, sizeof *b);
        copy_serials(&to->serials, &b->t);
    }
}

__attribute__((no_sanitize("thread"))) static void copy_basics(void)
{
    const struct bo_target *root = &bo_branch_at(BO_ROOT)->t;
    struct basics b = {
        .seq = bo_load_seq(&bo_arena.head->seq), .threads = bo_threads_used(), .branches = bo_branches_used()};
    copy_serials(&b.root, root);
    copy_words(&b.ladder, &root->ladder, sizeof b.ladder);
    basics = b;
}

/* This does not use malloc(): fork() is allowed in a signal handler, so this thread may hold malloc()'s lock. */
static struct copy *copy_new(const struct bo_thread *t)
{
    uint32_t count = count_branches(t);
    size_t size = sizeof(struct copy) + count * sizeof(struct branch_copy);
    struct copy *c = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (c == MAP_FAILED)
        return NULL;
    c->size = size;
    c->has_thread = t != NULL;
    c->branch_count = count;
    if (t)
        copy_thread(c, t);
    return c;
}

static void copy_free(void)
{
    if (copy)
        munmap(copy, copy->size);
    copy = NULL;
}

/* ---- in the child -------------------------------------------------------------------------------------- */

static void put_serials(const struct bo_target *target, const struct serials *from)
{
    for (int kind = 0; kind < BO_KIND_COUNT; kind++) {
        struct bo_record *r = bo_record_of(target, (enum bough_kind)kind);
        bo_store_relaxed(&r->state, from->of[kind].state);
        bo_store_relaxed(&r->last, from->of[kind].last);
    }
}

/* Copies a target without the marks of threads that were posting to it, or had put it on a list, because those threads
 * do not exist in this process. */
static void copy_target(struct bo_target *to, const void *from, size_t size, const struct serials *serials)
{
    copy_words(to, from, size);
    bo_store_relaxed(&to->pins, 0);
    bo_store_relaxed(&to->wake_subtree, 0);
    put_serials(to, serials);
    bo_arena_occupy(to);
}

static void put_copy(const struct copy *c)
{
    if (!c->has_thread)
        return;
    copy_target(&bo_thread_at(c->thread.t.index)->t, &c->thread, sizeof c->thread, &c->serials);
    uint32_t outer = BO_ROOT; /* branches around the outermost copied one stay in the parent */
    for (uint32_t i = c->branch_count; i-- > 0;) {
        const struct branch_copy *from = &c->branch[i];
        struct bo_branch *b = bo_branch_at(from->branch.t.index);
        copy_target(&b->t, &from->branch, sizeof from->branch, &from->serials);
        bo_branch_place(b, outer);
        outer = b->t.index;
    }
}

/* Closes all records: interrupts of the parent's threads do not concern this process. */
static void forget_posts(struct bo_target *t)
{
    bo_records_forget(t);
    bo_store_relaxed(&t->due, 0);
}

static void reset_forked_thread(struct bo_thread *t)
{
    bo_store_relaxed(&t->tid, (pid_t)bo_raw0(SYS_gettid));
    bo_store_relaxed(&t->parent, BO_ROOT);
    bo_store_relaxed(&t->t.join_waiters, 0);
    forget_posts(&t->t);
    if (t->event_fd >= 0)
        close(t->event_fd); /* the parent uses it */
    t->event_fd = -1;
    if (t->closers)
        bo_ladder_forget_closers(t);
    bo_store_relaxed(&t->freeze.state, 0);
    bo_word_clear(&t->t.word, BO_EVENT | BO_UNDER_WAY | BO_SUMMONED, BO_BY_FORK);
    bo_level_recompute(t);
}

/* The root has the same handle in each process. */
static void put_basics(const struct basics *from)
{
    struct bo_target *root = &bo_branch_at(BO_ROOT)->t;
    bo_store_relaxed(&bo_arena.head->seq, from->seq);
    put_serials(root, &from->root);
    copy_words(&root->ladder, &from->ladder, sizeof from->ladder);
}

void bo_fork_catch_up(void)
{
    put_basics(&owed);
    forget_posts(&bo_branch_at(BO_ROOT)->t);
    bo_clock_after_fork();
}

/* Makes the child's arena. If there is no memory for it, this process has no arena and no adopted thread until the
 * library's next use. */
static bool renewed(const struct copy *c)
{
    if (c && bo_arena_renew(basics.threads, basics.branches) == 0)
        return true;
    bo_arena_drop(basics.threads, basics.branches);
    if (lent)
        owed = basics;
    bo_trace_thread_gone();
    bo_turn_away();
    return false;
}

static void restart_from(const struct copy *c)
{
    bool has_arena = renewed(c);
    if (has_arena)
        put_basics(&basics), put_copy(c);
    bo_ticker_after_fork();
    bo_strangers_after_fork();
    bo_last_thread_after_fork(bo_self != NULL);
    bo_pace_after_fork(bo_self);
    if (has_arena)
        forget_posts(&bo_branch_at(BO_ROOT)->t);
    bo_branches_forked(bo_self, lent ? forker : NULL, lent && in_branch && !has_arena);
    if (bo_self)
        reset_forked_thread(bo_self);
}

/* ---- the handlers -------------------------------------------------------------------------------------- */

static void copy_before_fork(void)
{
    static const uint64_t all = ~(uint64_t)0;
    uint64_t before = 0;
    bo_raw4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&before, sizeof before);
    mask = before; /* stored only now, because a signal handler may have forked before, and stored its mask */
    lent = bo_arena.head != NULL;
    if (!lent)
        return;
    copy_basics();
    forker = bo_self && bo_self->child ? bo_self->worker : NULL;
    in_branch = bo_self && bo_load_relaxed(&bo_self->top) != BO_NONE;
    copy = copy_new(bo_self);
    bo_arena_lend(true);
}

static void back(void)
{
    uint64_t before = mask;
    copy_free();
    bo_raw4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof before);
}

static void in_parent(void)
{
    if (lent)
        bo_arena_lend(false);
    back();
}

static void renew_in_child(void)
{
    bo_store_relaxed(&bo_pid, getpid());
    bo_trace_forked();
    bo_ladder_forked();
    restart_from(copy);
    bo_signals_forked();
    back();
}

int bo_fork_init(void)
{
    return pthread_atfork(copy_before_fork, in_parent, renew_in_child);
}

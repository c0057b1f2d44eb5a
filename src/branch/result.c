/* SPDX-License-Identifier: MIT */
/*
 * The result of the branch that the calling thread has ended last, kept until the next branch ends; and the unread
 * failures of earlier branches. The enclosing branch gets these if it fails; otherwise the enclosing child (rule 26).
 */
#include "branch/result.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include "base/plain.h"
#include "base/raw.h"
#include "branch/failure.h"
#include "branch/branch_state.h"
#include "state/arena.h"
#include "state/log.h"

struct bo_ending {
    struct bough_ending face;
    struct bo_failure *failure; /* NULL when it was passed on; face.error still points to it */
    struct bo_child *children;
    bool read;
    char label[BO_NAME];
};

struct bo_endings {
    struct bo_ending *last;
    uint64_t count;
    struct bo_failure *unread; /* the oldest first, at most BO_KEPT_FAILURES */
    uint64_t dropped;          /* the number of older failures that were dropped */
};

static BO_TLS struct bo_endings mine;
static BO_TLS struct bo_ending not_opened; /* `last` may point to it, because there may be no memory for an ending */

struct bo_ending *bo_ending_new(void)
{
    return calloc(1, sizeof(struct bo_ending));
}

static void free_children(struct bo_child *c)
{
    while (c) {
        struct bo_child *next = c->next;
        bo_child_free(c);
        c = next;
    }
}

void bo_ending_free(struct bo_ending *e)
{
    if (!e)
        return;
    bo_failure_free(e->failure);
    free_children(e->children);
    free((void *)(uintptr_t)e->face.children);
    if (e != &not_opened)
        free(e);
}

uint64_t bo_ending_count(void)
{
    return mine.count;
}

/* ---- unread failures --------------------------------------------------------------------------------------- */

/* Reports the first time and whenever the number has doubled, because a loop must not fill the log. */
static void report_dropped(const struct bo_endings *all, const struct bo_failure *f)
{
    if (all->dropped & (all->dropped - 1))
        return;
    bo_report("thread %d has more than %d unread failures: dropping the oldest (%llu dropped so far), of %s: "
              "%s%s%s; ask for bough_last_result() after each branch",
              (int)bo_raw0(SYS_gettid), BO_KEPT_FAILURES, (unsigned long long)all->dropped, f->who,
              strerror(f->face.code), *f->message ? ": " : "", f->message);
}

static void drop_oldest(struct bo_endings *all)
{
    struct bo_failure *oldest = all->unread;
    all->unread = oldest->next;
    all->dropped++;
    report_dropped(all, oldest);
    bo_failure_free(oldest);
}

/* Keeps the last ending's failure as unread: the program can no longer read it by bough_last_result(). */
static void put_aside(struct bo_endings *all)
{
    struct bo_ending *e = all->last;
    if (!e || e->read || !e->failure)
        return;
    struct bo_failure **end = &all->unread;
    unsigned count = 0;
    for (; *end; end = &(*end)->next)
        count++;
    if (count == BO_KEPT_FAILURES) {
        drop_oldest(all);
        for (end = &all->unread; *end;)
            end = &(*end)->next;
    }
    e->failure->next = NULL;
    e->failure->ending = all->count;
    *end = e->failure;
    e->failure = NULL;
    e->face.error = NULL;
}

/* Takes the unread failures of the endings after this one, as a list. */
static struct bo_failure *take_unread(struct bo_endings *all, uint64_t ending)
{
    struct bo_failure **from = &all->unread, *taken;
    while (*from && (*from)->ending <= ending)
        from = &(*from)->next;
    taken = *from;
    *from = NULL;
    return taken;
}

/* The first failure is primary, the others are attached (rule 26). */
static struct bo_failure *tree_of(struct bo_failure *first, struct bo_failure *others)
{
    while (first && others) {
        struct bo_failure *next = others->next;
        others->next = NULL;
        bo_failure_attach(first, others);
        others = next;
    }
    return first;
}

static struct bo_failure *tree_of_list(struct bo_failure *first)
{
    struct bo_failure *others = first ? first->next : NULL;
    if (first)
        first->next = NULL;
    return tree_of(first, others);
}

static struct bo_failure *unread_of(struct bo_endings *all)
{
    put_aside(all);
    return tree_of_list(take_unread(all, 0));
}

struct bo_failure *bo_ending_unread(void)
{
    return unread_of(&mine);
}

struct bo_endings *bo_endings_mine(void)
{
    return &mine;
}

struct bo_failure *bo_endings_left(struct bo_endings *all)
{
    return all ? unread_of(all) : NULL;
}

struct bo_failure *bo_ending_pass_on(int code, uint64_t after)
{
    if (!mine.last || mine.last->face.result != code || mine.count <= after)
        return NULL;
    struct bo_failure *f = mine.last->failure;
    mine.last->failure = NULL;
    return f;
}

/* ---- keeping --------------------------------------------------------------------------------------------- */

/* Children are kept for branches that collect results. Other branches keep failed children only while they are open,
 * for bough_outcome(). */
static void keep_children(struct bo_ending *e, struct bo_branch_state *state)
{
    size_t n = 0;
    if (!state->results) {
        free_children(state->children);
        return;
    }
    for (struct bo_child *c = state->children; c; c = c->next)
        state->results[n++] =
            (struct bough_child_result){(const bough_thread *)(uintptr_t)c->id, c->name, c->outcome, c->result};
    e->children = state->children;
    e->face.children = state->results;
    e->face.count = n;
}

/* If the branch has failed, attaches the unread failures of branches nested in it. */
static struct bo_failure *collect(struct bo_branch_state *state)
{
    struct bo_failure *first = tree_of_list(state->failures);
    return first && state->code ? tree_of(first, take_unread(&mine, state->ending_before)) : first;
}

/* Whether each failure is a C++ exception. Exceptions propagate to code that catches them, so they need not be read. */
static bool only_thrown(const struct bo_failure *f)
{
    unsigned depth = 0;
    for (const bough_error *e = &f->face; e; e = bo_failure_next(&f->face, e, &depth))
        if (!((const struct bo_failure *)(const void *)e)->thrown)
            return false;
    return true;
}

void bo_ending_keep(struct bo_branch_state *state, const char *label, int result, bool interrupted)
{
    struct bo_ending *e = state->ending;
    put_aside(&mine);
    bo_ending_free(mine.last);
    mine.count++;
    mine.last = e;
    e->failure = collect(state);
    keep_children(e, state);
    memcpy(e->label, label, BO_NAME);
    e->read = !state->code || (e->failure && only_thrown(e->failure)); /* code 0: no failure, or all are isolated */
    e->face.result = result;
    e->face.interrupted = interrupted;
    e->face.label = e->label;
    e->face.error = e->failure ? &e->failure->face : NULL;
    e->face.tally = state->tally;
}

struct bo_failure *bo_ending_of_orphan(struct bo_branch_state *state)
{
    struct bo_failure *first = tree_of_list(state->failures);
    free_children(state->children);
    free(state->results);
    bo_ending_free(state->ending);
    return first;
}

void bo_ending_drop(void)
{
    bo_ending_free(mine.last);
    mine.last = NULL;
}

void bo_ending_not_opened(const struct bough_branch_options *options, int error)
{
    struct bo_ending *e = &not_opened;
    put_aside(&mine);
    bo_ending_drop();
    mine.count++;
    mine.last = e;
    *e = (struct bo_ending){.failure = bo_failure_new(error, "the branch could not be opened", BO_NONE)};
    memcpy(e->label, options->variable, bo_cut(options->variable, BO_NAME - 1));
    e->face.result = error;
    e->face.label = e->label;
    if (e->failure) {
        e->failure->face.file = options->file;
        e->failure->face.line = options->line;
        e->face.error = &e->failure->face;
    }
    errno = error;
}

void bo_ending_after_fork(void)
{
    if (mine.last)
        mine.last->read = true;
    mine.unread = NULL;
    mine.dropped = 0;
}

/* ---- reading --------------------------------------------------------------------------------------------- */

const struct bough_ending *bough_last(void)
{
    static const struct bough_ending none;
    if (!mine.last)
        return &none;
    mine.last->read = true;
    return &mine.last->face;
}

int bough_last_result(void)
{
    return bough_last()->result;
}

void bo_branch_state_free(struct bo_branch_state *state)
{
    bo_failure_free(state->spare);
    free(state);
}

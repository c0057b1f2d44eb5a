/* SPDX-License-Identifier: MIT */
/* The end of a branch: by its owner, at a jump, and at the end of its thread. branch/orphan.c ends branches whose
 * thread is lost. */
#define _GNU_SOURCE
#include "branch/end.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "arch/frame.h"
#include "base/hook.h"
#include "branch/fail.h"
#include "branch/failure.h"
#include "branch/branch_state.h"
#include "branch/result.h"
#include "state/arena.h"
#include "state/current.h"
#include "state/generation.h"
#include "state/log.h"
#include "state/tree.h"
#include "thread/level.h"
#include "trace/recorder.h"
#include "upcalls.h"
#include "wake/post.h"
#include "wake/ticker.h"

/* ---- ending ------------------------------------------------------------------------------------------ */

/* Cancellation is disabled around pthread_join(): it would leave the branch half ended. */
void bo_branch_state_join_leaver(const struct bo_branch_state *state)
{
    int before;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    pthread_join(state->leaver, NULL);
    pthread_setcancelstate(before, NULL);
}

/* An interrupt does not end this wait: the same interrupt reaches the children (rule 24). */
static void join_children(struct bo_branch *b, struct bo_thread *t)
{
    uint32_t live;
    struct bo_trace_call call = {.is_on = false};
    if (bo_tracing())
        bo_trace_call_begin(
            &call, BO_TRACE_IN_BRANCH_END,
            &(struct bo_trace_argument){.kind = BO_TRACE_BRANCH, .value = (uint64_t)bo_branch_handle(b)});
    bo_store_relaxed(&t->join.branch, b->t.index);
    BO_YIELD_UNTIL(bo_load_seq(&b->live) == 0);
    bo_store_seq(&b->waiters, 1); /* stored first: the last child sees it, or this thread sees the child's change */
    while ((live = bo_load_seq(&b->live)) != 0)
        bo_futex_sleep(&b->live, live, BO_FOREVER);
    bo_store_relaxed(&t->join.branch, BO_NONE);
    if (call.is_on)
        bo_trace_call_end(&call);
    if (!b->state->has_leaver)
        return;
    bo_busy_begin(); /* no freeze here: the last worker would be joined twice */
    bo_branch_state_join_leaver(b->state);
    bo_busy_end();
}

void bo_branch_state_run_at_end(struct bo_branch_state *state)
{
    while (state->at_end) {
        struct bo_at_end *hook = state->at_end;
        state->at_end = hook->next;
        hook->fn(hook->argument);
        free(hook);
    }
}

static bool delivered(const struct bo_branch *b, enum bough_kind kind)
{
    const struct bo_record *r = bo_record_of(&b->t, kind);
    return (bo_load_seq(&b->t.due) & 1u << kind) && bo_record_status(bo_load_seq(&r->state)) == BO_DELIVERED;
}

/* Whether a post stopped the branch itself, with an effect: a call was interrupted, or a child was refused. */
static bool stopped(const struct bo_branch *b)
{
    for (int kind = 0; kind < BO_KIND_COUNT; kind++)
        if (kind != BOUGH_TIMEOUT && kind != BOUGH_SIBLING && delivered(b, (enum bough_kind)kind))
            return true;
    return false;
}

/* Rules 26 and 27: failures first, then the branch's deadline, then its stop; interrupts from further out are not
 * absorbed. The branch is no longer one of the caller's open branches here, so a pending record is from further out. */
static int result_of(const struct bo_branch *b, struct bo_thread *t, bool *interrupted)
{
    const struct bo_branch_state *state = b->state;
    *interrupted = stopped(b);
    if (state->code)
        return state->code;
    if (delivered(b, BOUGH_TIMEOUT))
        return ETIMEDOUT;
    if (*interrupted)
        return 0;
    return (state->cut || t->call.last_was_cut) && bo_pending_record(t, false) ? ECANCELED : 0;
}

static void pop_branch(struct bo_branch *b, struct bo_thread *t)
{
    uint32_t outer = bo_load_relaxed(&b->outer);
    bool mine = bo_load_relaxed(&bo_branch_at(outer)->owner) == t->t.index;
    bo_store_seq(&t->top, mine ? outer : BO_NONE);
}

/* For rule 28 the branch counts as a call of its owner, whose result shows whether it was interrupted. */
static void note_cut(struct bo_thread *t, const struct bo_branch_state *state, int result)
{
    t->call.last_was_cut = result ? result == ECANCELED : state->was_cut;
}

static int end_branch(struct bo_branch *b, struct bo_thread *t)
{
    struct bo_branch_state *state = b->state;
    char label[BO_NAME];
    bool interrupted;
    join_children(b, t);
    bo_branch_state_run_at_end(state);
    bo_busy_begin();
    bo_store_seq(&b->deadline, BO_FOREVER);
    pop_branch(b, t);
    int result = result_of(b, t, &interrupted);
    note_cut(t, state, result);
    memcpy(label, b->t.name, sizeof label);
    bo_store_relaxed(&b->shield.seq, 0);
    bo_trace_branch_end(bo_branch_handle(b), result, interrupted);
    bo_generation_end(&b->t, BOUGH_POST_ENDED); /* waits for pins, which readers of the branch's state hold */
    b->state = NULL;
    bo_branch_free(b);
    if (bo_load_seq(&t->t.word) & BO_PENDING)
        bo_level_recompute(t);
    bo_ending_keep(state, label, result, interrupted);
    bo_branch_state_free(state);
    bo_busy_end();
    return result;
}

static void abandon_branch(struct bo_branch *b, struct bo_thread *t)
{
    struct bough_event event = {.kind = BOUGH_SIBLING, .reason = "the branch is left"};
    bo_post(bo_branch_handle(b), &event, NULL);
    end_branch(b, t);
}

/* Ends a branch whose owner has left it without ending it. */
static void end_forgotten(struct bo_branch *b, struct bo_thread *t, const char *by, const char *instead)
{
    bo_report("branch %s, opened at %s:%d in thread %d (%s), was left open by %s: its children are interrupted and "
              "joined; %s",
              b->t.name, b->file ? b->file : "?", b->line, (int)bo_load_relaxed(&t->tid), t->t.name, by, instead);
    abandon_branch(b, t);
}

void bo_branch_unwind(struct bo_thread *t, uint32_t until)
{
    uint32_t top;
    while ((top = bo_load_relaxed(&t->top)) != BO_NONE && top != until)
        abandon_branch(bo_branch_at(top), t);
}

void bo_branch_end_forgotten(struct bo_thread *t, uint32_t until, const char *by)
{
    uint32_t top;
    while ((top = bo_load_relaxed(&t->top)) != BO_NONE && top != until)
        end_forgotten(bo_branch_at(top), t, by, "call bough_branch_end() on every way out");
}

void bo_branch_end_abandoned(struct bo_thread *t, uintptr_t sp)
{
    uint32_t top;
    while ((top = bo_load_relaxed(&t->top)) != BO_NONE && sp >= t->stack.low && sp < t->stack.high) {
        struct bo_branch *b = bo_branch_at(top);
        if (!b->state->block_frame || b->state->block_frame >= sp)
            return;
        end_forgotten(b, t, "a longjmp()", "use bough_longjmp()");
    }
}

/* ---- the end, at the owner's request ----------------------------------------------------------------------------- */

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
    bo_level_end_abandoned(t, BO_FRAME());
    bo_branch_end_abandoned(t, BO_FRAME());
    if (!bo_target_is(&b->t, bo_handle_generation((uint64_t)(uintptr_t)branch)))
        return ESRCH; /* a longjmp() has left the block */
    bo_branch_end_forgotten(t, b->t.index, "the end of the branch around it");
    return end_branch(b, t);
}

BO_TLS bool bo_branches_lost;

/* The result of a block whose branch stayed in the parent is a failure. */
static void leave_block(bough_branch *branch)
{
    static const struct bough_branch_options lost = {.variable = "a branch from before the fork"};
    if (bough_branch_end(branch) == ESRCH && bo_branches_lost)
        bo_ending_not_opened(&lost, ENOMEM);
}

/* The end of the block form keeps errno as the block has set it (rule 18). */
void bough_leave_(bough_branch **branch)
{
    int saved = errno;
    if (*branch)
        leave_block(*branch);
    errno = saved;
}

/* The end of a block that a C++ exception leaves. The exception is the body's failure, unless the body leaves because
 * it was interrupted (rules 23, 28). */
void bough_leave_by_exception_(bough_branch **branch, const char *file, int line, const char *function)
{
    int saved = errno;
    if (*branch) {
        bo_failure_thrown(*branch, file, line, function);
        leave_block(*branch);
    }
    errno = saved;
}

int bo_branch_at_end(bough_branch *branch, void (*fn)(void *), void *argument)
{
    struct bo_branch *b = bo_branch_of_handle(branch);
    if (!b)
        return -1;
    if (!bo_self || bo_load_relaxed(&b->owner) != bo_self->t.index)
        return errno = EPERM, -1;
    struct bo_at_end *hook = malloc(sizeof *hook);
    if (!hook)
        return errno = ENOMEM, -1;
    *hook = (struct bo_at_end){.next = b->state->at_end, .fn = fn, .argument = argument};
    b->state->at_end = hook;
    return 0;
}

/* Any thread may call this: the pin keeps the branch, and so its state, from being freed. */
int bough_branch_tally(const bough_branch *branch, struct bough_tally *tally)
{
    struct bo_branch *b = tally ? bo_branch_of_handle(branch) : (errno = EINVAL, NULL);
    if (!b)
        return -1;
    if (b->t.index == BO_ROOT)
        return errno = EINVAL, -1; /* the root has no tally */
    uint32_t generation = bo_handle_generation((uint64_t)(uintptr_t)branch);
    bo_busy_begin(); /* no freeze here: the end of the branch waits for the pin */
    bo_add_seq(&b->t.pins, 1);
    BO_HOOK(tally_pinned);
    bool there = bo_target_is(&b->t, generation);
    if (there) {
        bo_lock(&b->state->lock);
        *tally = b->state->tally;
        bo_unlock(&b->state->lock);
    }
    bo_unpin(&b->t, generation);
    bo_busy_end();
    return there ? 0 : (errno = ESRCH, -1);
}

/* ---- threads that end, processes that fork and end ------------------------------------------------------ */

static void report_tree(const struct bo_thread *t, const bough_error *tree)
{
    unsigned depth = 0;
    for (const bough_error *e = tree; e; e = bo_failure_next(tree, e, &depth))
        bo_report("thread %d (%s) ended with %s: %s: %s%s%s; ask for bough_last_result() after each branch",
                  (int)bo_load_relaxed(&t->tid), t->t.name, e == tree ? "an unread failure" : "another, attached to it",
                  e->who, strerror(e->code), *e->message ? ": " : "", e->message);
}

static void report_unread(const struct bo_thread *t)
{
    struct bo_failure *f = bo_ending_unread();
    if (!f)
        return;
    report_tree(t, &f->face);
    bo_failure_free(f);
}

void bo_branches_end(struct bo_thread *t)
{
    bo_branch_end_forgotten(t, BO_NONE, "the end of its thread");
    report_unread(t);
    bo_ending_drop();
}

/* The main thread ends by exit(), which does not run the destructors of its keys. */
__attribute__((destructor)) static void at_exit(void)
{
    if (bo_self)
        report_unread(bo_self);
}

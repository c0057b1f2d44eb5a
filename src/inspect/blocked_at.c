/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "inspect/blocked_at.h"
#include <errno.h>
#include <string.h>
#include "state/clock.h"
#include "state/safe_read.h"
#include "thread/level.h"
#include "thread/stranger.h"

/* ---- regions -------------------------------------------------------------------------------------- */

BO_BARE static void read_note(const struct bo_thread *t, uint32_t depth, struct bo_region_note *note)
{
    const volatile __typeof__(t->region[0]) *from = &t->region[depth];
    *note = (struct bo_region_note){.kind = from->kind, .line = from->line, .since = from->since, .file = from->file};
}

static bool same_note(const struct bo_region_note *a, const struct bo_region_note *b)
{
    return a->kind == b->kind && a->line == b->line && a->since == b->since && a->file == b->file;
}

/* The owner may be writing the note. A copy is consistent if two reads are equal and the region is open (its depth is
 * below the thread's) before and after. */
bool bo_region_note(const struct bo_thread *t, uint32_t depth, struct bo_region_note *note)
{
    struct bo_region_note again;
    if (depth >= BO_REGIONS || depth >= bo_load_acquire(&t->depth))
        return false;
    read_note(t, depth, note);
    read_note(t, depth, &again);
    return same_note(note, &again) && depth < bo_load_acquire(&t->depth);
}

const char *bo_region_name(int kind)
{
    switch (kind) {
    case BO_CRITICAL:
        return "critical section";
    case BO_ALLOWED:
        return "allow region";
    case BO_CLEANUP:
        return "cleanup region";
    case BO_ASYNC_REGION:
        return "asynchronous region";
    case BO_CLOSABLE_REGION:
        return "closable region";
    case BO_HANDLER_REGION:
        return "region with a handler";
    case BO_FOREIGN_REGION:
        return "foreign region";
    default:
        return "region";
    }
}

/* Returns the last two parts of a path, because a line has other contents, too. */
static const char *short_name(const char *path)
{
    const char *last = strrchr(path, '/');
    while (last && last > path && last[-1] != '/')
        last--;
    return last && last > path ? last : path;
}

void bo_put_place(struct bo_out *o, const char *file, int line)
{
    char path[256];
    bo_put_name(o, short_name(bo_peek_text(path, sizeof path, file)));
    bo_put(o, ":%d", line);
}

/* Finds the innermost region that delays an interrupt: the cause if a thread does not stop. */
static bool find_keeper(const struct bo_thread *t, struct bo_region_note *note)
{
    uint32_t depth = bo_load_acquire(&t->depth);
    for (uint32_t i = depth < BO_REGIONS ? depth : BO_REGIONS; i-- > 0;)
        if (bo_region_note(t, i, note) && (note->kind == BO_CRITICAL || note->kind == BO_CLEANUP))
            return true;
    return false;
}

static void put_keeper(struct bo_out *o, const struct bo_thread *t, uint64_t w)
{
    struct bo_region_note note;
    if (!find_keeper(t, &note))
        return;
    bo_put(o, "in the %s at ", bo_region_name(note.kind));
    bo_put_place(o, note.file, note.line);
    bo_put(o, " for ");
    bo_put_span(o, bo_now() - note.since);
    bo_put(o, "%s, ", note.kind == BO_CRITICAL && (w & BO_OVERRUN) ? " (budget used up)" : "");
}

/* ---- pending records --------------------------------------------------------------------------- */

/* Returns when the target's oldest record was posted for which no point of the thread has failed; `earliest` if there
 * is no older record. */
static int64_t unmet(const struct bo_thread *t, const struct bo_target *target, int64_t earliest)
{
    for (uint32_t due = bo_load_seq(&target->due); due; due &= due - 1) {
        int kind = __builtin_ctz(due);
        if (kind >= BO_KIND_COUNT)
            break;
        const struct bo_record *r = bo_record_of(target, (enum bough_kind)kind);
        int64_t since = bo_load_relaxed(&r->since);
        if (bo_record_stands(r) && bo_load_relaxed(&r->seq) > bo_load_relaxed(&t->incident.delivered_seq) &&
            since < earliest)
            earliest = since;
    }
    return earliest;
}

/* As unmet(), over the thread's chain; BO_FOREVER: there is no such record. The number of steps is limited because
 * slots may change during the walk. */
static int64_t asked_since(const struct bo_thread *t)
{
    int64_t since = unmet(t, &t->t, BO_FOREVER);
    uint32_t index = bo_load_relaxed(&t->top);
    if (index == BO_NONE)
        index = bo_load_relaxed(&t->parent);
    for (int steps = 0; index != BO_NONE && index < BO_BRANCHES && steps < 1000; steps++) {
        const struct bo_branch *b = bo_branch_at(index);
        uint32_t owner = bo_load_relaxed(&b->owner);
        since = unmet(t, &b->t, since);
        if (owner != BO_NONE && owner < BO_THREADS)
            since = unmet(t, &bo_thread_at(owner)->t, since);
        index = bo_load_relaxed(&b->outer);
    }
    return since;
}

static void put_unmet(struct bo_out *o, const struct bo_thread *t, uint64_t w)
{
    int64_t since = w & BO_PENDING ? asked_since(t) : BO_FOREVER;
    if (since == BO_FOREVER)
        return;
    bo_put(o, " (no interruption point met since it was asked, ");
    bo_put_span(o, bo_now() - since);
    bo_put(o, " ago)");
}

/* ---- the thread's activity ----------------------------------------------------------------------------------- */

static const struct bo_branch *joining(const struct bo_thread *t)
{
    uint32_t top = bo_load_relaxed(&t->top);
    const struct bo_branch *b = top != BO_NONE && top < BO_BRANCHES ? bo_branch_at(top) : NULL;
    return b && bo_load_relaxed(&b->waiters) && bo_load_relaxed(&b->live) ? b : NULL;
}

static void put_joining(struct bo_out *o, const struct bo_branch *b)
{
    char name[BO_NAME];
    bo_put(o, "waits for its children in branch ");
    bo_put_name(o, bo_name_of(&b->t, name));
    bo_put(o, " (%u left)", bo_load_relaxed(&b->live));
}

/* A join, which is never interrupted: the cause is the thread that does not end. */
static void put_join(struct bo_out *o, pid_t tid)
{
    struct bo_task task;
    bo_task_look(&task, tid);
    bo_put(o, "in foreign code: joins thread %d", (int)tid);
    if (task.name[0]) {
        bo_put(o, " (");
        bo_put_name(o, task.name);
        bo_put(o, ")");
    }
    bo_put(o, ", and a join is never interrupted");
}

static void put_blocked(struct bo_out *o, const struct bo_thread *t, uint64_t w, const struct bo_task *task)
{
    const struct bo_branch *b = w & BO_IN ? NULL : joining(t);
    pid_t joined = bo_load_relaxed(&t->join.thread);
    if (b) {
        put_joining(o, b);
    } else if (joined) {
        put_join(o, joined);
    } else if (task->nr >= 0) {
        bo_put(o, w & BO_IN ? "in " : "in foreign code: ");
        bo_put_call(o, task);
    } else {
        bo_put(o, "in the kernel, outside of any call");
    }
    if (task->state == 'D')
        bo_put(o, ", uninterruptibly%s%s", task->wchan[0] ? " in " : "", task->wchan);
    put_unmet(o, t, w);
}

static void put_activity(struct bo_out *o, const struct bo_thread *t, uint64_t w, const struct bo_task *task)
{
    if (bo_load_relaxed(&t->tid) == 0) {
        bo_put(o, "about to start");
    } else if (bo_load_relaxed(&t->join.branch) == BO_ROOT) {
        bo_put(o, "at its exit, where it waits for the other threads");
    } else if (bo_stands_still(t)) {
        bo_put(o, "frozen by rung 4");
    } else if (task->state == '?' || task->state == 'Z' || task->state == 'X') {
        bo_put(o, "not visible in /proc: it has ended, or /proc belongs to another PID namespace");
    } else if (task->state == 'T' || task->state == 't') {
        bo_put(o, "stopped%s", task->state == 't' ? " by a debugger" : "");
    } else if (task->blocked) {
        put_blocked(o, t, w, task);
    } else {
        bo_put(o, w & BO_IN ? "running, in a call" : "running");
        put_unmet(o, t, w);
    }
}

/* ---- how it was interrupted ------------------------------------------------------------------------------ */

static void put_error(struct bo_out *o, int error)
{
    if (error == EINTR || error == ECANCELED)
        bo_put(o, "%s", error == EINTR ? "EINTR" : "ECANCELED");
    else
        bo_put(o, "error %d", error);
}

static void put_caller(struct bo_out *o, const char *object)
{
    char path[256], *slash;
    if (!object)
        return;
    bo_peek_text(path, sizeof path, object);
    slash = strrchr(path, '/');
    bo_put(o, " called by ");
    bo_put_name(o, *path ? slash ? slash + 1 : path : "the program");
}

/* How the last interrupted call of foreign code ended, as long as an interrupt is pending. */
static void put_outcome(struct bo_out *o, const struct bo_thread *t, uint64_t w)
{
    int64_t at = bo_load_relaxed(&t->outcome.at);
    const char *call = bo_load_relaxed(&t->outcome.call);
    uint8_t last = bo_load_relaxed(&t->outcome.last);
    if (!at || !call || !(w & BO_PENDING))
        return;
    bo_put(o, "; %s()", call);
    put_caller(o, bo_load_relaxed(&t->outcome.object));
    bo_put(o, last == BO_ENDED_SILENTLY ? " ended early"
              : last == BO_RETRIED      ? " failed with EINTR, then with "
                                        : " failed with ");
    if (last != BO_ENDED_SILENTLY)
        put_error(o, bo_load_relaxed(&t->outcome.error));
    bo_put(o, " ");
    bo_put_span(o, bo_now() - at);
    bo_put(o, " ago%s",
           last == BO_TOOK_NO_OTHER    ? " and was called again: its caller takes no other error"
           : last == BO_IGNORED_POLL   ? ", after its caller had ignored the failure of a poll()"
           : last == BO_ENDED_SILENTLY ? ", which its caller ignores"
                                       : "");
}

/* The wake has found that a handler of the program had interrupted the call, or the stack pointer is outside the
 * thread's stack. */
BO_BARE static bool in_handler(const struct bo_thread *t, const struct bo_task *task)
{
    uintptr_t high = t->stack.high;
    return bo_load_relaxed(&t->call.below_handler) ||
           (task->blocked && high && (task->sp < t->stack.low || task->sp >= high));
}

void bo_put_where(struct bo_out *o, const struct bo_thread *t, const struct bo_task *task)
{
    uint64_t w = bo_load_seq(&t->t.word);
    put_keeper(o, t, w);
    put_activity(o, t, w, task);
    if (in_handler(t, task))
        bo_put(o, ", in a signal handler");
    if (bo_is_strange(w))
        bo_put(o, "; it has not used bough");
    put_outcome(o, t, w);
}

size_t bo_where(const struct bo_thread *t, uint32_t generation, char *text, size_t size)
{
    struct bo_out o;
    struct bo_task task;
    bo_out_memory(&o, text, size);
    if (!size || !bo_target_is(&t->t, generation))
        return 0;
    bo_task_look(&task, bo_load_relaxed(&t->tid));
    bo_put_where(&o, t, &task);
    if (!bo_target_is(&t->t, generation)) /* it ended meanwhile: the text may describe the slot's next user */
        bo_out_memory(&o, text, size);
    return o.used;
}

/* SPDX-License-Identifier: MIT */
/* The events of one chunk. Nothing in the chunk is trusted: times, handles, numbers and texts may be arbitrary. */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "state/arena.h"
#include "thread/level.h"
#include "trace/argument.h"
#include "trace/build.h"
#include "view.h"

enum { TEXT_IN_UNIT = 24 };

/* The process and thread of the chunk's events. `thread` TRACE_NONE: a thread without a slot, which is added to the
 * model only if it has an event (thread_here()). */
struct place {
    const struct chunk_copy *copy;
    uint32_t process;
    int process_index, thread;
};

/* A unit, taken apart. */
struct unit {
    unsigned type, more, extra, number;
    int64_t at;
    uint64_t a, b;
    const char *text, *other; /* at most BO_TRACE_MORE units, each text ended by a 0 byte */
    size_t length;            /* of both, with the 0 bytes that end them */
};

/* ---- times and texts --------------------------------------------------------------------------------------------- */

static int64_t sane(const struct builder *b, int64_t at)
{
    const int64_t most = INT64_MAX / 2;
    return at < b->chunks.head.begun ? b->chunks.head.begun : at > most ? most : at;
}

static int64_t end_of(int64_t at, uint64_t duration)
{
    const uint64_t most = INT64_MAX / 2;
    return at + (int64_t)(duration < most ? duration : most);
}

static void take_apart(const struct chunk_copy *c, unsigned i, struct unit *u, char *text)
{
    const struct bo_trace_unit *from = &c->chunk->unit[i];
    uint64_t first = bo_load_relaxed(&from->field[0]);
    *u = (struct unit){
        .type = first & 255,
        .more = (first >> 8) & 15,
        .extra = (first >> 12) & 15,
        .number = (first >> 16) & 0xffff,
        .at = (int64_t)bo_load_relaxed(&from->field[1]),
        .a = bo_load_relaxed(&from->field[2]),
        .b = bo_load_relaxed(&from->field[3]),
    };
    size_t length = 0;
    for (unsigned k = 1; k <= u->more && i + k < BO_TRACE_UNITS && chunks_has(c, i + k); k++) {
        if ((bo_load_relaxed(&from[k].field[0]) & 255) != BO_TRACE_TEXT)
            break;
        memcpy(text + length, (const char *)&from[k] + 8, TEXT_IN_UNIT);
        length += TEXT_IN_UNIT;
    }
    text[length] = text[length + 1] = '\0';
    u->length = length;
    u->text = text;
    u->other = text + strlen(text) + (strlen(text) < length);
}

static const char *kept(struct builder *b, const char *text)
{
    return build_text(b, text, strlen(text));
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static const char *const syscall_names[] = {
#include "inspect/syscalls.inc"
};

static const char *call_name(struct builder *b, unsigned number)
{
    static const char *const waits[] = {"pthread_join",    "pthread_cond_wait", "sem_wait",   "aio_suspend",
                                        "end of a branch", "getaddrinfo",       "getnameinfo"};
    _Static_assert(sizeof waits / sizeof *waits == BO_TRACE_WAITS - BO_TRACE_LIBC, "each wait has a name");
    if (number >= BO_TRACE_LIBC && number < BO_TRACE_WAITS)
        return waits[number - BO_TRACE_LIBC];
    if (number < sizeof syscall_names / sizeof *syscall_names && syscall_names[number])
        return syscall_names[number];
    return build_format(b, "call %u", number);
}

static const char *error_text(struct builder *b, uint64_t error)
{
    const char *text = error <= 4095 ? strerror((int)error) : "unknown error";
    return kept(b, text);
}

static const char *branch_outcome(struct builder *b, const struct unit *u)
{
    if (u->b == 0)
        return u->number ? "interrupted" : "ok";
    return u->b == ETIMEDOUT ? "timeout" : u->b == ECANCELED ? "interrupted" : error_text(b, u->b);
}

static const char *how_closed(unsigned how)
{
    return how == BOUGH_POST_CLEARED ? "cleared" : how == BOUGH_POST_LOST ? "lost" : "ended";
}

static int thread_here(struct builder *b, struct place *p)
{
    const struct bo_trace_chunk *c = p->copy->chunk;
    if (p->thread == TRACE_NONE)
        p->thread = build_thread(b, p->process, 0, bo_load_relaxed(&c->tid), build_text(b, c->name, sizeof c->name));
    return p->thread;
}

/* ---- threads, branches, processes -------------------------------------------------------------------------------- */

static void begin_thread(struct builder *b, struct place *p, const struct unit *u)
{
    bool known = u->extra & 1;
    pid_t tid = known ? (pid_t)(u->at & 0x7fffffff) : bo_load_relaxed(&p->copy->chunk->tid);
    int i = handle_is_branch(u->a) || !u->a ? TRACE_NONE : build_thread(b, p->process, u->a, tid, kept(b, u->text));
    if (i == TRACE_NONE)
        return;
    b->trace->threads[i].begun = known ? b->chunks.head.begun : sane(b, u->at);
    if (u->b && !handle_is_root(u->b)) {
        int branch = build_branch(b, p->process, u->b, kept(b, u->other));
        b->trace->threads[i].branch = branch;
    }
    if (!known)
        p->thread = i;
}

static void begin_branch(struct builder *b, struct place *p, const struct unit *u)
{
    int i = build_branch(b, p->process, u->a, kept(b, u->text));
    int outer = u->b && !handle_is_root(u->b) && u->b != u->a ? build_branch(b, p->process, u->b, "") : TRACE_NONE;
    if (i == TRACE_NONE)
        return;
    bool known = u->extra & 1;
    uint64_t by = (uint64_t)u->at;
    int owner =
        known ? (by && !handle_is_branch(by) ? build_thread(b, p->process, by, 0, "") : TRACE_NONE) : thread_here(b, p);
    struct trace_branch *branch = &b->trace->branches[i];
    branch->begun = known ? b->chunks.head.begun : sane(b, u->at);
    branch->outer = outer;
    branch->owner = owner;
}

static void end_branch(struct builder *b, struct place *p, const struct unit *u)
{
    int i = build_branch(b, p->process, u->a, "");
    if (i == TRACE_NONE)
        return;
    struct trace_branch *branch = &b->trace->branches[i];
    branch->ended = sane(b, u->at);
    branch->outcome = branch_outcome(b, u);
    if (branch->owner == TRACE_NONE)
        branch->owner = thread_here(b, p);
}

static void begin_process(struct builder *b, const struct place *p, const struct unit *u)
{
    struct trace_process *process = &b->trace->processes[p->process_index];
    process->begun = sane(b, u->at);
    process->command = kept(b, u->text);
    if (u->a && u->a != p->process && u->a <= UINT32_MAX) {
        int parent = build_process(b, (uint32_t)u->a, 0);
        b->trace->processes[p->process_index].parent = parent; /* the array may have moved */
    }
}

static void name_thread(struct builder *b, const struct place *p, const struct unit *u)
{
    int i = handle_is_branch(u->a) || !u->a ? TRACE_NONE : build_thread(b, p->process, u->a, 0, "");
    if (i != TRACE_NONE)
        b->trace->threads[i].name = kept(b, u->text);
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static struct trace_event *add_event(struct builder *b, struct place *p, enum trace_what what, int64_t at,
                                     int64_t until)
{
    struct trace_event *e = build_event(b, what, at, until);
    if (e) {
        e->process = p->process_index;
        e->thread = thread_here(b, p);
    }
    return e;
}

static void aim(struct builder *b, const struct place *p, int event, uint64_t handle)
{
    int thread = handle && !handle_is_branch(handle) ? build_thread(b, p->process, handle, 0, "") : TRACE_NONE;
    int branch =
        handle_is_branch(handle) && !handle_is_root(handle) ? build_branch(b, p->process, handle, "") : TRACE_NONE;
    b->trace->events[event].target_thread = thread;
    b->trace->events[event].target_branch = branch;
}

static void add_interrupt(struct builder *b, struct place *p, const struct unit *u, enum trace_what what)
{
    int64_t at = sane(b, u->at);
    struct trace_event *e = add_event(b, p, what, at, at);
    if (!e)
        return;
    e->serial = (uint32_t)u->b;
    e->kind = bo_kind_name(u->number);
    e->text = what == TRACE_OVER ? how_closed(u->extra) : what == TRACE_RUNG ? kept(b, u->text) : e->kind;
    e->detail = what == TRACE_POSTED ? kept(b, u->text) : what == TRACE_RUNG ? kept(b, u->other) : "";
    e->rung = what == TRACE_OVER || u->extra >= BO_RUNGS ? 0 : (int)u->extra;
    aim(b, p, b->trace->n_events - 1, u->a);
}

static void add_failure(struct builder *b, struct place *p, const struct unit *u)
{
    int64_t at = sane(b, u->at);
    struct trace_event *e = add_event(b, p, TRACE_FAILURE, at, at);
    if (!e)
        return;
    e->text = error_text(b, u->b);
    e->detail = kept(b, u->text);
    aim(b, p, b->trace->n_events - 1, u->a);
}

static void add_call(struct builder *b, struct place *p, const struct argument *argument, int64_t at, int64_t until)
{
    struct trace_event *e = add_event(b, p, TRACE_CALL, at, until);
    if (!e)
        return;
    e->text = call_name(b, argument->call);
    e->detail = argument_text(b, argument);
}

static void add_call_over(struct builder *b, struct place *p, const struct unit *u, int64_t at)
{
    struct argument argument = {u->number, u->extra, u->b, u->text, u->length, p->process};
    add_call(b, p, &argument, at, end_of(at, u->a));
}

static void add_section(struct builder *b, struct place *p, unsigned kind, const char *file, uint64_t line, int64_t at,
                        int64_t until)
{
    struct trace_event *e = add_event(b, p, TRACE_SECTION, at, until);
    if (!e)
        return;
    e->text = region_name((int)kind);
    if (*file && (int32_t)line > 0)
        e->detail = build_format(b, "%s:%" PRId32, kept(b, file), (int32_t)line);
    else
        e->detail = kept(b, file);
}

static void add_unit(struct builder *b, struct place *p, const struct unit *u)
{
    int64_t at = sane(b, u->at);
    switch (u->type) {
    case BO_TRACE_PROCESS_BEGIN:
        begin_process(b, p, u);
        break;
    case BO_TRACE_PROCESS_END:
        b->trace->processes[p->process_index].ended = at;
        break;
    case BO_TRACE_THREAD_BEGIN:
        begin_thread(b, p, u);
        break;
    case BO_TRACE_THREAD_NAME:
        name_thread(b, p, u);
        break;
    case BO_TRACE_THREAD_END:
        if (p->thread != TRACE_NONE)
            b->trace->threads[p->thread].ended = at;
        p->thread = TRACE_NONE;
        return;
    case BO_TRACE_BRANCH_BEGIN:
        begin_branch(b, p, u);
        break;
    case BO_TRACE_BRANCH_END:
        end_branch(b, p, u);
        break;
    case BO_TRACE_CALL_OVER:
        add_call_over(b, p, u, at);
        break;
    case BO_TRACE_REGION:
        add_section(b, p, u->number, u->text, u->b, at, end_of(at, u->a));
        break;
    case BO_TRACE_LOCK_WAIT:
        add_event(b, p, TRACE_GIL, at, end_of(at, u->a));
        break;
    case BO_TRACE_POST:
        add_interrupt(b, p, u, TRACE_POSTED);
        break;
    case BO_TRACE_DELIVERY:
        add_interrupt(b, p, u, TRACE_DELIVERED);
        break;
    case BO_TRACE_CLOSE:
        add_interrupt(b, p, u, TRACE_OVER);
        break;
    case BO_TRACE_CLIMB:
        add_interrupt(b, p, u, TRACE_RUNG);
        break;
    case BO_TRACE_FAIL:
        add_failure(b, p, u);
        break;
    default: /* an event of a later version, or a damaged one */
        break;
    }
    bool has_time = (u->type != BO_TRACE_THREAD_BEGIN && u->type != BO_TRACE_BRANCH_BEGIN) || !(u->extra & 1);
    if (has_time && p->thread != TRACE_NONE && b->trace->threads[p->thread].begun > at)
        b->trace->threads[p->thread].begun = at;
}

static void add_open_call(struct builder *b, struct place *p)
{
    const struct bo_trace_chunk *c = p->copy->chunk;
    uint64_t what = bo_load_relaxed(&c->call.what), length = what >> 20;
    const struct argument argument = {
        .call = (unsigned)(what >> 4) & 0xffff,
        .kind = (unsigned)what & 15,
        .value = bo_load_relaxed(&c->call.argument),
        .text = c->call_text,
        .length = length < BO_TRACE_CALL_TEXT ? (size_t)length : BO_TRACE_CALL_TEXT,
        .process = p->process,
    };
    add_call(b, p, &argument, sane(b, bo_load_relaxed(&c->call.since)), TRACE_OPEN);
}

static void add_open_region(struct builder *b, struct place *p, const struct bo_trace_open_region *r)
{
    uint32_t what = bo_load_relaxed(&r->what);
    char file[BO_TRACE_FILE + 1] = "";
    memcpy(file, r->file, BO_TRACE_FILE);
    add_section(b, p, what & 255, file, what >> 8, sane(b, bo_load_relaxed(&r->since)), TRACE_OPEN);
}

/* The call and the regions that the thread was in when the recording, or the process, ended. */
static void add_open(struct builder *b, struct place *p)
{
    const struct bo_trace_chunk *c = p->copy->chunk;
    if (bo_load_relaxed(&c->call.since))
        add_open_call(b, p);
    for (int i = 0; i < BO_TRACE_REGIONS; i++)
        if (bo_load_relaxed(&c->region[i].since))
            add_open_region(b, p, &c->region[i]);
}

static void begin_place(struct builder *b, struct place *p)
{
    const struct bo_trace_chunk *c = p->copy->chunk;
    pid_t tid = bo_load_relaxed(&c->tid);
    p->process = bo_load_relaxed(&c->process);
    p->process_index = build_process(b, p->process, bo_load_relaxed(&c->pid));
    if (p->process_index == TRACE_NONE)
        return;
    if (c->thread && !handle_is_branch(c->thread))
        p->thread = build_thread(b, p->process, c->thread, tid, build_text(b, c->name, sizeof c->name));
    if (p->thread == TRACE_NONE || !c->branch || !handle_is_branch(c->branch) || handle_is_root(c->branch))
        return;
    int branch = build_branch(b, p->process, c->branch, build_text(b, c->branch_name, sizeof c->branch_name));
    b->trace->threads[p->thread].branch = branch;
}

void build_from_chunk(struct builder *b, const struct chunk_copy *c)
{
    struct place p = {.copy = c, .process_index = TRACE_NONE, .thread = TRACE_NONE};
    char text[BO_TRACE_MORE * TEXT_IN_UNIT + 2];
    begin_place(b, &p);
    for (unsigned i = 0; i < BO_TRACE_UNITS && p.process_index != TRACE_NONE && !b->failed; i++) {
        struct unit u;
        if (!chunks_has(c, i))
            continue;
        take_apart(c, i, &u, text);
        if (u.type != BO_TRACE_TEXT)
            add_unit(b, &p, &u);
    }
    if (p.process_index != TRACE_NONE && !b->failed && c->in_use)
        add_open(b, &p);
}

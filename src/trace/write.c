/* SPDX-License-Identifier: MIT */
/* Writing events, on the thread to which they belong. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include "base/hook.h"
#include "base/plain.h"
#include "trace/chunk.h"
#include "trace/recorder.h"

enum { TEXT_IN_UNIT = 24, TEXT_MOST = BO_TRACE_MORE * TEXT_IN_UNIT };

/* `depth`: how many events the thread is writing; more than one in a signal handler. */
struct writer {
    uint32_t depth;
    struct bo_trace_level level[BO_TRACE_LEVELS];
};
static BO_TLS struct writer writer;

/* ---- one event --------------------------------------------------------------------------------------------------- */

/* Begins an event: until writer_leave() a signal handler uses the next level. NULL: there is no room. */
static struct bo_trace_level *writer_enter(unsigned units)
{
    uint32_t depth = writer.depth;
    if (depth >= BO_TRACE_LEVELS) {
        bo_trace_lose(1);
        return NULL;
    }
    writer.depth = depth + 1;
    bo_signal_fence();
    struct bo_trace_level *l = &writer.level[depth];
    if (bo_likely(bo_trace_room(l, units)))
        return l;
    bo_trace_lose(units != 0);
    bo_signal_fence();
    writer.depth = depth;
    return NULL;
}

static void writer_leave(const struct bo_trace_level *l)
{
    bo_signal_fence();
    writer.depth = (uint32_t)(l - writer.level);
}

static void put_unit(struct bo_trace_unit *u, uint64_t first, uint64_t a, uint64_t b, uint64_t c)
{
    bo_store_relaxed(&u->field[1], a);
    bo_store_relaxed(&u->field[2], b);
    bo_store_relaxed(&u->field[3], c);
    bo_store_release(&u->field[0], first); /* a reader that sees this field sees the other fields */
}

static void put_text_unit(struct bo_trace_unit *u, uint32_t lap, const char *text)
{
    uint64_t field[3];
    memcpy(field, text, sizeof field);
    put_unit(u, bo_trace_first(lap, BO_TRACE_TEXT, 0, 0, 0), field[0], field[1], field[2]);
}

struct event {
    enum bo_trace_type type;
    unsigned number, extra;
    int64_t at;
    uint64_t a, b;
};

static void put_event(struct bo_trace_level *l, const struct event *e, const char *text, unsigned units)
{
    struct bo_trace_unit *u = &l->chunk->unit[l->used];
    l->used += 1 + units;
    l->events++;
    /* The text is stored first, so that a reader that sees the event sees its text. */
    for (unsigned i = 0; i < units; i++)
        put_text_unit(u + 1 + i, l->lap, text + (size_t)i * TEXT_IN_UNIT);
    if (units)
        BO_HOOK(event_half);
    put_unit(u, bo_trace_first(l->lap, e->type, units, e->extra, e->number), (uint64_t)e->at, e->a, e->b);
}

static void put_plain(const struct event *e)
{
    struct bo_trace_level *l = writer_enter(1);
    if (!l)
        return;
    put_event(l, e, NULL, 0);
    writer_leave(l);
}

static unsigned units_of(size_t length)
{
    return (unsigned)((length + TEXT_IN_UNIT - 1) / TEXT_IN_UNIT);
}

static bool leaves_arguments_out(const struct bo_trace_level *l)
{
    return l->of->flags & BO_TRACE_WITHOUT_ARGUMENTS;
}

/* Up to two texts, each ended by a 0 byte. `argument`: the text that is omitted if the recording has no arguments. */
struct texts {
    const char *text, *other;
    enum { NO_ARGUMENT, TEXT_IS_ARGUMENT, OTHER_IS_ARGUMENT } argument;
};

/* Returns the length of both texts. */
static size_t join_texts(char both[TEXT_MOST], const char *text, const char *other)
{
    size_t length = text ? bo_cut(text, TEXT_MOST - 2) : 0;
    size_t second = other ? bo_cut(other, TEXT_MOST - length - 2) : 0;
    if (length)
        memcpy(both, text, length);
    if (second) {
        both[length] = '\0';
        memcpy(both + length + 1, other, second);
        length += 1 + second;
    }
    memset(both + length, '\0', (size_t)units_of(length) * TEXT_IN_UNIT - length);
    return length;
}

static void put_texts(const struct event *e, const struct texts *t)
{
    char both[TEXT_MOST];
    size_t length = join_texts(both, t->text, t->other);
    struct bo_trace_level *l = writer_enter(1 + units_of(length));
    if (!l)
        return;
    if (t->argument && leaves_arguments_out(l))
        length = join_texts(both, t->argument == TEXT_IS_ARGUMENT ? NULL : t->text,
                            t->argument == OTHER_IS_ARGUMENT ? NULL : t->other);
    put_event(l, e, both, units_of(length));
    writer_leave(l);
}

/* ---- processes
 * --------------------------------------------------------------------------------------------------------- */

void bo_trace_process_begin(uint32_t parent)
{
    put_texts(&(struct event){BO_TRACE_PROCESS_BEGIN, 0, 0, bo_clock(), parent, 0},
              &(struct texts){.text = program_invocation_short_name});
}

void bo_trace_process_end(void)
{
    put_plain(&(struct event){BO_TRACE_PROCESS_END, 0, 0, bo_clock(), 0, 0});
}

void bo_trace_writer_forked(void)
{
    memset(&writer.level, 0, sizeof writer.level);
}

/* ---- threads and branches ------------------------------------------------------------------------------------------
 * */

/* If the thread began before the recording, the event has the thread's id in place of the time. */
void bo_trace_thread_begin(const struct bo_trace_thread *t, bool known)
{
    char comm[16] = "";
    if (!bo_tracing())
        return;
    if (!*t->name && !known && !t->branch)
        prctl(PR_GET_NAME, comm);
    put_texts(&(struct event){BO_TRACE_THREAD_BEGIN, 0, known, known ? t->tid : bo_clock(), t->handle, t->branch},
              &(struct texts){.text = *t->name ? t->name : comm, .other = t->branch_name});
}

void bo_trace_thread_name(uint64_t thread, const char *name)
{
    if (bo_tracing())
        put_texts(&(struct event){BO_TRACE_THREAD_NAME, 0, 0, bo_clock(), thread, 0}, &(struct texts){.text = name});
}

void bo_trace_thread_end(uint64_t thread, unsigned outcome, int error)
{
    if (bo_tracing())
        put_plain(&(struct event){BO_TRACE_THREAD_END, outcome, 0, bo_clock(), thread, (uint64_t)error});
}

void bo_trace_branch_begin(uint64_t branch, uint64_t outer, uint64_t owner, const char *name)
{
    if (bo_tracing())
        put_texts(
            &(struct event){BO_TRACE_BRANCH_BEGIN, 0, owner != 0, owner ? (int64_t)owner : bo_clock(), branch, outer},
            &(struct texts){.text = name});
}

void bo_trace_branch_end(uint64_t branch, int error, bool interrupted)
{
    if (bo_tracing())
        put_plain(&(struct event){BO_TRACE_BRANCH_END, interrupted, 0, bo_clock(), branch, (uint64_t)error});
}

void bo_trace_thread_gone(void)
{
    for (int i = 0; i < BO_TRACE_LEVELS; i++)
        bo_trace_give_back(&writer.level[i]);
}

/* ---- regions
 * --------------------------------------------------------------------------------------------------------- */

static const char *base_name(const char *file)
{
    const char *slash = file ? strrchr(file, '/') : NULL;
    return slash ? slash + 1 : file;
}

static void close_from(struct bo_trace_chunk *c, uint32_t depth)
{
    for (uint32_t i = depth; i < BO_TRACE_REGIONS; i++)
        if (bo_load_relaxed(&c->region[i].since))
            bo_store_relaxed(&c->region[i].since, 0);
}

static void show_region(struct bo_trace_open_region *r, unsigned kind, const char *file, int line)
{
    file = base_name(file);
    size_t length = file ? bo_cut(file, BO_TRACE_FILE) : 0;
    bo_store_release(&r->what, (uint32_t)line << 8 | kind);
    memset(r->file, '\0', BO_TRACE_FILE);
    if (length)
        memcpy(r->file, file, length);
    bo_store_release(&r->since, bo_clock());
}

/* Listed regions at this depth or further inside were left by a jump. */
void bo_trace_region_begin(unsigned kind, uint32_t depth, const char *file, int line)
{
    struct bo_trace_level *l = bo_tracing() ? writer_enter(0) : NULL;
    if (!l)
        return;
    close_from(l->chunk, depth);
    if (depth < BO_TRACE_REGIONS)
        show_region(&l->chunk->region[depth], kind, file, line);
    writer_leave(l);
}

void bo_trace_regions_left(uint32_t depth)
{
    struct bo_trace_level *l = bo_tracing() ? writer_enter(0) : NULL;
    if (!l)
        return;
    close_from(l->chunk, depth);
    writer_leave(l);
}

void bo_trace_region_end(unsigned kind, uint32_t depth, int64_t since, const char *file, int line)
{
    bo_trace_regions_left(depth);
    int64_t now = bo_clock();
    if (bo_tracing() && now - since >= bo_trace()->threshold)
        put_texts(&(struct event){BO_TRACE_REGION, kind, 0, since, (uint64_t)(now - since), (uint64_t)line},
                  &(struct texts){.text = base_name(file)});
}

/* ---- interrupts
 * ------------------------------------------------------------------------------------------------------- */

void bo_trace_post(uint64_t target, unsigned kind, uint32_t serial, int rung, const char *reason)
{
    if (bo_tracing())
        put_texts(&(struct event){BO_TRACE_POST, kind, (unsigned)rung, bo_clock(), target, serial},
                  &(struct texts){.text = reason, .argument = TEXT_IS_ARGUMENT});
}

void bo_trace_delivery(uint64_t target, unsigned kind, uint32_t serial, int rung)
{
    if (bo_tracing())
        put_plain(&(struct event){BO_TRACE_DELIVERY, kind, (unsigned)rung, bo_clock(), target, serial});
}

void bo_trace_close(uint64_t target, unsigned kind, uint32_t serial, unsigned how)
{
    if (bo_tracing())
        put_plain(&(struct event){BO_TRACE_CLOSE, kind, how, bo_clock(), target, serial});
}

void bo_trace_climb(uint64_t target, unsigned kind, uint32_t serial, int rung, const char *why, const char *place)
{
    if (bo_tracing())
        put_texts(&(struct event){BO_TRACE_CLIMB, kind, (unsigned)rung, bo_clock(), target, serial},
                  &(struct texts){why, place, OTHER_IS_ARGUMENT});
}

void bo_trace_fail(uint64_t target, int error, const char *message)
{
    if (bo_tracing())
        put_texts(&(struct event){BO_TRACE_FAIL, 0, 0, bo_clock(), target, (uint64_t)error},
                  &(struct texts){.text = message, .argument = TEXT_IS_ARGUMENT});
}

void bo_trace_lock_wait(int64_t since)
{
    int64_t now = bo_clock();
    if (bo_tracing() && now - since >= bo_trace()->threshold)
        put_plain(&(struct event){BO_TRACE_LOCK_WAIT, 0, 0, since, (uint64_t)(now - since), 0});
}

/* ---- calls
 * ------------------------------------------------------------------------------------------------------------- */

bool bo_trace_has_arguments(void)
{
    return !(bo_trace()->flags & BO_TRACE_WITHOUT_ARGUMENTS);
}

static unsigned text_length(uint64_t what)
{
    return (unsigned)(what >> 20);
}

static void show_open(struct bo_trace_open *o, int64_t since, uint64_t what, uint64_t argument)
{
    bo_store_relaxed(&o->since, 0); /* a reader does not mix two calls */
    bo_store_release(&o->what, what);
    bo_store_relaxed(&o->argument, argument);
    bo_store_release(&o->since, since);
}

/* If this call is in a signal handler, the chunk keeps the text of the outer call; this call's text is only in its
 * event. */
static void show_call(struct bo_trace_chunk *c, const struct bo_trace_call *call)
{
    const uint64_t without_text = (UINT64_C(1) << 20) - 1;
    unsigned length = text_length(call->what);
    bool has_room = !length || !call->outer_since || !text_length(call->outer_what);
    if (length && has_room) {
        bo_store_relaxed(&c->call.since, 0);
        bo_signal_fence();
        memcpy(c->call_text, call->text, length);
    }
    show_open(&c->call, call->since, has_room ? call->what : call->what & without_text, call->argument);
}

/* A look-up of a name waits for one of the library's threads by futex, and this wait is not shown. */
static bool is_part_of_a_look_up(const struct bo_trace_open *o, unsigned number)
{
    unsigned outer = (bo_load_relaxed(&o->what) >> 4) & 0xffff;
    return number == SYS_futex && bo_load_relaxed(&o->since) &&
           (outer == BO_TRACE_IN_GETADDRINFO || outer == BO_TRACE_IN_GETNAMEINFO);
}

void bo_trace_call_begin(struct bo_trace_call *call, unsigned number, const struct bo_trace_argument *argument)
{
    struct bo_trace_level *l = bo_tracing() ? writer_enter(0) : NULL;
    call->is_on = l && !is_part_of_a_look_up(&l->chunk->call, number);
    if (call->is_on) {
        const struct bo_trace_open *o = &l->chunk->call;
        bool has = !leaves_arguments_out(l);
        call->outer_since = bo_load_relaxed(&o->since);
        call->outer_what = bo_load_relaxed(&o->what);
        call->outer_argument = bo_load_relaxed(&o->argument);
        call->what = number << 4 | (has ? (uint64_t)argument->length << 20 | argument->kind : BO_TRACE_NOTHING);
        call->argument = has ? argument->value : 0;
        call->text = argument->text;
        call->since = bo_clock();
        show_call(l->chunk, call);
    }
    if (l)
        writer_leave(l);
}

static void put_call(const struct bo_trace_call *call, int64_t now)
{
    char text[BO_TRACE_CALL_TEXT + TEXT_IN_UNIT];
    unsigned length = text_length(call->what), units = units_of(length);
    struct bo_trace_level *l = writer_enter(1 + units);
    if (!l)
        return;
    struct event e = {BO_TRACE_CALL_OVER, (unsigned)(call->what >> 4) & 0xffff, BO_TRACE_NOTHING,
                      call->since,        (uint64_t)(now - call->since),        0};
    if (leaves_arguments_out(l)) { /* the call may have begun in a recording with arguments */
        units = 0;
    } else {
        e.extra = (unsigned)call->what & 15;
        e.b = call->argument;
    }
    if (units) {
        memcpy(text, call->text, length);
        memset(text + length, '\0', units * TEXT_IN_UNIT - length);
    }
    put_event(l, &e, text, units);
    writer_leave(l);
}

void bo_trace_call_end(struct bo_trace_call *call)
{
    struct bo_trace_level *l = call->is_on && bo_tracing() ? writer_enter(0) : NULL;
    if (!l)
        return;
    int64_t now = bo_clock();
    struct bo_trace_open *o = &l->chunk->call;
    if (call->outer_since && bo_load_relaxed(&o->since) == call->since)
        show_open(o, call->outer_since, call->outer_what, call->outer_argument);
    else
        bo_store_relaxed(&o->since, 0);
    writer_leave(l);
    if (now - call->since >= bo_trace()->threshold)
        put_call(call, now);
}

void bo_trace_calls_left(void)
{
    struct bo_trace_level *l = bo_tracing() ? writer_enter(0) : NULL;
    if (!l)
        return;
    bo_store_relaxed(&l->chunk->call.since, 0);
    writer_leave(l);
}

/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "trace/chunk.h"
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include "base/clock.h"
#include "base/hook.h"
#include "base/raw.h"
#include "trace/file.h"
#include "trace/recorder.h"
#include "upcalls.h"

/* The number of chunks that a thread examines before it gives up, and the time until it tries again. */
enum { MOST_LOOKS = 64 };
#define GIVES_UP_FOR BO_MS(10)

static struct bo_trace_recording none;
struct bo_trace_recording *_Atomic bo_trace_last = &none;
_Atomic uint32_t bo_trace_on;

static uint64_t claim_make(uint32_t lap, enum bo_trace_chunk_state state)
{
    return (uint64_t)lap << 32 | (uint64_t)state;
}

static uint32_t after(uint32_t lap)
{
    return lap + 1 ? lap + 1 : 1;
}

void bo_trace_lose(uint64_t events)
{
    struct bo_trace_head *head = bo_trace()->head;
    if (events && head)
        bo_add_relaxed(&head->lost, events);
}

/* ---- taking a chunk ---------------------------------------------------------------------------------------------- */

/* The events in a chunk of this lap. */
static uint64_t events_in(const struct bo_trace_chunk *c, uint32_t lap)
{
    uint64_t events = 0;
    for (unsigned i = 0; i < BO_TRACE_UNITS; i++) {
        uint64_t first = bo_load_relaxed(&c->unit[i].field[0]);
        events += first >> 32 == lap && (first & 255) != BO_TRACE_TEXT;
    }
    return events;
}

/* A thread that is not adopted, or whose process was killed, gives no chunk back. Its id is only valid in its PID
 * namespace. If another thread has got the id meanwhile, the chunk stays unused. If another thread takes the chunk
 * meanwhile and stores other ids, the claim has another lap, and the caller's step fails. */
static bool owner_is_gone(const struct bo_trace_recording *r, const struct bo_trace_chunk *c)
{
    int pid = bo_load_relaxed(&c->pid), tid = bo_load_relaxed(&c->tid);
    if (bo_load_relaxed(&c->pid_ns) != r->pid_ns || pid <= 0 || tid <= 0)
        return false;
    return bo_load_relaxed(&c->process) == r->process ? bo_raw3(SYS_tgkill, pid, tid, 0) == -ESRCH
                                                      : bo_raw2(SYS_kill, pid, 0) == -ESRCH;
}

/* Returns the chunk's new lap; 0: the chunk is in use, or another thread took it. */
static uint32_t claim_chunk(const struct bo_trace_recording *r, struct bo_trace_chunk *c)
{
    uint64_t claim = bo_load_acquire(&c->claim);
    uint32_t lap = (uint32_t)(claim >> 32);
    if ((uint32_t)claim == BO_TRACE_IN_USE && (bo_load_acquire(&c->filled) != lap || !owner_is_gone(r, c)))
        return 0;
    uint64_t lost = lap ? events_in(c, lap) : 0;
    uint32_t next = after(lap);
    if (!bo_cas_seq(&c->claim, &claim, claim_make(next, BO_TRACE_IN_USE)))
        return 0;
    bo_trace_lose(lost);
    return next;
}

/* Takes the next chunk in turn, which is the oldest. NULL: too many chunks are in use. */
static struct bo_trace_chunk *take_next_chunk(struct bo_trace_recording *r, uint32_t *lap)
{
    for (int looks = 0; looks < MOST_LOOKS; looks++) {
        uint32_t at = bo_add_relaxed(&r->head->hand, 1);
        uint32_t i = at % bo_load_relaxed(&r->chunks);
        if (i >= bo_load_relaxed(&r->room) && !bo_trace_file_grow(r, i))
            i = at % bo_load_relaxed(&r->chunks);
        if (i >= bo_load_relaxed(&r->room))
            continue;
        BO_HOOK(chunk_chosen);
        if ((*lap = claim_chunk(r, &r->chunk[i])))
            return &r->chunk[i];
    }
    return NULL;
}

/* ---- filling a chunk --------------------------------------------------------------------------------------------- */

static void put_name(char *to, const char *from)
{
    size_t n = from ? strnlen(from, BO_TRACE_NAME - 1) : 0;
    if (n)
        memcpy(to, from, n);
    memset(to + n, '\0', BO_TRACE_NAME - n);
}

static void fill_header(struct bo_trace_chunk *c, const struct bo_trace_level *l)
{
    const struct bo_trace_recording *r = l->of;
    struct bo_trace_thread me = {0};
    char comm[16] = "";
    bo_trace_identify(&me);
    bool has_name = me.handle && (*me.name || me.branch);
    if (!has_name)
        prctl(PR_GET_NAME, comm);
    bo_store_relaxed(&c->process, r->process); /* owner_is_gone() may load these at the same time */
    bo_store_relaxed(&c->pid, (int32_t)bo_raw0(SYS_getpid));
    bo_store_relaxed(&c->tid, (int32_t)bo_raw0(SYS_gettid));
    bo_store_relaxed(&c->pid_ns, r->pid_ns);
    c->ordinal = l->ordinal;
    c->before = l->events;
    c->thread = me.handle;
    c->branch = me.branch;
    put_name(c->name, has_name ? me.name : comm);
    put_name(c->branch_name, me.branch ? me.branch_name : "");
}

/* Moves the call and the regions that the thread is in to the new chunk. */
static void move_open(struct bo_trace_chunk *to, struct bo_trace_chunk *from)
{
    bo_store_relaxed(&to->call.what, bo_load_relaxed(&from->call.what));
    bo_store_relaxed(&to->call.argument, bo_load_relaxed(&from->call.argument));
    bo_store_relaxed(&to->call.since, bo_load_relaxed(&from->call.since));
    memcpy(to->call_text, from->call_text, sizeof to->call_text);
    bo_store_relaxed(&from->call.since, 0);
    for (int i = 0; i < BO_TRACE_REGIONS; i++) {
        struct bo_trace_open_region *new = &to->region[i], *old = &from->region[i];
        int64_t since = bo_load_relaxed(&old->since);
        bo_store_relaxed(&new->what, bo_load_relaxed(&old->what));
        memcpy(new->file, old->file, sizeof new->file);
        bo_store_relaxed(&new->since, since);
        bo_store_relaxed(&old->since, 0);
    }
}

/* If there is no other chunk, the thread takes its full chunk again, because the newest events are kept. */
static struct bo_trace_chunk *take_again(const struct bo_trace_level *l, uint32_t *lap)
{
    struct bo_trace_chunk *c = l->chunk;
    if (!c)
        return NULL;
    bo_trace_lose(events_in(c, l->lap));
    *lap = after(l->lap);
    bo_store_seq(&c->claim, claim_make(*lap, BO_TRACE_IN_USE));
    return c;
}

static void put_header(struct bo_trace_chunk *c, struct bo_trace_level *l, uint32_t lap)
{
    struct bo_trace_chunk *old = l->chunk;
    static struct bo_trace_chunk empty;
    fill_header(c, l);
    if (c != old)
        move_open(c, old ? old : &empty);
    bo_store_release(&c->filled, lap);
    if (old && c != old)
        bo_store_release(&old->claim, claim_make(l->lap, BO_TRACE_FULL));
}

static bool next_chunk(struct bo_trace_level *l)
{
    uint32_t lap = 0;
    if (l->retry_at && bo_clock() < l->retry_at)
        return false;
    struct bo_trace_chunk *c = take_next_chunk(l->of, &lap);
    if (!c)
        c = take_again(l, &lap);
    l->retry_at = c ? 0 : bo_clock() + GIVES_UP_FOR;
    if (!c)
        return false;
    put_header(c, l, lap);
    l->chunk = c;
    l->lap = lap;
    l->used = 0;
    l->ordinal++;
    return true;
}

bool bo_trace_room(struct bo_trace_level *l, unsigned units)
{
    uint32_t recording = bo_load_acquire(&bo_trace_on);
    if (bo_unlikely(l->recording != recording))
        *l = (struct bo_trace_level){.recording = recording, .of = bo_trace()};
    if (bo_likely(l->chunk && l->used + units <= BO_TRACE_UNITS))
        return true;
    return recording && next_chunk(l);
}

void bo_trace_give_back(struct bo_trace_level *l)
{
    uint32_t recording = bo_load_acquire(&bo_trace_on);
    if (l->chunk && l->recording == recording)
        bo_store_release(&l->chunk->claim, claim_make(l->lap, BO_TRACE_FULL));
    *l = (struct bo_trace_level){0};
}

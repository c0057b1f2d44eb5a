/* SPDX-License-Identifier: MIT */
#include "inspect/dump_records.h"
#include "base/hook.h"
#include "state/arena.h"
#include "state/clock.h"

enum { DEEPEST = 24 };

void bo_put_indent(struct bo_out *o, unsigned depth)
{
    bo_put(o, "%*s", 2 * (int)(depth < DEEPEST ? depth : DEEPEST), "");
}

struct record_note {
    char reason[BOUGH_REASON_MAX + 1];
    pid_t source;
    bool met, overdue;
    unsigned rung, ceiling, reached, count;
    int64_t since, until, cap;
};

/* Copies the fields that are not atomic. */
BO_BARE static void copy_plain_fields(struct record_note *n, const struct bo_record *r)
{
    const volatile char *from = r->reason;
    for (size_t i = 0; i < BOUGH_REASON_MAX; i++)
        n->reason[i] = from[i];
    n->reason[BOUGH_REASON_MAX] = '\0';
    n->source = r->source;
}

/* False: the record is over, or another post has overwritten fields meanwhile. The warden writes the rung after its
 * deadline, and the ceiling after its cap: they are read first. */
static bool note_record(struct record_note *n, const struct bo_record *r)
{
    uint64_t state = bo_load_seq(&r->state);
    copy_plain_fields(n, r);
    BO_HOOK(record_shown);
    n->met = bo_record_status(state) == BO_DELIVERED;
    n->rung = bo_load_seq(&r->rung);
    n->ceiling = bo_load_seq(&r->ceiling);
    n->until = bo_load_seq(&r->rung_until);
    n->cap = bo_load_seq(&r->cap_at);
    n->overdue = bo_load_relaxed(&r->overdue);
    n->reached = bo_load_relaxed(&r->delivered_rung);
    n->count = bo_record_count(r);
    n->since = bo_load_relaxed(&r->since);
    return bo_record_is_of(r, state);
}

static void put_incident(struct bo_out *o, const struct record_note *n)
{
    bo_put(o, ", rung %u", n->rung);
    if (n->ceiling)
        bo_put(o, " of %u", n->ceiling);
    if (n->until && n->until != BO_FOREVER) {
        bo_put(o, " for ");
        bo_put_span(o, n->until - bo_now());
        bo_put(o, " more");
    }
    if (n->reached > 1)
        bo_put(o, ", rung %u delivered", n->reached);
    if (n->cap && n->cap != BO_FOREVER) {
        bo_put(o, ", the end in ");
        bo_put_span(o, n->cap - bo_now());
    }
    if (n->overdue)
        bo_put(o, ", overdue");
}

static void put_record(struct bo_out *o, const struct bo_record *r, unsigned kind, unsigned depth)
{
    struct record_note n;
    if (!note_record(&n, r))
        return;
    bo_put_indent(o, depth);
    bo_put(o, "%s %s", n.met ? "met" : "pending", bo_kind_name(kind));
    if (n.reason[0]) {
        bo_put(o, " \"");
        bo_put_name(o, n.reason);
        bo_put(o, "\"");
    }
    put_incident(o, &n);
    bo_put(o, ", posted ");
    bo_put_span(o, bo_now() - n.since);
    bo_put(o, " ago by thread %d", (int)n.source);
    if (n.count > 1)
        bo_put(o, ", %u times", n.count);
    bo_put(o, "\n");
}

void bo_put_records(struct bo_out *o, const struct bo_target *target, unsigned depth)
{
    for (unsigned kind = 0; kind < BOUGH_KINDS; kind++)
        if (bo_load_seq(&target->due) >> kind & 1)
            put_record(o, bo_record_of(target, (enum bough_kind)kind), kind, depth);
}

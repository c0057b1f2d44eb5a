/* SPDX-License-Identifier: MIT */
/*
 * The Chrome trace event format, which Perfetto reads: a track for each thread, a slice for each call, an asynchronous
 * slice for each branch and incident, a flow for each interrupt that was delivered. Times are in µs since the
 * recording's start, with three digits after the point.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "json.h"
#include "picture.h"

/* The number of a thread's track is not its id, because another thread may get the same id later. */
static int64_t track_of(int thread)
{
    return thread >= 0 ? thread + 1 : 0;
}

static int64_t pid_of(const struct trace *t, int process)
{
    return process >= 0 && process < t->n_processes ? (int64_t)t->processes[process].pid : 0;
}

static void begin_event(struct json *j, const char *phase, const char *name, int64_t pid, int64_t track)
{
    json_begin(j, NULL, '{');
    json_string(j, "ph", phase);
    json_string(j, "name", *name ? name : "?");
    json_number(j, "pid", pid);
    json_number(j, "tid", track);
}

static void put_metadata(struct json *j, const char *kind, int64_t pid, int64_t track, const char *name, int64_t order)
{
    begin_event(j, "M", kind, pid, track);
    json_begin(j, "args", '{');
    if (name)
        json_string(j, "name", name);
    else
        json_number(j, "sort_index", order);
    json_end(j, '}');
    json_end(j, '}');
}

static void put_names(struct json *j, const struct trace *t)
{
    char name[512];
    for (int i = 0; i < t->n_processes; i++) {
        put_metadata(j, "process_name", pid_of(t, i), 0, t->processes[i].command, 0);
        put_metadata(j, "process_sort_index", pid_of(t, i), 0, NULL, i);
        put_metadata(j, "thread_name", pid_of(t, i), 0, "outside, timers", 0);
    }
    for (int i = 0; i < t->n_threads; i++) {
        const struct trace_thread *thread = &t->threads[i];
        snprintf(name, sizeof name, "%s (%d)", *thread->name ? thread->name : "thread", (int)thread->tid);
        put_metadata(j, "thread_name", pid_of(t, thread->process), track_of(i), name, 0);
        put_metadata(j, "thread_sort_index", pid_of(t, thread->process), track_of(i), NULL, i);
    }
}

/* ---- branches: asynchronous slices ------------------------------------------------------------------------------- */

static void put_async(struct json *j, const struct trace *t, const char *phase, const struct trace_branch *b, int id,
                      int64_t at)
{
    begin_event(j, phase, b->name, pid_of(t, b->process), track_of(b->owner));
    json_string(j, "cat", "branch");
    json_number(j, "id", id);
    json_micros(j, "ts", at - t->begun);
    if (*phase == 'e' && *b->outcome) {
        json_begin(j, "args", '{');
        json_string(j, "outcome", b->outcome);
        json_end(j, '}');
    }
    json_end(j, '}');
}

static void put_branches(struct json *j, const struct trace *t)
{
    for (int i = 0; i < t->n_branches; i++) {
        put_async(j, t, "b", &t->branches[i], i + 1, t->branches[i].begun);
        put_async(j, t, "e", &t->branches[i], i + 1, end_of_branch(t, i));
    }
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static const char *const categories[] = {"call",      "region",    "gil",  "interrupt",
                                         "interrupt", "interrupt", "rung", "failure"};

static void put_event_target(struct json *j, const struct trace *t, const struct trace_event *e)
{
    if (e->target_thread >= 0)
        json_string(j, "target thread", t->threads[e->target_thread].name);
    if (e->target_branch >= 0)
        json_string(j, "target branch", t->branches[e->target_branch].name);
}

static void put_args(struct json *j, const struct trace *t, const struct trace_event *e)
{
    static const char *const names[] = {"argument", "detail", "detail", "reason",
                                        "detail",   "detail", "place",  "detail"};
    json_begin(j, "args", '{');
    if (*e->detail)
        json_string(j, names[e->what], e->detail);
    if (e->what == TRACE_OVER || e->what == TRACE_RUNG)
        json_string(j, "kind", e->kind);
    if (e->rung)
        json_number(j, "rung", e->rung);
    put_event_target(j, t, e);
    if (e->until == TRACE_OPEN)
        json_bool(j, "end was not seen", true);
    json_end(j, '}');
}

static void put_slice(struct json *j, const struct trace *t, const struct trace_event *e, const char *name,
                      int64_t length)
{
    begin_event(j, "X", name, pid_of(t, e->process), track_of(e->thread));
    json_string(j, "cat", categories[e->what]);
    json_micros(j, "ts", e->at - t->begun);
    json_micros(j, "dur", length);
    put_args(j, t, e);
    json_end(j, '}');
}

/* The instant is on its thread's track, or on the process's track if its target is a branch. */
static void put_instant(struct json *j, const struct trace *t, const struct trace_event *e, const char *name)
{
    int thread = e->thread >= 0 ? e->thread : e->target_thread;
    begin_event(j, "i", name, pid_of(t, e->process), track_of(thread));
    json_string(j, "cat", categories[e->what]);
    json_string(j, "s", thread >= 0 ? "t" : "p");
    json_micros(j, "ts", e->at - t->begun);
    put_args(j, t, e);
    json_end(j, '}');
}

static void put_flow(struct json *j, const struct trace *t, const struct trace_event *e, int64_t id)
{
    begin_event(j, e->what == TRACE_POSTED ? "s" : "f", "interrupt", pid_of(t, e->process), track_of(e->thread));
    json_string(j, "cat", "interrupt");
    json_number(j, "id", id);
    json_micros(j, "ts", e->at - t->begun);
    if (e->what == TRACE_DELIVERED)
        json_string(j, "bp", "e");
    json_end(j, '}');
}

static void put_event(struct json *j, const struct trace *t, const struct trace_event *e, int64_t flow)
{
    char name[256];
    switch (e->what) {
    case TRACE_CALL:
    case TRACE_SECTION:
        put_slice(j, t, e, e->text, end_of_event(t, e) - e->at);
        break;
    case TRACE_GIL:
        put_slice(j, t, e, "wait for the GIL", end_of_event(t, e) - e->at);
        break;
    case TRACE_POSTED:
    case TRACE_DELIVERED: /* a flow needs a slice at each end: 1 ns */
        snprintf(name, sizeof name, "%s: %s", e->what == TRACE_POSTED ? "interrupts" : "is interrupted", e->text);
        put_slice(j, t, e, name, 1);
        if (flow)
            put_flow(j, t, e, flow);
        break;
    case TRACE_OVER:
        snprintf(name, sizeof name, "interrupt over: %s", e->text);
        put_instant(j, t, e, name);
        break;
    case TRACE_RUNG:
        snprintf(name, sizeof name, "rung %d: %s", e->rung, e->text);
        put_instant(j, t, e, name);
        break;
    case TRACE_FAILURE:
        snprintf(name, sizeof name, "failure: %s", e->text);
        put_instant(j, t, e, name);
        break;
    }
}

/* ---- flows: the number of the post that a delivery belongs to ---------------------------------------------------- */

static int target_of(const struct trace_event *e)
{
    return e->what == TRACE_DELIVERED && e->target_thread < 0 && e->target_branch < 0 ? e->thread : e->target_thread;
}

static int by_incident(const struct trace_event *x, const struct trace_event *y)
{
    int tx = target_of(x), ty = target_of(y);
    if (x->process != y->process)
        return x->process < y->process ? -1 : 1;
    if (x->serial != y->serial)
        return x->serial < y->serial ? -1 : 1;
    if (tx != ty)
        return tx < ty ? -1 : 1;
    if (x->target_branch != y->target_branch)
        return x->target_branch < y->target_branch ? -1 : 1;
    return strcmp(x->kind, y->kind);
}

static const struct trace_event *compared;

static int by_incident_and_order(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b, order = by_incident(&compared[x], &compared[y]);
    return order ? order : x - y;
}

/* Each delivery follows its post in the order of incidents. A post that was delivered nowhere has no flow. */
static int64_t *find_flows(const struct trace *t)
{
    int n = 0, posted = TRACE_NONE;
    int64_t *flows = calloc((size_t)t->n_events + 1, sizeof *flows);
    int *order = calloc((size_t)t->n_events + 1, sizeof *order);
    for (int i = 0; flows && order && i < t->n_events; i++)
        if (t->events[i].what == TRACE_POSTED || t->events[i].what == TRACE_DELIVERED)
            order[n++] = i;
    compared = t->events;
    if (order)
        qsort(order, (size_t)n, sizeof *order, by_incident_and_order);
    for (int i = 0; flows && order && i < n; i++) {
        if (t->events[order[i]].what == TRACE_POSTED)
            posted = order[i];
        else if (posted >= 0 && by_incident(&t->events[posted], &t->events[order[i]]) == 0)
            flows[order[i]] = flows[posted] = posted + 1;
    }
    if (!order) {
        free(flows);
        flows = NULL;
    }
    free(order);
    return flows;
}

bool picture_json(FILE *out, const struct trace *t)
{
    int64_t *flows = find_flows(t);
    struct json *j = calloc(1, sizeof *j);
    if (flows && j) {
        j->out = out;
        json_begin(j, NULL, '{');
        json_string(j, "displayTimeUnit", "ms");
        json_begin(j, "otherData", '{');
        json_string(j, "made by", "bough picture");
        json_number(j, "events lost", (int64_t)t->lost);
        json_bool(j, "cut off", t->was_cut_off);
        json_number(j, "CLOCK_REALTIME at start", t->wall_at_begun);
        json_end(j, '}');
        json_begin(j, "traceEvents", '[');
        put_names(j, t);
        put_branches(j, t);
        for (int i = 0; i < t->n_events; i++)
            put_event(j, t, &t->events[i], flows[i]);
        json_end(j, ']');
        json_end(j, '}');
    }
    bool done = flows && j;
    free(flows);
    free(j);
    return done && !ferror(out);
}

/* SPDX-License-Identifier: MIT */
/*
 * Interrupts: an incident is one interrupt of one target, from its post to the end of its record, with the rungs that
 * it climbs. An arrow leads to it from the thread that has posted it. A mark is the moment at which an interrupt was
 * delivered to a thread, or at which the thread failed.
 */
#include <stdlib.h>
#include <string.h>
#include "picture.h"

enum { MOST_ARROWS = 300, MOST_MARKS = 3000, MOST_INCIDENTS = 3000, CHUNK = 64 };

/* ---- incidents from events --------------------------------------------------------------------------------------- */

static bool is_of(const struct incident *i, const struct trace_event *e)
{
    int thread =
        e->target_thread < 0 && e->target_branch < 0 && e->what == TRACE_DELIVERED ? e->thread : e->target_thread;
    return i->serial == e->serial && i->process == e->process && i->target_branch == e->target_branch &&
           i->target_thread == thread && strcmp(i->kind, e->kind) == 0;
}

/* A hash table of the last incident for each target, serial and kind. */
struct table {
    int *slots;
    uint32_t mask;
};

static uint32_t hash(int process, int thread, int branch, uint32_t serial)
{
    uint64_t h = (uint64_t)(uint32_t)thread * 0x9e3779b97f4a7c15ull;
    h = (h ^ (uint64_t)(uint32_t)branch) * 0xff51afd7ed558ccdull;
    h = (h ^ (uint64_t)serial << 16 ^ (uint64_t)(uint32_t)process) * 0xc4ceb9fe1a85ec53ull;
    return (uint32_t)(h >> 32);
}

static int *slot_of(const struct picture *p, const struct table *t, const struct trace_event *e)
{
    int thread =
        e->target_thread < 0 && e->target_branch < 0 && e->what == TRACE_DELIVERED ? e->thread : e->target_thread;
    uint32_t at = hash(e->process, thread, e->target_branch, e->serial) & t->mask;
    while (t->slots[at] >= 0 && !is_of(&p->incidents[t->slots[at]], e))
        at = (at + 1) & t->mask;
    return &t->slots[at];
}

static int last_rung(const struct incident *i)
{
    return i->n_steps ? i->steps[i->n_steps - 1].rung : 0;
}

/* A second post never takes an incident down. */
static void climb(struct incident *i, int event, const struct trace_event *e)
{
    int rung = e->rung < 1 ? 1 : e->rung > RUNGS ? RUNGS : e->rung;
    if (rung == last_rung(i) || (rung < last_rung(i) && e->what == TRACE_POSTED))
        return;
    if (i->n_steps < MOST_STEPS)
        i->n_steps++;
    i->steps[i->n_steps - 1] = (struct step){e->at, rung, event};
}

/* An interrupt that was posted before the recording began is known from its rungs only. */
static struct incident *begin_incident(struct picture *p, const struct trace_event *e)
{
    struct incident *i = &p->incidents[p->n_incidents++];
    *i = (struct incident){.at = e->at,
                           .until = TRACE_OPEN,
                           .row = row_of_target(p, e),
                           .posted = TRACE_NONE,
                           .over = TRACE_NONE,
                           .process = e->process,
                           .target_thread = e->target_thread,
                           .target_branch = e->target_branch,
                           .serial = e->serial,
                           .kind = e->kind,
                           .count = 1};
    return i;
}

static void take_event(struct picture *p, int *slot, int event)
{
    const struct trace_event *e = &p->trace->events[event];
    struct incident *i = *slot >= 0 && p->incidents[*slot].until == TRACE_OPEN ? &p->incidents[*slot] : NULL;
    if (e->what != TRACE_POSTED && e->what != TRACE_RUNG && e->what != TRACE_OVER)
        return;
    if (!i) {
        if (e->what == TRACE_OVER)
            return;
        i = begin_incident(p, e);
        *slot = p->n_incidents - 1;
    }
    if (e->what == TRACE_OVER) {
        i->until = e->at;
        i->over = event;
        return;
    }
    if (e->what == TRACE_POSTED) {
        i->posts++;
        if (i->posted < 0)
            i->posted = event;
    }
    climb(i, event, e);
}

static bool find_incidents(struct picture *p)
{
    struct table t = {.mask = 1};
    size_t n = 0;
    for (int i = 0; i < p->trace->n_events; i++)
        n += p->trace->events[i].what == TRACE_POSTED || p->trace->events[i].what == TRACE_RUNG;
    while (t.mask < 2 * n)
        t.mask = 2 * t.mask + 1;
    t.slots = malloc(((size_t)t.mask + 1) * sizeof *t.slots);
    p->incidents = calloc(n + 1, sizeof *p->incidents);
    if (!t.slots || !p->incidents) {
        free(t.slots);
        return false;
    }
    for (uint32_t i = 0; i <= t.mask; i++)
        t.slots[i] = TRACE_NONE;
    for (int i = 0; i < p->trace->n_events; i++)
        take_event(p, slot_of(p, &t, &p->trace->events[i]), i);
    free(t.slots);
    return true;
}

/* ---- arrows ------------------------------------------------------------------------------------------------------ */

static int outside_row(const struct picture *p)
{
    return p->n_rows && p->rows[0].kind == ROW_OUTSIDE ? 0 : TRACE_NONE;
}

static int by_ends(const void *a, const void *b)
{
    const struct arrow *x = a, *y = b;
    if (x->from != y->from)
        return x->from - y->from;
    if (x->to != y->to)
        return x->to - y->to;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->event - y->event;
}

/* Arrows between the same rows that nearly cover each other are merged. */
static int merge_arrows(const struct arrow *from, int n, struct arrow *to, int64_t near)
{
    int made = 0;
    for (int i = 0; i < n; i++) {
        struct arrow *last = made ? &to[made - 1] : NULL;
        if (last && last->from == from[i].from && last->to == from[i].to && from[i].at - last->at < near)
            last->count++;
        else
            to[made++] = from[i];
    }
    return made;
}

static bool find_arrows(struct picture *p)
{
    int n = 0;
    struct arrow *all = calloc((size_t)p->n_incidents + 1, sizeof *all);
    p->arrows = calloc((size_t)p->n_incidents + 1, sizeof *p->arrows);
    if (!all || !p->arrows) {
        free(all);
        return false;
    }
    for (int i = 0; i < p->n_incidents; i++) {
        const struct incident *in = &p->incidents[i];
        if (in->posted < 0 || in->at < p->from || in->at > p->until || in->row < 0)
            continue;
        const struct trace_event *e = &p->trace->events[in->posted];
        int from = e->thread >= 0 ? row_of_thread(p, e->thread) : outside_row(p);
        if (from >= 0 && (from != in->row || !p->rows[from].more))
            all[n++] = (struct arrow){in->at, from, in->row, i, in->posted, 1};
    }
    qsort(all, (size_t)n, sizeof *all, by_ends);
    int64_t near = picture_span(p, 5);
    do {
        p->n_arrows = merge_arrows(all, n, p->arrows, near);
        near *= 2;
    } while (p->n_arrows > MOST_ARROWS && near < p->until - p->from);
    free(all);
    if (p->n_arrows > MOST_ARROWS) {
        p->arrows_left_out = p->n_arrows - MOST_ARROWS;
        p->n_arrows = MOST_ARROWS;
    }
    return true;
}

/* ---- lines of incidents ------------------------------------------------------------------------------------------ */

static int incident_order(const void *a, const void *b)
{
    const struct incident *x = a, *y = b;
    if (x->row != y->row)
        return x->row - y->row;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->posted - y->posted;
}

static void clip_incident(struct picture *p, struct incident *i)
{
    if (i->until == TRACE_OPEN) {
        int64_t end = i->process >= 0 ? end_of_process(p->trace, i->process) : p->trace->ended;
        if (i->target_thread >= 0)
            end = end_of_thread(p->trace, i->target_thread);
        else if (i->target_branch >= 0)
            end = end_of_branch(p->trace, i->target_branch);
        i->until = end > i->at ? end : i->at;
    }
    i->at = clamped(p, i->at);
    i->until = clamped(p, i->until);
    for (int s = 0; s < i->n_steps; s++)
        i->steps[s].at = clamped(p, i->steps[s].at);
}

static bool is_drawn(const struct picture *p, const struct incident *i)
{
    if (i->row < 0 || p->rows[i->row].kind == ROW_MORE || p->rows[i->row].kind == ROW_OUTSIDE)
        return false;
    return i->at <= p->until && i->until >= p->from;
}

/* Each box has room for at least one digit, and for the incident's end. */
static int64_t end_of_box(const struct picture *p, const struct incident *i)
{
    int64_t least = i->at + picture_span(p, 14);
    return i->until > least ? i->until : least;
}

/* Where no line has room, the incident is merged into the last one. */
static void line_up(struct picture *p)
{
    struct incident *last[STEP_LINES] = {0};
    int made = 0;
    for (int n = 0; n < p->n_incidents; n++) {
        struct incident i = p->incidents[n];
        int line = 0;
        if (!is_drawn(p, &i))
            continue;
        clip_incident(p, &i);
        for (int k = 0; k < STEP_LINES; k++)
            last[k] = last[k] && last[k]->row == i.row ? last[k] : NULL;
        while (line < STEP_LINES && last[line] && end_of_box(p, last[line]) > i.at)
            line++;
        if (line == STEP_LINES || made == MOST_INCIDENTS) {
            struct incident *to = line ? last[line - 1] : NULL;
            if (to) {
                to->count++;
                to->until = to->until > i.until ? to->until : i.until;
            }
            continue;
        }
        p->incidents[made] = i;
        p->incidents[made].line = line;
        last[line] = &p->incidents[made++];
    }
    p->n_incidents = made;
    for (int n = made - 1; n >= 0; n--) {
        struct row *row = &p->rows[p->incidents[n].row];
        row->first_incident = n;
        row->n_incidents++;
        if (row->step_lines <= p->incidents[n].line)
            row->step_lines = p->incidents[n].line + 1;
    }
}

/* If an arrow's box was merged into another one, the arrow leads to the row. */
static void join_arrows(struct picture *p)
{
    for (int a = 0; a < p->n_arrows; a++) {
        struct arrow *arrow = &p->arrows[a];
        const struct row *row = &p->rows[arrow->to];
        arrow->incident = TRACE_NONE;
        for (int n = row->first_incident; n < row->first_incident + row->n_incidents; n++)
            if (p->incidents[n].posted == arrow->event)
                arrow->incident = n;
    }
}

/* ---- marks ------------------------------------------------------------------------------------------------------- */

static int by_mark(const void *a, const void *b)
{
    const struct mark *x = a, *y = b;
    if (x->row != y->row)
        return x->row - y->row;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->event - y->event;
}

/* Marks within 12 pixels of each other are merged. A delivery never hides a failure. */
static void merge_marks(struct picture *p)
{
    int made = 0;
    int64_t near = picture_span(p, 12);
    for (int i = 0; i < p->n_marks; i++) {
        struct mark m = p->marks[i], *last = made ? &p->marks[made - 1] : NULL;
        if (last && last->row == m.row && (m.at - last->at < near || made >= MOST_MARKS)) {
            last->count++;
            if (m.is_failure && (!last->is_failure || m.event == p->first_failure)) {
                last->event = m.event;
                last->is_failure = true;
            }
        } else if (made < MOST_MARKS)
            p->marks[made++] = m;
    }
    p->n_marks = made;
    for (int i = made - 1; i >= 0; i--) {
        struct row *row = &p->rows[p->marks[i].row];
        row->first_mark = i;
        row->n_marks++;
        row->has_marks = true;
    }
}

static int row_of_mark(const struct picture *p, const struct trace_event *e)
{
    if (e->thread >= 0)
        return row_of_thread(p, e->thread);
    return row_of_target(p, e);
}

static bool find_marks(struct picture *p)
{
    p->marks = calloc((size_t)p->trace->n_events + 1, sizeof *p->marks);
    if (!p->marks)
        return false;
    for (int i = 0; i < p->trace->n_events; i++) {
        const struct trace_event *e = &p->trace->events[i];
        bool is_failure = e->what == TRACE_FAILURE;
        if ((!is_failure && e->what != TRACE_DELIVERED) || e->at < p->from || e->at > p->until)
            continue;
        int row = row_of_mark(p, e);
        if (row >= 0 && p->rows[row].kind != ROW_MORE && p->rows[row].kind != ROW_OUTSIDE)
            p->marks[p->n_marks++] = (struct mark){e->at, row, i, 1, is_failure};
    }
    qsort(p->marks, (size_t)p->n_marks, sizeof *p->marks, by_mark);
    merge_marks(p);
    return true;
}

bool picture_incidents(struct picture *p)
{
    if (!find_incidents(p) || !find_arrows(p))
        return false;
    qsort(p->incidents, (size_t)p->n_incidents, sizeof *p->incidents, incident_order);
    line_up(p);
    join_arrows(p);
    return find_marks(p);
}

/* SPDX-License-Identifier: MIT */
/*
 * Calls, sections and waits, in lines: an inner bar is under the bar that contains it, and no bar covers another. Bars
 * that are too short to be seen apart are merged, as far as the picture's size demands.
 */
#include <stdlib.h>
#include <string.h>
#include "picture.h"

enum { MOST_BARS = 5000, MOST_BARS_ON_A_PAGE = 20000 };

/* ---- bars from events -------------------------------------------------------------------------------------------- */

static bool is_bar(const struct trace_event *e)
{
    return e->what == TRACE_CALL || e->what == TRACE_SECTION || e->what == TRACE_GIL;
}

static enum bar_kind kind_of(const struct trace_event *e)
{
    return e->what == TRACE_CALL ? BAR_CALL : e->what == TRACE_SECTION ? BAR_SECTION : BAR_GIL;
}

/* Counts a hidden thread's time in the columns of its row. The array has differences until add_up(). */
static void count(const struct picture *p, int32_t *columns, int64_t at, int64_t until)
{
    double width = (double)(p->until - p->from);
    int first = (int)((double)(at - p->from) / width * (COLUMNS - 1) + 0.5);
    int last = (int)((double)(until - p->from) / width * (COLUMNS - 1) + 0.5);
    columns[first]++;
    columns[last > first ? last : first + 1]--;
}

static void add_up(int32_t *columns)
{
    for (int i = 1; i <= COLUMNS; i++)
        columns[i] += columns[i - 1];
}

/* False: no part of the time is in the window. A damaged recording may have an end before its beginning. */
static bool clip(const struct picture *p, int64_t *at, int64_t *until)
{
    if (*until < *at)
        *until = *at;
    if (*at > p->until || *until < p->from)
        return false;
    *at = clamped(p, *at);
    *until = clamped(p, *until);
    return true;
}

static void add_bar(struct picture *p, int row, enum bar_kind kind, int of, int64_t at, int64_t until, bool is_open)
{
    if (row < 0 || p->rows[row].kind == ROW_OUTSIDE || !clip(p, &at, &until))
        return;
    if (p->rows[row].more) {
        if (kind == BAR_CALL)
            count(p, p->rows[row].more->busy, at, until);
        return;
    }
    p->bars[p->n_bars++] = (struct bar){at, until, row, 0, kind, of, 1, is_open};
}

static void add_branches(struct picture *p)
{
    const struct trace *t = p->trace;
    for (int i = 0; i < t->n_branches; i++) {
        const struct node *n = &p->nodes[node_of_branch(p, i)];
        enum bar_kind kind = n->is_shown ? BAR_BRANCH : BAR_SCOPE;
        if (n->is_shown || !n->has_threads)
            add_bar(p, n->row, kind, i, t->branches[i].begun, end_of_branch(t, i), t->branches[i].ended == TRACE_OPEN);
    }
}

static void add_threads(struct picture *p)
{
    for (int i = 0; i < p->trace->n_threads; i++) {
        const struct node *n = &p->nodes[node_of_thread(p, i)];
        int64_t at = n->begun, until = n->until;
        if (n->row >= 0 && p->rows[n->row].more && clip(p, &at, &until))
            count(p, p->rows[n->row].more->alive, at, until);
    }
}

static void add_events(struct picture *p)
{
    for (int i = 0; i < p->trace->n_events; i++) {
        const struct trace_event *e = &p->trace->events[i];
        if (is_bar(e))
            add_bar(p, row_of_thread(p, e->thread), kind_of(e), i, e->at, end_of_event(p->trace, e),
                    e->until == TRACE_OPEN);
    }
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

/* An outer bar comes before its inner bars. */
static int by_row_and_time(const void *a, const void *b)
{
    const struct bar *x = a, *y = b;
    if (x->row != y->row)
        return x->row - y->row;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    if (x->until != y->until)
        return x->until > y->until ? -1 : 1;
    if (x->kind != y->kind)
        return (int)y->kind - (int)x->kind; /* a branch or section is around a call */
    return x->of - y->of;
}

/* The last bar in each line of one row. */
struct lines {
    int row;
    struct bar *last[BAR_LINES];
};

static bool has_room(const struct bar *last, const struct bar *b)
{
    return !last || last->until <= b->at;
}

static bool may_merge(const struct bar *last, const struct bar *b, int64_t tiny)
{
    bool is_near = last && b->at - last->until < tiny && b->until - b->at < tiny;
    return is_near && (last->count > 1 || last->until - last->at < tiny) && last->kind == b->kind;
}

static void merge(struct bar *last, const struct bar *b)
{
    last->count += b->count;
    last->is_open |= b->is_open;
    if (last->until < b->until)
        last->until = b->until;
}

/* The line in which the bar has room; a bar that is nested more deeply than there are lines goes to the last line. */
static int line_for(const struct lines *l, const struct bar *b)
{
    for (int line = 0; line < BAR_LINES; line++)
        if (has_room(l->last[line], b))
            return line;
    return BAR_LINES;
}

/* Copies the bars from `from` to `to`, merged; returns their number. */
static int merge_bars(const struct bar *from, int n, struct bar *to, int64_t tiny)
{
    struct lines l = {.row = TRACE_NONE};
    int made = 0;
    for (int i = 0; i < n; i++) {
        if (from[i].row != l.row)
            l = (struct lines){.row = from[i].row};
        int line = line_for(&l, &from[i]);
        if (line == BAR_LINES) {
            merge(l.last[line - 1], &from[i]);
            continue;
        }
        if (may_merge(l.last[line], &from[i], tiny)) {
            merge(l.last[line], &from[i]);
            continue;
        }
        to[made] = from[i];
        to[made].line = line;
        l.last[line] = &to[made++];
    }
    return made;
}

/* A page can be zoomed, so it keeps finer bars, as long as they are not too many. */
static bool fit(struct picture *p)
{
    struct bar *merged = calloc((size_t)p->n_bars + 1, sizeof *merged);
    int most = p->is_page ? MOST_BARS_ON_A_PAGE : MOST_BARS, n;
    int64_t tiny = picture_span(p, p->is_page ? 1.0 / 64 : 1.5);
    if (!merged)
        return false;
    for (;; tiny = 2 * tiny + 1) {
        n = merge_bars(p->bars, p->n_bars, merged, tiny);
        if (n <= most || tiny > p->until - p->from)
            break;
    }
    free(p->bars);
    p->bars = merged;
    p->n_bars = n;
    return true;
}

static void give_to_rows(struct picture *p)
{
    for (int i = p->n_bars - 1; i >= 0; i--) {
        struct row *row = &p->rows[p->bars[i].row];
        row->first_bar = i;
        row->n_bars++;
        if (row->bar_lines <= p->bars[i].line)
            row->bar_lines = p->bars[i].line + 1;
    }
}

bool picture_bars(struct picture *p)
{
    size_t most = (size_t)p->trace->n_events + (size_t)p->trace->n_branches + 1;
    p->bars = calloc(most, sizeof *p->bars);
    if (!p->bars)
        return false;
    add_branches(p);
    add_threads(p);
    add_events(p);
    qsort(p->bars, (size_t)p->n_bars, sizeof *p->bars, by_row_and_time);
    if (!fit(p))
        return false;
    give_to_rows(p);
    for (int i = 0; i < p->n_rows; i++)
        if (p->rows[i].more) {
            add_up(p->rows[i].more->alive);
            add_up(p->rows[i].more->busy);
        }
    return true;
}

/* SPDX-License-Identifier: MIT */
/* The place of each row, the scale of time, and the making of a picture from its parts. */
#include <stdlib.h>
#include "frame.h"
#include "picture.h"

/* ---- time ----------------------------------------------------------------------------------------------------------------- */

int64_t clamped(const struct picture *p, int64_t at)
{
    return at < p->from ? p->from : at > p->until ? p->until : at;
}

double picture_x(const struct picture *p, int64_t at)
{
    return PLOT_X + (double)(clamped(p, at) - p->from) / (double)(p->until - p->from) * PLOT_WIDTH;
}

int64_t picture_span(const struct picture *p, double pixels)
{
    return (int64_t)((double)(p->until - p->from) * pixels / PLOT_WIDTH);
}

int64_t end_of_process(const struct trace *t, int process)
{
    int64_t end = process >= 0 ? t->processes[process].ended : TRACE_OPEN;
    return end == TRACE_OPEN ? t->ended : end;
}

int64_t end_of_thread(const struct trace *t, int thread)
{
    int64_t end = t->threads[thread].ended;
    return end == TRACE_OPEN ? end_of_process(t, t->threads[thread].process) : end;
}

int64_t end_of_branch(const struct trace *t, int branch)
{
    const struct trace_branch *b = &t->branches[branch];
    if (b->ended != TRACE_OPEN)
        return b->ended;
    return b->owner >= 0 ? end_of_thread(t, b->owner) : end_of_process(t, b->process);
}

int64_t end_of_event(const struct trace *t, const struct trace_event *e)
{
    if (e->until != TRACE_OPEN)
        return e->until;
    int64_t end = e->thread >= 0 ? end_of_thread(t, e->thread) : t->ended;
    return end > e->at ? end : e->at;
}

/* ---- rows of things --------------------------------------------------------------------------------------------------------- */

int row_of_thread(const struct picture *p, int thread)
{
    int node = node_of_thread(p, thread);
    return node >= 0 ? p->nodes[node].row : TRACE_NONE;
}

int row_of_branch(const struct picture *p, int branch)
{
    int node = node_of_branch(p, branch);
    return node >= 0 ? p->nodes[node].row : TRACE_NONE;
}

int row_of_process(const struct picture *p, int process)
{
    int node = node_of_process(p, process);
    return node >= 0 ? p->nodes[node].row : TRACE_NONE;
}

int row_of_target(const struct picture *p, const struct trace_event *e)
{
    if (e->target_thread >= 0)
        return row_of_thread(p, e->target_thread);
    return e->target_branch >= 0 ? row_of_branch(p, e->target_branch) : row_of_process(p, e->process);
}

/* ---- places ------------------------------------------------------------------------------------------------------------------- */

static int height_of(const struct row *r)
{
    int lines = r->bar_lines ? r->bar_lines : 1;
    int height = lines * BAR_LINE + r->step_lines * STEP_LINE + (r->has_marks ? MARK_LINE : 0) + 2 * ROW_PADDING;
    if (r->kind == ROW_MORE)
        return 50;
    return r->kind == ROW_PROCESS ? height + 4 : height;
}

void picture_place(struct picture *p)
{
    int y = p->top = frame_height(p);
    for (int i = 0; i < p->n_rows; i++) {
        p->rows[i].y = y;
        p->rows[i].height = height_of(&p->rows[i]);
        y += p->rows[i].height;
    }
    p->height = y + 16;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------------ */

static int find_first_failure(const struct trace *t)
{
    for (int i = 0; i < t->n_events; i++)
        if (t->events[i].what == TRACE_FAILURE)
            return i;
    return TRACE_NONE;
}

static void set_window(struct picture *p, const struct picture_options *o)
{
    const struct trace *t = p->trace;
    p->from = t->begun + o->from;
    p->until = o->until && o->until < t->ended - t->begun ? t->begun + o->until : t->ended;
    if (p->until <= p->from)
        p->until = p->from + 1000; /* a recording without length has a scale of 1 µs */
    p->lanes = o->lanes ? o->lanes : USUAL_LANES;
}

struct picture *picture_new(const struct trace *trace, const struct picture_options *options, bool is_page)
{
    struct picture *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->trace = trace;
    p->is_page = is_page;
    p->first_failure = find_first_failure(trace);
    set_window(p, options);
    if (!picture_tree(p) || !picture_fold(p) || !picture_bars(p) || !picture_incidents(p)) {
        picture_free(p);
        return NULL;
    }
    picture_place(p);
    return p;
}

void picture_free(struct picture *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->n_rows; i++)
        free(p->rows[i].more);
    free(p->nodes);
    free(p->order);
    free(p->rows);
    free(p->bars);
    free(p->incidents);
    free(p->marks);
    free(p->arrows);
    free(p);
}

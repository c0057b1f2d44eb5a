/* SPDX-License-Identifier: MIT */
/* The place of each row, and the making of a picture from its parts. */
#include <stdlib.h>
#include "frame.h"
#include "picture.h"

/* ---- places ------------------------------------------------------------------------------------------------------ */

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

/* ---- the whole --------------------------------------------------------------------------------------------------- */

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

/* SPDX-License-Identifier: MIT */
/* The scale of time, and ends that were not recorded. */
#include "picture.h"

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

/* SPDX-License-Identifier: MIT */
/* One reading of the process. */
#include "top.h"

enum { LOOK_EVERY = 10 };      /* frames: for what changes seldom, and is expensive */
enum { LINES_AT_ONCE = 1000 }; /* of so many threads the Python lines are read in a frame: about 8 ms */

/* Of the first thread that can be asked: a signal stops all of them. */
static bool is_stopped(const struct arena *a)
{
    struct activity now;
    proc_activity(a->pid, proc_alive(a->pid), &now);
    return now.state == 'T' || now.state == 't';
}

/* A process with thousands of threads has thousands of mappings: they are read again only now and then. */
static void renew_strings(struct top *t)
{
    if (t->frame % LOOK_EVERY != 1)
        return;
    strings_free(t->strings);
    t->strings = strings_new(t->arena.pid);
}

/* Their lines are the present ones. By the last frame's rows, before these are gone. */
static void want_visible_lines(struct top *t)
{
    struct stacks *s = &t->python;
    size_t end = t->first + (size_t)draw_room(t);
    s->wanteds = 0;
    for (size_t i = t->first; i < end && i < t->rows.count && s->wanteds < STACKS_WANTED; i++)
        if (!t->rows.row[i].node->branch)
            s->wanted[s->wanteds++] = bo_load_relaxed(&t->rows.row[i].node->slot.thread.tid);
}

/* A program may load an interpreter later. */
static void read_python_lines(struct top *t)
{
    t->python.is_lines = true;
    t->python.at_once = LINES_AT_ONCE;
    if (t->python.is_python || t->frame % LOOK_EVERY == 0)
        stacks_read(&t->python, proc_alive(t->arena.pid));
    t->view->python = &t->python;
}

/* A process that has ended in between keeps its last tree. */
bool top_collect(struct top *t)
{
    struct view *v = view_new(&t->arena);
    if (!v)
        return false;
    watch_look(t);
    if (t->frame % LOOK_EVERY == LOOK_EVERY - 1)
        watch_program(t);
    if (*t->end && t->view) {
        view_free(v);
        return true;
    }
    rows_remember(t);
    if (t->view)
        want_visible_lines(t);
    view_free(t->view);
    t->view = v;
    read_python_lines(t);
    t->frame++;
    t->stopped = is_stopped(&t->arena);
    if (!t->every_worker)
        view_fold_idle(v);
    renew_strings(t);
    calls_sample_some(&t->calls, v, t->frame);
    incidents_follow(&t->incidents, v);
    rows_build(t);
    return true;
}

/* SPDX-License-Identifier: MIT */
/* One reading of the process. */
#include "top.h"

enum { LOOK_EVERY = 10 };      /* frames between two checks of facts that change seldom and are expensive to read */
enum { LINES_AT_ONCE = 1000 }; /* threads whose Python lines are read in one frame: about 8 ms */

/* The state of one living thread is enough: a signal stops all threads of a process. */
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

/* Read the Python lines of visible threads in each frame. The last frame's rows determine which are visible, so this
 * runs before they are freed. */
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

/* If the process has ended since the last reading, the last tree stays. */
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

/* SPDX-License-Identifier: MIT */
/* One row: its cells. */
#include <curses.h>
#include <string.h>
#include "../python/show.h"
#include "../text.h"
#include "draw.h"

/* ---- columns ----------------------------------------------------------------------------------------------------- */

/* The width of each column; 0: there is no room for the column. */
struct columns {
    int name, id, time, rung, due, level, call;
};

static int between(int least, int value, int most)
{
    return value < least ? least : value > most ? most : value;
}

static struct columns columns_of(int width)
{
    struct columns c = {.name = between(12, width / 4, 40), .time = 8};
    c.id = width >= 40 ? 7 : 0;
    c.rung = width >= 48 ? 5 : 0;
    c.due = width >= 60 ? 9 : 0;
    c.level = width >= 72 ? 8 : 0;
    int used = c.name + 1 + c.time + (c.id ? c.id + 1 : 0) + (c.rung ? c.rung + 1 : 0) + (c.due ? c.due + 1 : 0) +
               (c.level ? c.level + 1 : 0);
    c.call = width - used - 1;
    if (c.call < 6) {
        c.name += c.call + 1;
        c.call = 0;
    }
    return c;
}

static void title(const char *text, int width)
{
    draw_text(text, width ? width + 1 : 0);
}

void draw_titles(int line)
{
    struct columns c = columns_of(COLS);
    move(line, 0);
    attron(A_REVERSE);
    title("NAME", c.name);
    title("ID", c.id);
    title("FOR", c.time);
    title("RUNG", c.rung);
    title("DUE", c.due);
    title("LEVEL", c.level);
    draw_text("CALL AND PLACE", c.call);
    attroff(A_REVERSE);
}

/* ---- the cells --------------------------------------------------------------------------------------------------- */

/* "+": rows are folded below it; "-": there are rows below it. */
static void put_name(FILE *out, const struct top *t, const struct row *r, int width)
{
    const struct node *n = r->node;
    int depth = between(0, r->depth, width / 2);
    fprintf(out, "%*s%c ", depth, "", t->order != BY_TREE ? ' ' : r->hidden ? '+' : n->first ? '-' : ' ');
    if (n == &t->view->idle_workers)
        fprintf(out, "%u idle workers", t->view->folded);
    else if (n == t->view->root)
        fputs("root", out);
    else
        put_text(out, *n->slot.target.name ? n->slot.target.name : n->branch ? "branch" : "thread");
    if (r->hidden)
        fprintf(out, " (%u)", r->hidden);
}

static void put_since(FILE *out, const struct call *c)
{
    if (!c || !*c->now.call)
        return;
    fputs(c->earlier ? ">" : "", out);
    put_short_time(out, top_clock() - c->since);
}

/* The incident that has climbed highest. */
static const struct bo_record *worst(const struct node *n)
{
    const struct bo_record *found = NULL;
    for (unsigned i = 0; i < n->record_count; i++)
        if (!found || bo_load_relaxed(&n->records[i]->rung) > bo_load_relaxed(&found->rung))
            found = n->records[i];
    return found;
}

static bool is_overdue(const struct node *n)
{
    for (unsigned i = 0; i < n->record_count; i++)
        if (bo_load_relaxed(&n->records[i]->overdue))
            return true;
    return false;
}

static void put_rung(FILE *out, const struct node *n)
{
    const struct bo_record *r = worst(n);
    if (r)
        fprintf(out, "%d/%d%s", bo_load_relaxed(&r->rung), bo_load_relaxed(&r->ceiling), is_overdue(n) ? "!" : "");
}

static void put_due(FILE *out, const struct node *n)
{
    for (unsigned i = 0; i < n->record_count; i++)
        fprintf(out, "%s%s", i ? "," : "", bo_kind_name(bo_load_relaxed(&n->records[i]->kind)));
}

static void put_level(FILE *out, const struct top *t, const struct node *n)
{
    const char *name = n->branch    ? (n == t->view->root ? "" : "branch")
                       : n->unknown ? "-"
                                    : level_name(&n->slot.thread);
    fputs(strcmp(name, "asynchronous") == 0 ? "async" : name, out);
}

/* The file's name without its folders. */
static void put_place(FILE *out, const struct top *t, const char *file, int line)
{
    char path[512];
    strings_get(t->strings, (uint64_t)(uintptr_t)file, path, sizeof path);
    const char *slash = strrchr(path, '/');
    put_text(out, slash && slash[1] ? slash + 1 : path);
    fprintf(out, ":%d", line);
}

static void put_region(FILE *out, const struct top *t, const struct bo_thread *thread)
{
    for (uint32_t i = regions_of(thread); i-- > 0;) {
        if (bo_is_internal(thread->region[i].line))
            continue;
        fprintf(out, " in %s ", region_name(thread->region[i].kind));
        put_place(out, t, thread->region[i].file, thread->region[i].line);
        return;
    }
}

static void put_state(FILE *out, const struct call *c)
{
    const char *state = c ? state_name(c->now.state) : "?";
    fprintf(out, "%s%s%s", state, *state && c && *c->now.call ? ", " : "", c ? c->now.call : "");
}

static bool put_wait(FILE *out, const struct top *t, const struct bo_thread *thread)
{
    uint32_t index = bo_load_relaxed(&thread->join.branch);
    const struct node *b = index < BO_BRANCHES && index != BO_NONE ? t->view->branch[index] : NULL;
    if (index == BO_ROOT) {
        fputs("waits at its exit for the other threads", out);
        return true;
    }
    if (!b)
        return false;
    fputs("waits for ", out);
    put_text(out, *b->slot.target.name ? b->slot.target.name : "a branch");
    return true;
}

static void put_thread(FILE *out, const struct top *t, const struct node *n, const struct call *c)
{
    if (n == &t->view->idle_workers) {
        fputs("the library's (a shows each)", out);
        return;
    }
    if (n->unknown || (c && c->now.state == 'T') || !put_wait(out, t, &n->slot.thread))
        put_state(out, c);
    if (!n->unknown)
        put_region(out, t, &n->slot.thread);
    python_put_short_line(out, &t->python, bo_load_relaxed(&n->slot.thread.tid));
}

static void put_branch(FILE *out, const struct top *t, const struct node *n)
{
    const struct bo_branch *b = &n->slot.of_branch;
    fprintf(out, "%u %s", n->children, n->children == 1 ? "child" : "children");
    int64_t left = view_left(t->view, bo_load_relaxed(&b->deadline));
    if (left != BO_FOREVER) {
        fputs(left > 0 ? ", deadline in " : ", deadline passed", out);
        if (left > 0)
            put_short_time(out, left);
    }
    if (b->file)
        fputs(", ", out), put_place(out, t, b->file, b->line);
}

/* ---- the row ----------------------------------------------------------------------------------------------------- */

/* A visible thread is sampled each time, so that its call is the present one. */
static const struct call *present_call(struct top *t, const struct node *n)
{
    if (n->branch || !n->tid)
        return NULL;
    if (*t->end || t->paused)
        return calls_find(&t->calls, n->tid, node_generation(n));
    return calls_sample(&t->calls, t->arena.pid, n->tid, node_generation(n), t->frame);
}

static unsigned row_attribute(const struct node *n, bool selected)
{
    if (selected)
        return A_REVERSE;
    if (is_overdue(n))
        return A_BOLD | draw_colour(PAIR_RED);
    return n->record_count ? draw_colour(PAIR_RED) : n->branch ? draw_colour(PAIR_GREEN) : 0;
}

/* A cell, and the space after it. */
#define CELL(width, put)                \
    do {                                \
        struct sink s;                  \
        sink_begin(&s);                 \
        put;                            \
        sink_draw(&s, width);           \
        draw_text("", (width) ? 1 : 0); \
    } while (0)

void draw_row(struct top *t, int line, const struct row *r, bool selected)
{
    struct columns c = columns_of(COLS);
    const struct node *n = r->node;
    const struct call *call = present_call(t, n);
    unsigned attribute = row_attribute(n, selected);
    move(line, 0);
    attron((int)attribute);
    CELL(c.name, put_name(s.out, t, r, c.name));
    CELL(c.id, n->tid ? (void)fprintf(s.out, "%d", (int)n->tid) : (void)0);
    CELL(c.time, put_since(s.out, call));
    CELL(c.rung, put_rung(s.out, n));
    CELL(c.due, put_due(s.out, n));
    CELL(c.level, put_level(s.out, t, n));
    CELL(c.call - 1, n->branch ? put_branch(s.out, t, n) : put_thread(s.out, t, n, call));
    attroff((int)attribute);
}

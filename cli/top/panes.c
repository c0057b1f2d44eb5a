/* SPDX-License-Identifier: MIT */
/* The pane below the rows: the last incidents, one row's details, or help. */
#include <curses.h>
#include <string.h>
#include "../text.h"
#include "draw.h"

static const char help_text[] = "up, down, k, j     move            PgUp, PgDn, Home, End, g, G\n"
                                "s, S               next, previous order: tree, name, time, state, overdue\n"
                                "f                  filter: show only rows with this text\n"
                                "/, n, N            search, next, previous\n"
                                "!                  go to the next row with an incident\n"
                                "space, z           fold or open a branch, all branches\n"
                                "a                  show each idle worker of the library\n"
                                "Enter              details: the thread's regions, incidents and stack\n"
                                "e                  the last incidents\n"
                                "[, ]               scroll the pane; Esc closes it\n"
                                "i                  interrupt the thread or branch: asks for the reason\n"
                                "p                  promote its incident: asks for the rung\n"
                                "P, r               pause or continue, read once\n"
                                "q                  leave\n"
                                "\n"
                                "FOR: how long the thread has been in its call. With >, it was in it\n"
                                "     already when it was first seen.\n"
                                "RUNG: the incident's rung and its ceiling. With !, it is overdue.\n"
                                "DUE: the kinds of interrupts that are pending or delivered.\n";

/* ---- lines ------------------------------------------------------------------------------------------------------- */

/* Lines from `first` on, which is moved back if the text is shorter. */
static void draw_lines(const char *text, unsigned *first, int line, int height)
{
    unsigned count = 0;
    for (const char *c = text; *c; c++)
        count += *c == '\n';
    if (*first > count)
        *first = count;
    for (unsigned skip = *first; skip && *text; text++)
        skip -= *text == '\n';
    for (; height > 0; height--, line++) {
        size_t n = strcspn(text, "\n");
        struct sink s;
        sink_begin(&s);
        fwrite(text, 1, n, s.out);
        move(line, 0);
        sink_draw(&s, COLS);
        text += n + (text[n] == '\n');
    }
}

static void draw_title(int line, const char *text)
{
    move(line, 0);
    attron(A_REVERSE);
    draw_text(text, COLS);
    attroff(A_REVERSE);
}

/* ---- incidents --------------------------------------------------------------------------------------------------- */

static void put_incident(FILE *out, const struct top *t, const struct incident *i)
{
    int64_t now = arena_now(&t->arena);
    fprintf(out, "%-9s ", i->end ? i->end : i->overdue ? "overdue" : i->delivered ? "delivered" : "pending");
    if (i->end)
        put_short_time(out, top_clock() - i->ended), fputs(" ago, ", out);
    else
        put_short_time(out, now - i->since), fputs(", ", out);
    fprintf(out, "rung %d of %d, %s \"", i->rung, i->ceiling, bo_kind_name((unsigned)i->kind));
    put_text(out, i->reason);
    fprintf(out, "\", %s ", i->branch ? "branch" : "thread");
    put_text(out, i->branch && i->index == BO_ROOT ? "root" : i->name);
    fputs("\n", out);
}

static void draw_incidents(struct top *t, int line, int height)
{
    struct sink s;
    sink_begin(&s);
    for (unsigned i = 0; i < t->incidents.count; i++)
        put_incident(s.out, t, &t->incidents.last[i]);
    if (!t->incidents.count)
        fputs("none yet\n", s.out);
    fflush(s.out);
    draw_lines(s.text ? s.text : "", &t->pane_first, line, height);
    sink_drop(&s);
}

static void draw_help(struct top *t, int line, int height)
{
    struct sink s;
    sink_begin(&s);
    fputs(help_text, s.out);
    fprintf(s.out, "\nThe last frame took %.1f ms of processor time.\n", (double)t->cost / 1e6);
    fflush(s.out);
    draw_lines(s.text ? s.text : "", &t->pane_first, line, height);
    sink_drop(&s);
}

void draw_pane(struct top *t, int line, int height)
{
    static const char *const titles[] = {"", "LAST INCIDENTS", "DETAILS", "KEYS"};
    draw_title(line, titles[t->pane]);
    if (t->pane == INCIDENTS_PANE)
        draw_incidents(t, line + 1, height - 1);
    else if (t->pane == HELP_PANE)
        draw_help(t, line + 1, height - 1);
    else
        draw_lines(t->pane_text ? t->pane_text : "", &t->pane_first, line + 1, height - 1);
}

/* SPDX-License-Identifier: MIT */
/* The screen: summary, rows, pane, last line. */
#include <curses.h>
#include <stdlib.h>
#include <string.h>
#include "base/plain.h"
#include "../text.h"
#include "draw.h"

/* ---- the head ---------------------------------------------------------------------------------------------------- */

static void draw_summary(struct top *t)
{
    struct sink s;
    sink_begin(&s);
    tree_summary(s.out, t->view);
    fflush(s.out);
    if (s.text)
        s.text[strcspn(s.text, "\n")] = '\0';
    move(0, 0);
    attron(A_BOLD);
    sink_draw(&s, COLS);
    attroff(A_BOLD);
}

static void draw_settings(struct top *t)
{
    static const char *const orders[] = {"tree", "name", "time in call", "state", "overdue"};
    struct sink s;
    sink_begin(&s);
    fprintf(s.out, "order: %s", orders[t->order]);
    if (*t->filter) {
        fputs(", filter: ", s.out);
        put_text(s.out, t->filter);
    }
    fprintf(s.out, ", %zu row%s, every %g s", t->rows.count, t->rows.count == 1 ? "" : "s", (double)t->interval / 1e9);
    fputs(t->paused ? ", PAUSED" : "", s.out);
    fputs(t->stopped ? ", THE PROCESS IS STOPPED" : "", s.out);
    move(1, 0);
    sink_draw(&s, COLS);
}

/* ---- the last line ----------------------------------------------------------------------------------------------- */

/* The length of the first line, which ends after a space if it has one. A character takes at most a column per byte. */
static size_t line_length(const char *text)
{
    size_t most = bo_cut(text, (size_t)COLS), n = most;
    while (text[most] && n && text[n - 1] != ' ')
        n--;
    return n ? n : most;
}

static int count_lines(const char *text)
{
    int lines = 0;
    for (; *text; lines++)
        text += line_length(text);
    return lines;
}

static void draw_wrapped(const char *text)
{
    attron(A_REVERSE | A_BOLD);
    for (int line = LINES - count_lines(text); line < LINES; line++) {
        struct sink s;
        size_t n = line_length(text);
        sink_begin(&s);
        fwrite(text, 1, n, s.out);
        move(line, 0);
        sink_draw(&s, COLS);
        text += n;
    }
    attroff(A_REVERSE | A_BOLD);
}

/* If the whole question does not fit, it is not asked. */
static void draw_question(struct top *t)
{
    static const char go_on[] = " Go on? [y/N]";
    char text[sizeof t->question + sizeof go_on];
    snprintf(text, sizeof text, "%s%s", t->question, go_on);
    if (count_lines(text) > LINES) {
        t->prompt = NO_PROMPT;
        snprintf(t->message, sizeof t->message, "too small to ask: nothing was posted");
        draw_bottom(t);
        return;
    }
    draw_wrapped(text);
}

static void put_prompt(FILE *out, const struct top *t)
{
    static const char *const labels[] = {"", "filter: ", "search: ", "reason: ", "promote to rung (1 to 6): ", ""};
    if (t->prompt == REASON_PROMPT) {
        fprintf(out, "interrupt %s ", t->target.branch ? "branch" : "thread");
        put_text(out, t->target.name);
        fputs(", ", out);
    }
    fputs(labels[t->prompt], out);
    put_text(out, t->input);
    fputs("_", out);
}

void draw_bottom(struct top *t)
{
    struct sink s;
    if (t->prompt == QUESTION) {
        draw_question(t);
        return;
    }
    sink_begin(&s);
    if (*t->end)
        fprintf(s.out, "%s: any key leaves", t->end);
    else if (t->prompt)
        put_prompt(s.out, t);
    else if (*t->message)
        put_text(s.out, t->message);
    else
        fputs("q leave  ? keys  s order  f filter  / search  Enter details  e incidents  i interrupt", s.out);
    move(LINES - 1, 0);
    unsigned attribute = *t->end ? A_REVERSE | A_BOLD : t->prompt || *t->message ? A_BOLD : A_DIM;
    attron((int)attribute);
    sink_draw(&s, COLS - 1); /* a character in the last corner may scroll some terminals */
    attroff((int)attribute);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static void draw_too_small(void)
{
    char text[64];
    snprintf(text, sizeof text, "too small: %dx%d, needs %dx%d", COLS, LINES, LEAST_COLUMNS, LEAST_LINES);
    for (int line = 0; line < LINES; line++) {
        size_t at = (size_t)line * (size_t)COLS;
        move(line, 0);
        draw_text(at < strlen(text) ? text + at : "", line == LINES - 1 ? COLS - 1 : COLS);
    }
}

static void scroll_to_cursor(struct top *t, size_t room)
{
    if (t->cursor < t->first)
        t->first = t->cursor;
    if (room && t->cursor >= t->first + room)
        t->first = t->cursor - room + 1;
    if (t->first && t->first + room > t->rows.count)
        t->first = t->rows.count > room ? t->rows.count - room : 0;
}

static void draw_rows(struct top *t, int line, int count)
{
    scroll_to_cursor(t, (size_t)count);
    for (int i = 0; i < count; i++) {
        size_t at = t->first + (size_t)i;
        move(line + i, 0);
        if (at < t->rows.count)
            draw_row(t, line + i, &t->rows.row[at], at == t->cursor);
        else
            draw_text("", COLS);
    }
}

void draw_all(struct top *t)
{
    if (COLS < LEAST_COLUMNS || LINES < LEAST_LINES) {
        erase();
        draw_too_small();
        refresh();
        return;
    }
    struct screen_lines l = screen_of(t);
    erase();
    draw_summary(t);
    if (l.head > 1)
        draw_settings(t);
    draw_titles(l.head);
    draw_rows(t, l.head + 1, l.rows);
    if (l.pane)
        draw_pane(t, l.head + 1 + l.rows, l.pane);
    draw_bottom(t);
    refresh();
}

/* SPDX-License-Identifier: MIT */
/* The parts that screen.c, draw.c, cells.c and panes.c share. All text goes through a sink; text of the process, by
 * put_text(). */
#ifndef CLI_TOP_DRAW_H
#define CLI_TOP_DRAW_H

#include <stdio.h>
#include "top.h"

enum { LEAST_COLUMNS = 20, LEAST_LINES = 5, PAIR_RED = 1, PAIR_GREEN };

/* A piece of a line, that is written like a file. */
struct sink {
    FILE *out;
    char *text;
    size_t size;
};

/* `out` is never NULL: without memory, what is written is lost. */
void sink_begin(struct sink *s);
/* Draw what was written in `width` columns at the cursor, cut or filled with spaces. */
void sink_draw(struct sink *s, int width);

/* Forget it. After fflush(), `text` has what was written. */
void sink_drop(struct sink *s);

/* An attribute: the colour, or 0 where there is none. */
unsigned draw_colour(int pair);

/* How the lines of the screen are shared. */
struct screen_lines {
    int head; /* lines before the titles */
    int rows, pane;
};
struct screen_lines screen_of(const struct top *t);

/* One line for all rows: the names of the columns. */
void draw_titles(int line);
void draw_row(struct top *t, int line, const struct row *r, bool selected);
/* The last lines: a question, a prompt, a message, or the main keys. */
void draw_bottom(struct top *t);
/* "59.9s", "4m05s", "5h06m", "7d08h": at most six columns, for times below 27 years. */
void put_short_time(FILE *out, int64_t ns);

#endif

/* SPDX-License-Identifier: MIT */
/* The parts that screen.c, draw.c, cells.c and panes.c share. All text goes through a sink; text of the process, by
 * put_text(). */
#ifndef CLI_TOP_DRAW_H
#define CLI_TOP_DRAW_H

#include <stdio.h>
#include "top.h"

enum { LEAST_COLUMNS = 20, LEAST_LINES = 5, PAIR_RED = 1, PAIR_GREEN };

/* A piece of a line, which is written like a file. */
struct sink {
    FILE *out;
    char *text;
    size_t size;
};

/* `out` is never NULL: if memory is short, the text is lost. */
void sink_begin(struct sink *s);
/* Draw the text in `width` columns at the cursor, truncated or filled with spaces. */
void sink_draw(struct sink *s, int width);

/* Free the text. Before that, after fflush(), `text` has what was written. */
void sink_drop(struct sink *s);

/* The attribute for a colour; 0 if the terminal has no colours. */
unsigned draw_colour(int pair);

/* How many of the screen's lines each part gets. */
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

/* SPDX-License-Identifier: MIT */
/* The screen: its colours, and how its lines are shared. */
#include <curses.h>
#include "../text.h"
#include "draw.h"

unsigned draw_colour(int pair)
{
    return has_colors() && is_colour_wanted() ? (unsigned)COLOR_PAIR(pair) : 0;
}

struct screen_lines screen_of(const struct top *t)
{
    struct screen_lines l = {.head = LINES >= 8 ? 2 : 1};
    int area = LINES - l.head - 2;
    if (t->pane)
        l.pane = t->pane == HELP_PANE || LINES < 12 ? area : area / 2;
    l.rows = area - l.pane;
    return l;
}

int draw_room(const struct top *t)
{
    return screen_of(t).rows;
}

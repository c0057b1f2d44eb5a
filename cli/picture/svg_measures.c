/* SPDX-License-Identifier: MIT */
/* The measures of a row's parts. */
#include "svg.h"

int y_of_marks(const struct row *row)
{
    return ROW_PADDING + (row->kind == ROW_PROCESS ? 2 : 0);
}

int y_of_bars(const struct row *row)
{
    return y_of_marks(row) + (row->has_marks ? MARK_LINE : 0);
}

int y_of_incidents(const struct row *row)
{
    return y_of_bars(row) + (row->bar_lines ? row->bar_lines : 1) * BAR_LINE;
}

int height_of_step(int rung)
{
    return STEP_LEAST + (rung - 1) * 7 / 5;
}

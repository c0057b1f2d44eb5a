/* SPDX-License-Identifier: MIT */
/* The rows of a drawing, between svg.c and svg_rows.c. */
#ifndef BOUGH_CLI_PICTURE_SVG_H
#define BOUGH_CLI_PICTURE_SVG_H
#include "picture.h"

void svg_row(FILE *out, const struct picture *p, int row);
/* The texts in a row's gutter: the name, and the facts about the thread, branch or process. */
void svg_name(FILE *out, const struct picture *p, const struct row *row);
void svg_incidents(FILE *out, const struct picture *p, const struct row *row);
void svg_marks(FILE *out, const struct picture *p, const struct row *row);
/* Where parts of a row begin, from its top. */
int y_of_marks(const struct row *row);
int y_of_bars(const struct row *row);
int y_of_incidents(const struct row *row);
int height_of_step(int rung);

#endif

/* SPDX-License-Identifier: MIT */
/* The frame around the rows: title, legend, the axis of time. */
#ifndef BOUGH_CLI_PICTURE_FRAME_H
#define BOUGH_CLI_PICTURE_FRAME_H
#include "picture.h"

/* The height of what is above the rows. */
int frame_height(const struct picture *p);
void frame_title(FILE *out, const struct picture *p);
void frame_legend(FILE *out, const struct picture *p);
/* The lines of the grid are drawn under the rows, the axis with its labels over them. */
void frame_grid(FILE *out, const struct picture *p);
void frame_axis(FILE *out, const struct picture *p);
/* The line at the moment of the first failure, if there was one. */
void frame_failure(FILE *out, const struct picture *p);

#endif

/* SPDX-License-Identifier: MIT */
/* Text for people: control characters of other processes are escaped, times have units, a terminal gets colour. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Use colour if `out` is a terminal and NO_COLOR is not set, and UTF-8 for lines if the locale has it. Before this
 * call, text has neither. */
void choose_style(FILE *out);
/* Choose only the characters, without colour: for text that a library draws. */
void choose_characters(void);
/* Whether the environment allows colour. */
bool is_colour_wanted(void);

enum colour { PLAIN, BOLD, RED, GREEN, CYAN };
const char *colour(enum colour c);

enum drawing { STEM, FORK, CORNER };
const char *drawing(enum drawing d);

/* Print text from other processes, escaped (base/plain.h): a name can't move the cursor. */
void put_text(FILE *out, const char *text);
/* "1.2 s", "3 min 4 s", "5 h 6 min", "7 d 8 h". */
void put_time(FILE *out, int64_t ns);

#endif

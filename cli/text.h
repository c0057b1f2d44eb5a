/* SPDX-License-Identifier: MIT */
/* Text for people: text from other processes is made harmless, times have units, a terminal gets colour. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Colour if it is a terminal and NO_COLOR is not set; lines drawn in UTF-8 if the locale has it. Before that:
 * neither. */
void choose_style(FILE *out);
/* Only the characters, without colour: for text that a library draws. */
void choose_characters(void);
/* Whether the environment allows colour. */
bool is_colour_wanted(void);

enum colour { PLAIN, BOLD, RED, GREEN, CYAN };
const char *colour(enum colour c);

enum drawing { STEM, FORK, CORNER };
const char *drawing(enum drawing d);

/* Print text from other processes, made harmless (base/plain.h): a name can't move the cursor. */
void put_text(FILE *out, const char *text);
/* "1.2 s", "3 min 4 s", "5 h 6 min", "7 d 8 h". */
void put_time(FILE *out, int64_t ns);

#endif

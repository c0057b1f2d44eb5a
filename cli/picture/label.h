/* SPDX-License-Identifier: MIT */
/* Text in a drawing: escaped and truncated to fit; times with their units. */
#ifndef BOUGH_CLI_PICTURE_LABEL_H
#define BOUGH_CLI_PICTURE_LABEL_H
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { LABEL = 512 };

/* Writes text as character data or in an attribute's quotes. A character that is not allowed or not shown is U+FFFD. */
void xml_put(FILE *out, const char *text);
/* The width in pixels, for the widest of the usual fonts. */
double label_width(const char *text, double size);
/* Copies as much as fits, with an ellipsis if that is not the whole text. Returns `to`, empty if nothing fits. */
const char *label_fit(char *to, size_t size, const char *text, double font, double room);
/* The same for a call, "read(5)": its argument is left out if the name would be truncated otherwise. */
const char *label_fit_call(char *to, size_t size, const char *text, double font, double room);
/* "830 ns", "12.4 µs", "3.21 ms", "1.234 s", "2 min 3.4 s". Returns `to`. */
const char *label_time(char *to, size_t size, int64_t ns);
/* "1,234,567". Returns `to`. */
const char *label_number(char *to, size_t size, uint64_t n);

#endif

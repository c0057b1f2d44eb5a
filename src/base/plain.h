/* SPDX-License-Identifier: MIT */
/*
 * Escapes text from other code (a name, a reason, a path, a message) for a line of a log or for a terminal: the result
 * has no line break, no escape sequence, no character that changes the direction of the text, and no invalid UTF-8. All
 * of these functions may be called in a signal handler.
 */
#ifndef BO_BASE_PLAIN_H
#define BO_BASE_PLAIN_H

#include <stddef.h>
#include <stdint.h>

/* The length of the UTF-8 character that a text begins with, and its code; 0: the text begins with no valid one. */
int bo_character(const char *text, uint32_t *code);
/* The length of the character that a text begins with, if it is shown unchanged; 0: it has to be escaped. */
int bo_printable(const char *text);

/* How many bytes of a text to keep, at most `most`. The text is truncated between characters. */
size_t bo_cut(const char *text, size_t most);

enum { BO_ESCAPE = 4 }; /* the length of one byte as \xNN */

/* Make a copy in which each byte of an escaped character is \xNN. The copy is always terminated, and contains only
 * whole characters and escapes. Returns its length. */
size_t bo_plain(char *to, size_t size, const char *from);

#endif

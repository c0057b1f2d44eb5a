/* SPDX-License-Identifier: MIT */
/*
 * Text from other code (a name, a reason, a path, a message), for a line of a log or for a terminal. This is the one
 * place that makes it harmless: no line break, no escape sequence, no character that changes the direction of the text,
 * no invalid UTF-8. All of these functions may be called in a signal handler.
 */
#ifndef BO_BASE_PLAIN_H
#define BO_BASE_PLAIN_H

#include <stddef.h>
#include <stdint.h>

/* The length of the UTF-8 character that a text begins with, and its code; 0: it begins with none. */
int bo_character(const char *text, uint32_t *code);
/* The length of the character that a text begins with, if it is shown unchanged; 0: it is to be escaped. */
int bo_printable(const char *text);

/* How many bytes of a text to keep where only `most` have room. The text is cut between characters. */
size_t bo_cut(const char *text, size_t most);

enum { BO_ESCAPE = 4 }; /* the length of one byte as \xNN */

/* A copy in which each byte of an escaped character is written as \xNN. It is always terminated, and contains only
 * whole characters and escapes. Returns its length. */
size_t bo_plain(char *to, size_t size, const char *from);

#endif

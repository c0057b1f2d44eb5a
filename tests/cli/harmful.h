/* SPDX-License-Identifier: MIT */
/* For hostile.c: random numbers, and text that does harm if it is not escaped; and need(). */
#ifndef CLI_HARMFUL_H
#define CLI_HARMFUL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void need(bool condition, const char *what)
{
    if (!condition)
        perror(what), exit(1);
}

/* ---- random numbers ---------------------------------------------------------------------------------------------- */

struct dice {
    uint64_t state;
};

static uint64_t roll(struct dice *d)
{
    d->state ^= d->state << 13;
    d->state ^= d->state >> 7;
    d->state ^= d->state << 17;
    return d->state * 2685821657736338717u;
}

static uint32_t below(struct dice *d, uint32_t sides)
{
    return (uint32_t)((roll(d) >> 32) % sides);
}

static bool one_in(struct dice *d, uint32_t n)
{
    return below(d, n) == 0;
}

/* ---- text that does harm if it is not escaped -------------------------------------------------------------------- */

static const char *const harmful[] = {
    "\033[31m",
    "\033]0;title\a",
    "\r",
    "\n",
    "\n  1 at",
    "\t",
    "\b\b\b",
    "\x7f",
    ("\xc2\x9b"
     "2J"),
    "\u202e",
    "\u2066",
    "\"",
    "\\",
    "\xff",
    "\xe2\x80",
    "\xed\xa0\x80",
    "\xf4\x90\x80\x80",
    "%s%n",
    "\u2028",
    "\ufeff",
    "name",
    "ä",
    "\U0001f600",
    "</a>",
    "main",
    "reader",
    "\xc0\x80",
};
enum { HARMFUL = sizeof harmful / sizeof *harmful };

/* Terminated, or not. */
static void fill_text(struct dice *d, char *to, size_t size)
{
    size_t n = 0;
    while (n < size) {
        const char *part = harmful[below(d, HARMFUL)];
        char byte[2] = {(char)(1 + below(d, 255)), 0};
        part = one_in(d, 4) ? byte : part;
        size_t length = strlen(part) < size - n ? strlen(part) : size - n;
        memcpy(to + n, part, length);
        n += length;
        if (one_in(d, 4))
            break;
    }
    if (n < size)
        memset(to + n, 0, size - n);
    else if (one_in(d, 2))
        to[size - 1] = '\0';
}

/* The memory from which file names are read: it ends at an unmapped page. */
enum { TEXT = 1 << 16 };
static char *text;

static void make_text(void)
{
    text = mmap(NULL, TEXT + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    need(text != MAP_FAILED && mprotect(text + TEXT, 4096, PROT_NONE) == 0, "text");
}

static void new_text(struct dice *d)
{
    for (size_t at = 0; at < TEXT; at += 256)
        fill_text(d, text + at, 256);
}

static const char *some_file(struct dice *d)
{
    switch (below(d, 8)) {
    case 0:
        return (const char *)(uintptr_t)roll(d);
    case 1:
        return text + TEXT - 1 - below(d, 8); /* not terminated before the end of the page */
    case 2:
        return harmful[below(d, HARMFUL)];
    case 3:
        return text - below(d, 8192);
    default:
        return text + below(d, TEXT);
    }
}

#endif

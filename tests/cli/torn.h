/* SPDX-License-Identifier: MIT */
/* Branches, children and interrupts whose names and reasons show whether a reader has seen them whole. */
#ifndef TEST_TORN_H
#define TEST_TORN_H

#include <bough.h>
#include "harness.h"

/* A text that shows whether it is complete: a number and its complement. */
static void encode(char *text, size_t size, uint32_t x)
{
    snprintf(text, size, "%u:%u", x, ~x);
}

static void check_whole(const char *text, const char *what)
{
    unsigned x, y;
    char end;
    if (sscanf(text, "%u:%u%c", &x, &y, &end) != 2 || x != ~y)
        FAIL("a torn %s: '%s'", what, text);
}

static int ends_at_once(void *unused)
{
    (void)unused;
    return 0;
}

/* Opens and ends a branch with four children, and an interrupt that is cleared. */
static void add_and_end(uint32_t x)
{
    char name[32], reason[32];
    encode(name, sizeof name, x);
    encode(reason, sizeof reason, x * 7);
    BOUGH_BRANCH(b, .label = name) {
        struct bough_child_options options = {.name = name};
        for (int i = 0; i < 4; i++)
            bough_add_with(b, ends_at_once, bough_arg(NULL), &options);
        bough_interrupt(b, reason);
        bough_clear(b);
    }
}

#endif

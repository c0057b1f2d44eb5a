/* SPDX-License-Identifier: MIT */
/* The parts of docs/from-pthread_cancel.md, run. */
#include <bough.h>
#include <stdio.h>

static int steps;

static void step(void)
{
    if (++steps == 3)
        bough_interrupt(bough_self(), "three steps");
}

static void loop(void)
{
#include "3.inc"
}

static void grind(const volatile void *count)
{
    const volatile int *rounds = count;
    bough_interrupt(bough_self(), "in the middle");
    for (volatile int n = 0; *rounds; n = n + 1)
        continue;
}

#include "4.inc"

int main(void)
{
    loop();
    if (steps != 3 || bough_clear(NULL) != 1)
        return 1;
    static int rounds = 1;
    if (crunch(&rounds) != ECANCELED)
        return 2;
    return 0;
}

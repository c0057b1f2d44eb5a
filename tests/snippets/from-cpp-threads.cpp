/* SPDX-License-Identifier: MIT */
/* The parts of docs/from-cpp-threads.md, run. */
#include <bough.h>
#include <unistd.h>

#include "2.inc"

int main()
{
    int ends[2];
    char byte;
    if (pipe(ends) != 0)
        return 1;
    bough_interrupt(bough_self(), "now");
    try {
        read_or_throw(ends[0], &byte, 1);
        return 2;
    } catch (const interrupted &) {
        return 0;
    }
}

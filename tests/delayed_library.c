/* SPDX-License-Identifier: MIT */
/* For delays.py: one interrupt, so that places of the library are passed. */
#include <bough.h>

int main(void)
{
    bough_interrupt(bough_self(), NULL);
    return bough_check() == -1 && bough_clear(NULL) == 1 ? 0 : 1;
}

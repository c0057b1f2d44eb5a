/* SPDX-License-Identifier: MIT */
/* For delays.py: the same few hundred places each time, on one thread, twice each. Prints how many milliseconds passed. */
#include <stdio.h>
#include <time.h>

static volatile int sink;

#define PLACE(n)       \
    if (number == (n)) \
        sink = (n);
#define PLACES_10(n) \
    PLACE(n)         \
    PLACE(n + 1) PLACE(n + 2) PLACE(n + 3) PLACE(n + 4) PLACE(n + 5) PLACE(n + 6) PLACE(n + 7) PLACE(n + 8) PLACE(n + 9)

static void come_to(int number)
{
    PLACES_10(0)
    PLACES_10(10)
    PLACES_10(20)
    PLACES_10(30)
    PLACES_10(40)
}

int main(void)
{
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int i = 0; i < 100; i++)
        come_to(i % 50);
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%lld\n", (end.tv_sec - begin.tv_sec) * 1000LL + (end.tv_nsec - begin.tv_nsec) / 1000000);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* A program whose thread hangs at a known line, for symbols.py. It prints "ready", and hangs until it is killed. */
#include <bough.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

static volatile int turns;

/* A function of C++, as its compiler names it. */
__attribute__((noinline)) int cpp_waits(int ready) __asm__("_ZN5place4waitEi");
int cpp_waits(int ready)
{
    if (write(ready, "ready\n", 6) != 6)
        return 1;
    for (;;) {
        pause(); /* the known line */
        turns++;
    }
}

__attribute__((noinline)) static int may_be_renamed(void)
{
    int result = cpp_waits(STDOUT_FILENO);
    return turns + result;
}

static int ignores(void *unused)
{
    (void)unused;
    BOUGH_CRITICAL(BOUGH_SEC(1000))
        turns += may_be_renamed();
    return 0;
}

/* Ignores interrupts: only the last rung ends it. */
static void stays(void)
{
    for (;;)
        pause();
}

int main(void)
{
    atexit(stays);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    BOUGH_BRANCH(b)
        bough_add(b, ignores, bough_arg(NULL));
    return 0;
}

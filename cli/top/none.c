/* SPDX-License-Identifier: MIT */
/* `bough top` in a build without ncurses. */
#include "../command.h"

int top_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return fail("this build has no ncurses, which top needs: use `watch bough tree PID`");
}

/* SPDX-License-Identifier: MIT */
/* A child that blocks is interrupted and joined. */
#include <bough.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static int read_all(void *fds)
{
    char c;
    return bough_read(((int *)fds)[0], &c, 1) < 0 ? errno : 0;
}

int main(void)
{
    int fds[2];
    if (pipe(fds) != 0)
        return 1;
    BOUGH_BRANCH(readers) {
        bough_add(readers, read_all, bough_arg(fds));
        bough_interrupt(readers, "done");
    }
    printf("bough %s: %s\n", bough_version(), bough_last()->interrupted ? "stopped" : "not stopped");
    return bough_last()->interrupted ? 0 : 1;
}

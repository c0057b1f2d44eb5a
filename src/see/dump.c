/* SPDX-License-Identifier: MIT */
#include "see/dump.h"
#include <bough/ladder.h>
#include <string.h>
#include <unistd.h>
int bo_dump_because(int fd, unsigned flags, const char *why)
{
    (void)flags;
    return write(fd, why, strlen(why)) < 0 ? -1 : 0;
}
int bough_dump(int fd)
{
    return bo_dump_because(fd, 0, "dump");
}

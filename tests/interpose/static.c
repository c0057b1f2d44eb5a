/* SPDX-License-Identifier: MIT */
/* A static program has no tables of addresses: that is an error, and says so. */
#include <bough.h>
#include <errno.h>
#include <stdio.h>

int main(void)
{
    errno = 0;
    int n = bough_interpose(NULL, 0);
    printf("1..1\n%sok 1 - a static program is told that there is nothing to patch\n",
           n == -1 && errno == ENOTSUP ? "" : "not ");
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* A static program has no tables of addresses: bough_interpose() fails, and reports the reason. */
#include <bough.h>
#include <errno.h>
#include <stdio.h>

int main(void)
{
    errno = 0;
    int n = bough_interpose(NULL, 0);
    printf("1..1\n%sok 1 - in a static program bough_interpose() reports that there is nothing to patch\n",
           n == -1 && errno == ENOTSUP ? "" : "not ");
    return 0;
}

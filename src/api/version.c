/* SPDX-License-Identifier: MIT */
#include <bough.h>

const char *bough_version(void)
{
    return BOUGH_VERSION;
}

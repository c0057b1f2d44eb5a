/* SPDX-License-Identifier: MIT */
#include "ladder/closer.h"
void bo_close_thread(struct bo_thread *t)
{
    (void)t;
}

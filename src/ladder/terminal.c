/* SPDX-License-Identifier: MIT */
#include "ladder/terminal.h"
void bo_terminals_put_back(void)
{
}

/* SPDX-License-Identifier: MIT */
#ifndef BO_LADDER_TERMINAL_H
#define BO_LADDER_TERMINAL_H
void bo_terminals_put_back(void);
#endif

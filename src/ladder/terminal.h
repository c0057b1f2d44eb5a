/* SPDX-License-Identifier: MIT */
/*
 * Settings of terminals, kept to be put back. Only on the descriptor that they were read from, and only while that is
 * still the same terminal: the number may belong to another file by now.
 */
#ifndef BO_LADDER_TERMINAL_H
#define BO_LADDER_TERMINAL_H

/* Keep a terminal's settings as they are now. An id; -1 with ENOTTY, EBADF, ENOMEM. */
int bo_terminal_keep(int fd);
void bo_terminal_drop(int id);
/* Never waits, neither for unread output nor for the foreground. [signal] */
void bo_terminal_put_back(int id);
void bo_terminals_put_back(void);

#endif

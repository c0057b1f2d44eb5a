/* SPDX-License-Identifier: MIT */
/*
 * Saves and restores settings of terminals. They are restored only on the descriptor that they were read from, and only
 * if that is still the same terminal: the number may belong to another file by now.
 */
#ifndef BO_LADDER_TERMINAL_H
#define BO_LADDER_TERMINAL_H

/* Save a terminal's present settings. Returns an id; -1 with ENOTTY, EBADF, ENOMEM. */
int bo_terminal_keep(int fd);
void bo_terminal_drop(int id);
/* Restore the settings. Never waits, neither for unread output nor to be in the foreground. [signal] */
void bo_terminal_put_back(int id);
void bo_terminals_put_back(void);

#endif

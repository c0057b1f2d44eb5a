/* SPDX-License-Identifier: MIT */
/*
 * Sending a request to a process: it goes to the mailbox (state/mailbox_layout.h), with a signal to the one thread that
 * reads it, which waits for nothing else. No lock is taken, and the answer is checked like the contents of the arena.
 */
#ifndef CLI_MAILBOX_H
#define CLI_MAILBOX_H

#include "attach.h"
#include "state/mailbox_layout.h"

enum { LETTER_PATIENCE_MS = 3000 };

/* Sends *request and waits for the answer, which is put there. The number of the mailbox, to be freed by
 * mailbox_done(); -1 with `a->why` filled in. */
int mailbox_send(struct arena *a, struct bo_request *request);
void mailbox_done(const struct arena *a, int box);

#endif

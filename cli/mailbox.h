/* SPDX-License-Identifier: MIT */
/*
 * Sending a request to a process: it goes to the mailbox (state/mailbox_layout.h), with a signal to the one thread that
 * reads it, which waits for nothing else. No lock is taken, and the answer is checked like the contents of the arena.
 */
#ifndef CLI_MAILBOX_H
#define CLI_MAILBOX_H

#include <stdbool.h>
#include <stdint.h>
#include "attach.h"
#include "state/mailbox_layout.h"

/* For how long an answer is waited for after the last sign of work on it, and in any case. */
enum { ANSWER_PATIENCE_MS = 3000, ANSWER_LONGEST_MS = 60000 };

/* Waits until the request is answered; false: no sign of work on it was seen for `patience` ms, or `longest` is over.
 * Signs are a change of the box, and that one of the process's threads which answer runs or waits for a processor. */
bool mailbox_wait(const struct bo_request *box, pid_t pid, int64_t patience, int64_t longest);
/* Sends *request and waits for the answer, which is put there. The number of the mailbox, to be freed by
 * mailbox_done(); -1 with `a->why` filled in. */
int mailbox_send(struct arena *a, struct bo_request *request);
void mailbox_done(const struct arena *a, int box);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Sending a request to a process: the request goes to the mailbox (state/mailbox_layout.h), and a signal wakes the one
 * thread that reads the mailbox. No lock is taken, and the answer is checked like the contents of the arena.
 */
#ifndef CLI_MAILBOX_H
#define CLI_MAILBOX_H

#include <stdbool.h>
#include <stdint.h>
#include "attach.h"
#include "state/mailbox_layout.h"

/* The longest waits for an answer: since the last sign of work on the request, and in total. */
enum { ANSWER_PATIENCE_MS = 3000, ANSWER_LONGEST_MS = 60000 };

/* Waits until the request is answered; false: no sign of work on it was seen for `patience` ms, or `longest` ms have
 * passed. A sign is a change of the box, or that a thread of the process that answers requests is runnable. */
bool mailbox_wait(const struct bo_request *box, pid_t pid, int64_t patience, int64_t longest);
/* Sends *request, waits for the answer and stores it in *request. Returns the number of the mailbox, to be freed by
 * mailbox_done(); -1 with `a->why` filled in. */
int mailbox_send(struct arena *a, struct bo_request *request);
void mailbox_done(const struct arena *a, int box);

#endif

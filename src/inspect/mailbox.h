/* SPDX-License-Identifier: MIT */
/*
 * Requests from other processes, by the `bough` command: interrupt a target, write a dump (state/mailbox_layout.h). A
 * process that may write to the mailbox can do no more than that, whatever it writes: see docs/security.md.
 */
#ifndef BO_INSPECT_MAILBOX_H
#define BO_INSPECT_MAILBOX_H

#include <stdbool.h>
#include <stdint.h>

/* Read the requests. Called by the ticker. `run` passes a job to a helper, and returns false if there is no helper.
 * Returns when to call this again, on bo_clock(), to discard answers that were not fetched. */
int64_t bo_mail_read(bool (*run)(void (*fn)(void *), void *argument));
void bo_mail_after_fork(void);

#endif

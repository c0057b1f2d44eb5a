/* SPDX-License-Identifier: MIT */
/*
 * What is asked of the process from outside, by the `bough` command: interrupt a target, write a dump. The letter box is
 * part of the arena (state/arena.h), and so belongs to the user: who can write there could as well kill the process.
 */
#ifndef BO_INSPECT_MAILBOX_H
#define BO_INSPECT_MAILBOX_H

#include <stdbool.h>
#include <stdint.h>

/* Read what has come. By the ticker. `run` has a helper do something, and returns false if there is none. Returns when to
 * come again, on bo_clock(): answers that nobody fetches are thrown away. */
int64_t bo_mail_read(bool (*run)(void (*fn)(void *), void *argument));

#endif

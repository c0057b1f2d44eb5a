/* SPDX-License-Identifier: MIT */
/*
 * A process that outlives the way: it holds the objects that the way's threads wait for, and cleans up at the end. It
 * is forked first, while there is one thread.
 *
 *   keep(&keeper)          forks. 0 in the keeper, which has a separate process group; in the way the keeper's id
 *   keeper_is_ready()      in the keeper: lets the way continue; or keeper_skips()
 *   keeper_wait()          in the keeper: until the way reports that it begins, or has ended
 *   keeper_tell()          in the way: reports that it begins; returns when the keeper has read that
 *   keeper_hold()          in the keeper: until one and a half times the cap have passed
 */
#ifndef PROOF_KEEPER_H
#define PROOF_KEEPER_H

#include "program.h"

pid_t keep(void);
void keeper_is_ready(void);
void keeper_skips(const char *what) __attribute__((noreturn));
void keeper_wait(void);
void keeper_begin(void);
void keeper_hold(void);
int64_t keeper_end(void); /* the end of that time, for a loop */
bool keeper_holds(int64_t end);
int keeper_waits_at(void); /* a descriptor to poll for the event that keeper_wait() waits for */
/* A path to the keeper's `path`, even if that is mounted in the keeper's namespace only. */
const char *keeper_path(const char *path);
/* Adds the child. Main waits until it certainly sleeps in the intended state. States as in proc(5). */
void with_child_that_sleeps(bough_fn *child, const char *states);
/* Called by that child, right before its call. */
void about_to_sleep(void);
void wait_until_asleep(const char *states);

#endif

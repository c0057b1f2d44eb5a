/* SPDX-License-Identifier: MIT */
/*
 * A process beside the way, which outlives it: it holds what the way's threads wait for, and puts things right when all is over. It
 * is forked first, while there is one thread.
 *
 *   keep(&keeper)          in the keeper 0, its own process group; else the keeper's id
 *   keeper_is_ready()      in the keeper: the way goes on; or keeper_skips()
 *   keeper_wait()          in the keeper: until the way says that it begins, or is gone
 *   keeper_tell()          in the way: it begins; returns when the keeper has heard that
 *   keeper_hold()          in the keeper: until half of the cap has passed once more after the cap
 */
#ifndef PROOF_KEEPER_H
#define PROOF_KEEPER_H

#include "program.h"

pid_t keep(void);
void keeper_is_ready(void);
void keeper_skips(const char *what) __attribute__((noreturn));
void keeper_wait(void);
void keeper_tell(void);
void keeper_hold(void);
int64_t keeper_end(void); /* the same for a loop: */
bool keeper_holds(int64_t end);
int keeper_waits_at(void); /* a descriptor to wait at for what keeper_wait() waits for */
/* A path that leads to what the keeper has at `path`, also if that is mounted in a namespace of its own. */
const char *keeper_path(const char *path);
/* A child that is known to sleep in the way that it is meant to, when this returns: main waits for that. States as in proc(5). */
void with_child_that_sleeps(bough_fn *child, const char *states);
/* On that child, right before its call. */
void about_to_sleep(void);
void wait_until_asleep(const char *states);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A way not to stop: a program that does what a real one might, and is then asked to stop. `ways NAME KIND` runs one;
 * run.py watches it from outside, by the row of table.txt that names it.
 *
 *   WAY(compute_loop)
 *   {
 *       with_child(computes);         // a branch with one child; when it is at it, begin()s, and joins
 *   }
 *
 * It tells the watcher, on the descriptor that PROOF_WATCHER names, a line each:
 *
 *   times FLAG HANDLER FINAL CLOSE EXIT KILL CAP     what counts for the root, in s: once, at the beginning
 *   ready PID                                        send the signal
 *   posted TIME                                      the interrupt was posted by the program itself
 *   step KIND FROM TO WHY; PLACE                     a transition, from the callback
 *   note TEXT                                        what the row's artefacts are sought in
 *   skip WHY                                         this way can't be gone on this machine
 */
#ifndef PROOF_WAY_H
#define PROOF_WAY_H

#include <bough.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct way {
    const char *name;
    void (*go)(void);
    struct way *next;
};
void register_way(struct way *way);

#define WAY(name_)                                                      \
    static void go_##name_(void);                                       \
    static struct way way_##name_ = {.name = #name_, .go = go_##name_}; \
    __attribute__((constructor)) static void register_##name_(void)     \
    {                                                                   \
        register_way(&way_##name_);                                     \
    }                                                                   \
    static void go_##name_(void)

/* ---- telling the watcher --------------------------------------------------------------------- */

void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void skip(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void must(bool condition, const char *what); /* or skip, with errno */
#define MUST(condition) must((condition), #condition)
void tell(const char *line);
/* It puts things right, heard or not. */
extern bool outlives_the_watcher;

/* ---- being asked to stop ----------------------------------------------------------------------- */

/* Everything is in place: post to `target`, or to the root, if the kind is one that concerns the process. Kinds timeout
 * and sibling are posted as they come about, by a deadline or a failure; the target must be a branch of the caller's. */
void begin(bough_target target);
enum bough_kind kind(void);
/* The interrupt was reported as overdue. */
bool is_overdue(void);
/* The first step was reported: what ends the process in any case is set. */
bool has_climbed(void);

/* ---- being somewhere -------------------------------------------------------------------------------- */

/* On a child: what it came to do is begun. */
void in_place(void);
/* A branch with a child; waits until it is in place, begins, joins. */
void with_child(bough_fn *child);
void with_child_that(const struct bough_child_options *options, bough_fn *child);
void wait_until_in_place(int children);

/* Deaf: asleep, in calls that are not bough's, whatever signals come. For good; but where nothing ends a process that does
 * not heed (the mild kinds), only until it was reported. */
void be_deaf(void);
bool may_stop(void);
void rest(int ms);
/* The same on a machine that takes T_SCALE times as long, as the row's times are. */
void rest_scaled(int ms);
/* A child that is in place and deaf. */
int deaf(void *unused);
/* As an exit handler, so that rung 5 hangs. */
void hang(void);
int full_pipe(void);

#endif

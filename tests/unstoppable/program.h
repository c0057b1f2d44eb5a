/* SPDX-License-Identifier: MIT */
/*
 * A "way": a program that has one reason not to stop, as a real program might, and is then asked to stop. `ways NAME
 * KIND` runs one; run.py watches it from outside, by the row of table.txt with its name.
 *
 *   WAY(compute_loop)
 *   {
 *       with_child(computes);         // a branch with one child; calls begin() when the child is in place, and joins
 *   }
 *
 * It reports to the watcher, on the descriptor that PROOF_WATCHER names, one line for each event:
 *
 *   times FLAG HANDLER FINAL CLOSE EXIT KILL CAP     the root's times in s: once, at the beginning
 *   ready PID                                        send the signal
 *   posted TIME                                      the interrupt was posted by the program itself
 *   step KIND FROM TO WHY; PLACE                     a transition, from the callback
 *   note TEXT                                        text in which the row's artefacts are searched
 *   skip WHY                                         this way can't be run on this machine
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

/* ---- reports to the watcher -------------------------------------------------------------------------------------- */

void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void skip(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void must(bool condition, const char *what); /* if false, skips with errno */
#define MUST(condition) must((condition), #condition)
void report(const char *line);
/* Set by a keeper: it continues to clean up when the watcher no longer reads its reports. */
extern bool outlives_the_watcher;

/* ---- being asked to stop ----------------------------------------------------------------------------------------- */

/* Everything is in place: post to `target`, or to the root if the kind concerns the process. The kinds timeout and
 * sibling are posted by a deadline or a failure; the target must be a branch of the caller. */
void begin(bough_target target);
enum bough_kind kind(void);
/* Whether the interrupt was reported as overdue. */
bool is_overdue(void);
/* Whether the first step was reported: then the timer that ends the process in any case is set. */
bool has_climbed(void);

/* ---- being somewhere --------------------------------------------------------------------------------------------- */

/* Called by a child when it is in place. */
void in_place(void);
/* Opens a branch with a child, waits until it is in place, calls begin(), and joins. */
void with_child(bough_fn *child);
void with_child_that(const struct bough_child_options *options, bough_fn *child);
void wait_until_in_place(int children);

/* Sleeps in libc's calls, whatever signals come: for the kinds that never end the process until the interrupt was
 * reported as overdue, otherwise permanently. */
void be_deaf(void);
bool may_stop(void);
void rest(int ms);
/* As rest(), times T_SCALE, like the row's times. */
void rest_scaled(int ms);
/* A child that calls in_place() and be_deaf(). */
int deaf(void *unused);
/* Forks a process that ends with this one at the latest. */
pid_t fork_bound(void);
/* Registered as an exit handler, so that rung 5 hangs. */
void hang(void);
int full_pipe(void);

#endif

/* SPDX-License-Identifier: MIT */
/* Incidents that climb: short times, a child that ignores interrupts, and a list of the ladder's reports. */
#ifndef TEST_CLIMBER_H
#define TEST_CLIMBER_H

#include <bough.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include "harness.h"

/* Long enough for a loaded machine, short enough for a test. */
#define STEP_NS ((int64_t)(BOUGH_MS(150) * t_scale()))

/* Each rung takes `ns`, except the first (`first`) and the second (`second`). */
static inline void c_times_of(bough_target target, int64_t first, int64_t second, int64_t ns)
{
    struct bough_ladder l = {.cap = BOUGH_SEC(600), .time = {0, first, second, ns, ns, ns, ns}};
    CHECK_EQ(bough_ladder_set(target, &l), 0);
}

static inline void c_times(bough_target target, int64_t first, int64_t ns)
{
    c_times_of(target, first, ns, ns);
}

/* The time of an exit that succeeds, and of an exit that hangs. */
#define LONG_EXIT_NS ((int64_t)(BOUGH_SEC(10) * t_scale()))
#define SHORT_EXIT_NS (8 * STEP_NS)

/* Times for a program that the ladder ends. Exit and dump may begin late on a busy machine, so their limits are
 * long. */
static inline void c_times_to_the_end(int64_t exit_ns)
{
    struct bough_ladder l = {
        .cap = BOUGH_SEC(600),
        .time = {0, STEP_NS, STEP_NS, STEP_NS, STEP_NS, exit_ns, 20 * STEP_NS},
    };
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &l), 0);
}

/* The transitions that the callback has received. */
struct c_step {
    int from, to;
    enum bough_kind kind;
    char name[32], why[96], place[320];
    bough_target target, wider;
    pid_t source;
};
static struct c_step c_step[64];
static _Atomic int c_count;

static inline void c_note(const struct bough_transition *t, void *unused)
{
    (void)unused;
    struct c_step *step = &c_step[c_count];
    *step = (struct c_step){
        .from = t->from, .to = t->to, .kind = t->kind, .target = t->target, .wider = t->wider, .source = t->source};
    snprintf(step->name, sizeof step->name, "%s", t->name);
    snprintf(step->why, sizeof step->why, "%s", t->why);
    snprintf(step->place, sizeof step->place, "%s", t->place);
    c_count++;
}

static inline int c_has(int from, int to)
{
    for (int i = 0; i < c_count; i++)
        if (c_step[i].from == from && c_step[i].to == to)
            return 1;
    return 0;
}

static inline void c_silent(const char *line)
{
    (void)line;
}

/* Ignores failing points and works until the test releases it. */
static _Atomic int c_go, c_works;
static _Atomic unsigned c_fails;

static inline void c_work_on(void)
{
    c_works = 1;
    while (!c_go) {
        if (bough_check() != 0)
            c_fails++;
        bough_usleep(1000); /* fails at once after the interrupt */
        usleep(1000);
    }
}

/* A handler that counts its runs and returns a given verdict. `at` is the time of its last run, which a waiting thread
 * would measure too late. */
struct c_handler {
    _Atomic int ran;
    int64_t at;
    int verdict, rung;
    int64_t resume_for;
    struct bough_incident incident;
    void (*inside)(struct c_handler *);
};

static inline int c_handle(struct bough_incident *incident, void *argument)
{
    struct c_handler *h = argument;
    h->at = t_now();
    h->rung = incident->rung;
    h->incident = *incident;
    if (h->inside)
        h->inside(h);
    if (h->resume_for)
        incident->resume_until = bough_after(h->resume_for);
    h->ran++;
    return h->verdict;
}

#endif

/* SPDX-License-Identifier: MIT */
/* Rule 36: a handler that faults is ended, wherever the thread's alternate stack is. A signal that was sent is no
 * fault. */
#define _GNU_SOURCE
#include <bough.h>
#include <bough/ladder.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "../sync/not_under.h"
#include "frozen.h"
#include "harness.h"

enum { SIZE = 1 << 20, ALTERNATE = 1 << 16 };

static char *volatile nowhere;
static char line[256];
static char *alternate;
static struct t_gate inside;
static bough_thread *self;

static void keep(const char *text)
{
    if (strstr(text, "was ended by signal"))
        snprintf(line, sizeof line, "%s", text);
}

static int faults(struct bough_incident *incident, void *argument)
{
    (void)incident;
    (void)argument;
    *nowhere = 1;
    return BOUGH_UNWIND;
}

static void *faulty(void *unused)
{
    stack_t stack = {.ss_sp = alternate, .ss_size = ALTERNATE};
    CHECK_EQ(sigaltstack(&stack, NULL), 0);
    self = bough_self();
    /* The ceiling is the final handlers, of which there are none: the thread must not be closed. */
    struct bough_ladder ladder = {.grace = BOUGH_SEC(100)};
    for (int kind = 0; kind < BOUGH_KINDS; kind++)
        ladder.ceiling[kind] = BOUGH_RUNG_FINAL;
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &ladder), 0);
    BOUGH_HANDLE(faults, NULL) {
        t_gate_open(&inside);
        while (!line[0])
            bough_usleep(1000);
    }
    stack = (stack_t){.ss_flags = SS_DISABLE};
    CHECK_EQ(sigaltstack(&stack, NULL), 0);
    return unused;
}

/* The thread's stack is in the middle of an area, and its alternate stack is at offset `at` of the area. */
static void faults_with_alternate_stack_at(size_t at)
{
    pthread_attr_t attributes;
    pthread_t thread;
    struct bough_event event = {.kind = BOUGH_OPERATOR, .rung = BOUGH_RUNG_HANDLER};
    char *area = mmap(NULL, 3 * (size_t)SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(area != MAP_FAILED);
    alternate = area + at;
    inside = (struct t_gate){0};
    line[0] = '\0';
    bough_set_report(keep);
    CHECK_EQ(pthread_attr_init(&attributes), 0);
    CHECK_EQ(pthread_attr_setstack(&attributes, area + SIZE, SIZE), 0);
    CHECK_EQ(pthread_create(&thread, &attributes, faulty, NULL), 0);
    t_gate_wait(&inside);
    CHECK(bough_post_event(self, &event).record);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK(strstr(line, "by signal 11"));
    pthread_attr_destroy(&attributes);
    munmap(area, 3 * (size_t)SIZE);
}

TEST(a_handler_that_faults_is_ended_wherever_the_alternate_stack_lies)
{
    if (T_TSAN || T_ASAN || under_qemu())
        SKIP("here a sanitizer handles faults");
    faults_with_alternate_stack_at(0);
    faults_with_alternate_stack_at(2 * (size_t)SIZE + 4096);
}

static int does_nothing(struct bough_incident *incident, void *argument)
{
    (void)incident;
    (void)argument;
    return BOUGH_UNWIND;
}

static void send_to_itself(void *unused)
{
    (void)unused;
    BOUGH_HANDLE(does_nothing, NULL) {
    }
    raise(SIGSEGV);
}

TEST(a_signal_of_a_fault_that_was_sent_ends_the_process)
{
    if (T_TSAN || T_ASAN || under_qemu())
        SKIP("here a sanitizer handles faults");
    CHECK_KILLED(t_run_status(send_to_itself, NULL), SIGSEGV);
}

/* ---- code that the ladder runs on the library's threads ---------------------------------------------------------- */

static int ran;

static void faults_in_closer(void *unused)
{
    (void)unused;
    *nowhere = 1;
}

/* Needs 400 MB, far more than a stack's size. The caller's page is an argument, so that no compiler makes this a
 * loop. */
static __attribute__((noinline)) int recurse(int depth, const volatile char *outer)
{
    volatile char page[4096];
    page[0] = (char)depth;
    return depth < 100000 ? recurse(depth + 1, page) + outer[0] : 0;
}

static void uses_up_its_stack(void *unused)
{
    (void)unused;
    char none = 0;
    CHECK_EQ(recurse(0, &none), 0);
}

static void runs(void *unused)
{
    (void)unused;
    ran++;
}

static void *with_faulty_closers(void *argument)
{
    struct subject *s = argument;
    CHECK(bough_closer_fn(runs, NULL));
    CHECK(bough_closer_fn(uses_up_its_stack, NULL));
    CHECK(bough_closer_fn(runs, NULL));
    CHECK(bough_closer_fn(faults_in_closer, NULL));
    subject_known(s);
    for (char byte; bough_read(s->pipe[0], &byte, 1) < 0;)
        s->rounds++;
    return NULL;
}

/* Fixed bug: the process died without a dump. */
TEST(a_closer_that_faults_is_ended_and_the_others_run)
{
    struct subject s = {0};
    stack_t other;
    if (T_TSAN || T_ASAN || under_qemu())
        SKIP("here a sanitizer handles faults");
    bough_set_report(keep);
    subject_start(&s, with_faulty_closers);
    post_stop(s.self);
    must_freeze(s.self);
    subject_closed(&s);
    CHECK_EQ(ran, 2);
    CHECK(strstr(line, "a closer of thread"));
    CHECK(strstr(line, "was ended by signal 11"));
    CHECK_EQ(sigaltstack(NULL, &other), 0);
    CHECK(other.ss_flags & SS_DISABLE);
}

static int never_stops(void *argument)
{
    struct subject *s = argument;
    subject_known(s);
    for (char byte; bough_read(s->pipe[0], &byte, 1) < 0;)
        s->rounds++;
    return 0;
}

TEST(a_lost_childs_destructor_that_faults_does_not_delay_the_branch)
{
    struct subject s = {0};
    if (T_TSAN || T_ASAN || under_qemu())
        SKIP("here a sanitizer handles faults");
    bough_set_report(keep);
    CHECK_EQ(pipe(s.pipe), 0);
    BOUGH_BRANCH(b) {
        bough_thread *child = bough_add(b, never_stops, bough_resource_of(&s, faults_in_closer));
        t_gate_wait(&s.known);
        post_stop(child);
        must_freeze(child);
        subject_closed(&s);
    }
    CHECK_EQ(bough_last_result(), EOWNERDEAD);
    CHECK(strstr(line, "the destructor of a lost child's resource was ended by signal 11"));
}

static void exits_with_faulty_tier(void *unused)
{
    const int64_t soon = BOUGH_MS(20);
    struct bough_ladder l = {.cap = BOUGH_SEC(600), .time = {0, soon, soon, soon, soon, BOUGH_SEC(20), BOUGH_SEC(20)}};
    struct bough_event event = {.kind = BOUGH_OPERATOR, .reason = "the end"};
    (void)unused;
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &l), 0);
    CHECK_EQ(bough_exit_tier(0, faults_in_closer, NULL), 0);
    CHECK(bough_post_event(BOUGH_ROOT, &event).record);
    for (;;)
        pause();
}

TEST(an_exit_tier_that_faults_does_not_prevent_the_exit)
{
    if (T_TSAN || T_ASAN || under_qemu())
        SKIP("here a sanitizer handles faults");
    CHECK_EXITED(t_run_status(exits_with_faulty_tier, NULL), BOUGH_EXIT_STATUS);
}

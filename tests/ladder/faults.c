/* SPDX-License-Identifier: MIT */
/* Rule 36: a handler that faults is ended by that, wherever the thread's alternate stack lies; a signal that was sent is no
 * fault. */
#define _GNU_SOURCE
#include <bough.h>
#include <bough/ladder.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "../sync/not_under.h"
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
    /* No higher than to the final handlers, of which there are none: the thread is not to be closed. */
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

/* The thread's stack in the middle of an area, its alternate stack at this place of it. */
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
        SKIP("faults are somebody else's here");
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
        SKIP("faults are somebody else's here");
    CHECK_KILLED(t_run_status(send_to_itself, NULL), SIGSEGV);
}

/* SPDX-License-Identifier: MIT */
/* The kernel's timer, which ends the process behind rung 6. */
#include <bough.h>
#include <signal.h>
#include <stdatomic.h>
#include "harness.h"

enum { TOGETHER = 4, PROCESSES = 100 };
static _Atomic int arrived;

static void *comes_first(void *unused)
{
    for (arrived++; arrived < TOGETHER;)
        ;
    bough_self();
    return unused;
}

static int timers_that_kill(void)
{
    char line[256], wanted[32];
    int count = 0;
    FILE *f = fopen("/proc/self/timers", "re");
    if (!f)
        SKIP("the kernel does not tell of timers");
    snprintf(wanted, sizeof wanted, "signal: %d/", SIGKILL);
    while (fgets(line, sizeof line, f))
        count += strncmp(line, wanted, strlen(wanted)) == 0;
    fclose(f);
    return count;
}

static void come_together(void *unused)
{
    struct t_thread thread[TOGETHER];
    (void)unused;
    for (int i = 0; i < TOGETHER; i++)
        t_spawn(&thread[i], comes_first, NULL);
    for (int i = 0; i < TOGETHER; i++)
        t_join(&thread[i]);
    CHECK_EQ(timers_that_kill(), 1);
}

/* A race there was: threads that took part first at the same time made a timer each. The one that was forgotten could be
 * set already, and nobody set it back: the process ended, though all had been handled. */
TEST(one_timer_is_made_by_threads_that_come_at_the_same_time)
{
    for (int i = 0; i < PROCESSES; i++)
        CHECK_EXITED(t_run_status(come_together, NULL), 0);
}

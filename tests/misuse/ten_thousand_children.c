/* SPDX-License-Identifier: MIT */
/* Ten thousand children at once: blocked, interrupted, joined. */
#include "semantics/children.h"

static _Atomic int destroyed, blocked;

static void count(void *unused)
{
    (void)unused;
    destroyed++;
}

static int block(void *unused)
{
    blocked++;
    return until_stopped(unused);
}

static long resident_kb(void)
{
    char line[128];
    long kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmRSS: %ld", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return kb;
}

static double ms_since(int64_t from)
{
    return (double)(t_now() - from) / 1e6;
}

enum { MANY = T_ASAN || T_TSAN ? 1000 : 10000 };

TEST_LIMIT(ten_thousand_children_are_interrupted_and_joined, 120)
{
    struct bough_child_options o = {.stack = 128 * 1024};
    int64_t from = t_now();
    int added = 0;
    BOUGH_BRANCH(b) {
        while (added < MANY && bough_add_with(b, block, bough_resource_of(&destroyed, count), &o))
            added++;
        if (added < MANY) /* more than this machine allows: test with fewer */
            t_note("only %d of %d threads: %s", added, MANY, strerror(errno));
        CHECK(added >= MANY / 20);
        t_until(blocked == added);
        t_note("%d children started in %.0f ms, %ld KB resident", added, ms_since(from), resident_kb());
        from = t_now();
        CHECK_EQ(bough_interrupt(b, "test"), 0);
        t_note("interrupted in %.0f ms", ms_since(from));
    }
    t_note("joined after %.0f ms", ms_since(from));
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_last()->interrupted, 1);
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], added);
    CHECK_EQ(destroyed, added < MANY ? added + 1 : added); /* including the resource of the add that was refused */
}

/* A hundred children at a time, thousands in total: no resource is used up. */
TEST_LIMIT(twenty_thousand_children_in_turn_use_no_more_memory, 60)
{
    for (int round = 0; round < 200; round++) {
        BOUGH_BRANCH(b)
            for (int i = 0; i < 100; i++)
                add(b, work, bough_resource_of(NULL, count));
        CHECK_EQ(bough_last_result(), 0);
    }
    CHECK_EQ(destroyed, 20000);
    t_note("%ld KB resident", resident_kb());
}

/* SPDX-License-Identifier: MIT */
/* Ten thousand children at once: blocked, interrupted, joined. */
#include <sys/resource.h>
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

enum { CROWD = 10000, MANY = T_ASAN || T_TSAN ? 1000 : CROWD };

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

/* ---- blocked in reads, with the default stack -------------------------------------------------------------------- */

static int channel[2];
static _Atomic int began;

static int reads(void *unused)
{
    char byte;
    (void)unused;
    began++;
    return bough_read(channel[0], &byte, 1) < 0 ? errno : 0;
}

static long number_in(const char *path)
{
    long n = -1;
    FILE *f = fopen(path, "re");
    if (f && fscanf(f, "%ld", &n) != 1)
        n = -1;
    if (f)
        fclose(f);
    return n;
}

static void need_room(const char *path, long least)
{
    long limit = number_in(path);
    if (limit >= 0 && limit < least)
        SKIP("%s is %ld, and %ld are needed", path, limit, least);
}

static void need_limits(void)
{
    struct rlimit limit;
    if (T_TSAN)
        SKIP(
            "the thread sanitizer maps more for each thread than the kernel gives a process; the test before has 1,000");
    need_room("/proc/sys/kernel/pid_max", CROWD + 2000);
    need_room("/proc/sys/kernel/threads-max", CROWD + 2000);
    need_room("/proc/sys/vm/max_map_count", 2 * CROWD + 2000);
    need_room("/sys/fs/cgroup/pids.max", CROWD + 2000);
    need_room("/sys/fs/cgroup/pids/pids.max", CROWD + 2000);
    if (getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_cur < CROWD + 2000)
        SKIP("RLIMIT_NPROC is %ld", (long)limit.rlim_cur);
}

/* How many threads the machine allows. */
static int add_all(bough_branch *b)
{
    for (int i = 0; i < CROWD; i++)
        if (!bough_add(b, reads, number(i))) {
            CHECK(errno == EAGAIN || errno == ENOMEM);
            return i;
        }
    return CROWD;
}

static void until_all_run(int count)
{
    int64_t end = t_now() + (int64_t)(200e9 * t_scale());
    while (began < count && t_now() < end)
        usleep(1000);
    CHECK_EQ(began, count);
}

TEST_LIMIT(ten_thousand_blocked_children_are_interrupted_and_joined, 600)
{
    need_limits();
    CHECK_EQ(pipe(channel), 0);
    long before = resident_kb();
    int64_t start = t_now(), all_blocked = 0, woken = 0;
    int count = 0;
    BOUGH_BRANCH(crowd, .collect = 1) {
        count = add_all(crowd);
        until_all_run(count);
        all_blocked = t_now();
        t_note("%d children blocked after %.2f s, %ld KiB each", count, (double)(all_blocked - start) / 1e9,
               (resident_kb() - before) / (count + 1));
        CHECK_EQ(bough_interrupt(crowd, "enough"), 0);
        woken = t_now();
    }
    t_note("woken in %.2f s, joined in %.2f s", (double)(woken - all_blocked) / 1e9, (double)(t_now() - woken) / 1e9);
    close(channel[0]);
    close(channel[1]);
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], count);
    CHECK_EQ(bough_last()->count, count);
    if (count < CROWD)
        SKIP("this machine allows only %d threads", count);
}

/* ---- in turn ----------------------------------------------------------------------------------------------------- */

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

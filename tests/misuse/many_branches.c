/* SPDX-License-Identifier: MIT */
/* As many children and branches as possible. */
#include <sys/resource.h>
#include "semantics/children.h"

enum { CROWD = 10000, TABLE = 32768 };

/* ---- 10,000 children --------------------------------------------------------------------------------------------- */

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

/* In KiB. */
static long status_of(const char *what)
{
    char line[256];
    long n = -1;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, what, strlen(what)) == 0)
            n = strtol(line + strlen(what) + 1, NULL, 10);
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
        SKIP("the thread sanitizer maps more for each thread than the kernel gives a process; misuse-crowd has 1,000");
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
    long before = status_of("VmRSS");
    int64_t start = t_now(), blocked = 0, woken = 0;
    int count = 0;
    BOUGH_BRANCH(crowd, .collect = 1) {
        count = add_all(crowd);
        until_all_run(count);
        blocked = t_now();
        t_note("%d children blocked after %.2f s, %ld KiB each", count, (double)(blocked - start) / 1e9,
               (status_of("VmRSS") - before) / (count + 1));
        CHECK_EQ(bough_interrupt(crowd, "enough"), 0);
        woken = t_now();
    }
    t_note("woken in %.2f s, joined in %.2f s", (double)(woken - blocked) / 1e9, (double)(t_now() - woken) / 1e9);
    close(channel[0]);
    close(channel[1]);
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], count);
    CHECK_EQ(bough_last()->count, count);
    if (count < CROWD)
        SKIP("this machine allows only %d threads", count);
}

/* ---- the table is full ------------------------------------------------------------------------------------------- */

enum { INSIDE = 1000 };
static bough_branch *opened[TABLE];

static int open_all(void)
{
    int count = 0;
    while (count < TABLE && (opened[count] = bough_branch_open(NULL)))
        count++;
    CHECK_EQ(errno, EAGAIN);
    return count;
}

TEST_LIMIT(a_full_table_refuses_further_branches, 120)
{
    int count = open_all();
    CHECK(count > TABLE - 10 && count < TABLE);
    CHECK_ERR(bough_branch_open(NULL), EAGAIN);
    struct thing thing = {0};
    add(opened[count - 1], work, thing_of(&thing));
    CHECK_EQ(bough_interrupt(opened[0], "enough"), 0);
    CHECK_ERR(bough_check(), ECANCELED);
    CHECK_EQ(bough_clear(opened[0]), 1);
    CHECK_EQ(bough_check(), 0);
    while (count > 0)
        CHECK_EQ(bough_branch_end(opened[--count]), 0);
    CHECK_EQ(thing.destroyed, 1);
    CHECK_ERR(bough_interrupt(opened[0], "late"), ESRCH);
    BOUGH_BRANCH(again)
        add(again, work, number(0));
    CHECK_EQ(bough_last_result(), 0);
}

/* No slot was lost: as many branches can be opened as the first time. */
TEST_LIMIT(a_table_that_was_full_is_as_large_as_before, 120)
{
    int first = open_all();
    CHECK_EQ(bough_clear(NULL), 0);
    for (int i = first; i > 0; i--)
        CHECK_EQ(bough_branch_end(opened[i - 1]), 0);
    CHECK_EQ(open_all(), first);
    listen_to_reports();
    /* ends all branches inside, too, each of which checks all branches around it */
    CHECK_EQ(bough_branch_end(opened[first - INSIDE]), 0);
    CHECK(reported("left open"));
    for (int i = first - INSIDE; i > 0; i--)
        CHECK_EQ(bough_branch_end(opened[i - 1]), 0);
    CHECK_EQ(open_all(), first);
    for (int i = first; i > 0; i--)
        CHECK_EQ(bough_branch_end(opened[i - 1]), 0);
}

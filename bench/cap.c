/* SPDX-License-Identifier: MIT */
/* The machine's limits to the number of threads. */
#include "cap.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SPARE = 500 };

/* -1: there is no such file, or it contains no number. */
static long number_in(const char *path, const char *key)
{
    char line[256];
    long n = -1;
    FILE *file = fopen(path, "re");
    while (file && n < 0 && fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0 && sscanf(line + strlen(key), " %ld", &n) != 1)
            break;
    if (file)
        fclose(file);
    return n;
}

/* All threads of the machine: "0.10 0.20 0.30 2/345 6789". */
static long threads_now(void)
{
    long n = 0;
    FILE *file = fopen("/proc/loadavg", "re");
    if (file && fscanf(file, "%*f %*f %*f %*d/%ld", &n) != 1)
        n = 0;
    if (file)
        fclose(file);
    return n;
}

static void lower(struct cap *cap, long room, const char *what, long limit)
{
    if (limit < 0 || room >= cap->threads)
        return;
    cap->threads = room > 1 ? room : 1;
    snprintf(cap->why, sizeof cap->why, "%s is %ld", what, limit);
}

struct cap find_cap(void)
{
    enum { KIB_A_THREAD = 64, MAPS_A_THREAD = 2 };
    static const char *const of_group[] = {"/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max"};
    struct cap cap = {.threads = MOST};
    struct rlimit processes;
    long n, others = threads_now() + SPARE;
    n = number_in("/proc/sys/kernel/pid_max", "");
    lower(&cap, n - others, "kernel.pid_max", n);
    n = number_in("/proc/sys/kernel/threads-max", "");
    lower(&cap, n - others, "kernel.threads-max", n);
    n = number_in("/proc/sys/vm/max_map_count", "");
    lower(&cap, n / MAPS_A_THREAD - SPARE, "vm.max_map_count", n);
    n = number_in("/proc/meminfo", "MemAvailable:");
    lower(&cap, n / KIB_A_THREAD, "MemAvailable in KiB", n);
    for (size_t i = 0; i < sizeof of_group / sizeof *of_group; i++) {
        n = number_in(of_group[i], "");
        lower(&cap, n - SPARE, of_group[i], n);
    }
    if (geteuid() != 0 && getrlimit(RLIMIT_NPROC, &processes) == 0 && processes.rlim_cur != RLIM_INFINITY)
        lower(&cap, (long)processes.rlim_cur - SPARE, "RLIMIT_NPROC", (long)processes.rlim_cur);
    return cap;
}

/* SPDX-License-Identifier: MIT */
/* Shared by contenders: time, descriptors to read and to block on, and detecting that a thread blocks. */
#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Long enough for the target's processor to go idle, short enough to take thousands of samples. */
#define SETTLE_NS 30000

int64_t bench_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

void bench_die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    _exit(1);
}

void bench_record(struct batch *batch, int64_t ns, size_t operations)
{
    if (batch->count == batch->room) {
        batch->room = batch->room ? 2 * batch->room : 64;
        batch->sample = realloc(batch->sample, batch->room * sizeof *batch->sample);
        if (!batch->sample)
            bench_die("out of memory");
    }
    batch->sample[batch->count++] = (double)ns / (double)operations;
}

int bench_zero(void)
{
    static int fd = -1;
    if (fd < 0)
        fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        bench_die("/dev/zero: %s", strerror(errno));
    return fd;
}

static int empty[2] = {-1, -1};

int bench_empty(void)
{
    if (empty[0] < 0 && pipe2(empty, O_CLOEXEC) != 0)
        bench_die("pipe: %s", strerror(errno));
    return empty[0];
}

void bench_empty_close(void)
{
    close(empty[1]);
}

/* ---- one blocked thread --------------------------------------------------------------------- */

static pid_t blocking;

void bench_blocking(void)
{
    __atomic_store_n(&blocking, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
}

/* The kernel's letter for a task's state: S for sleeping. */
static char state_of(const char *path)
{
    char text[512];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return 0;
    text[n] = 0;
    const char *name_end = strrchr(text, ')');
    if (!name_end || name_end[1] == '\0')
        return 0;
    return name_end[2];
}

void bench_await_blocked(void)
{
    char path[64];
    pid_t tid;
    while ((tid = __atomic_load_n(&blocking, __ATOMIC_ACQUIRE)) == 0)
        sched_yield();
    __atomic_store_n(&blocking, 0, __ATOMIC_RELAXED);
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
    while (state_of(path) != 'S')
        sched_yield();
    for (int64_t until = bench_now() + SETTLE_NS; bench_now() < until;)
        continue;
}

/* ---- a crowd of blocked threads ------------------------------------------------------------- */

struct memory {
    double rss, tables, stacks;
};

static double kib_in(const char *path, const char *key)
{
    char line[256];
    double kib = 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0)
            kib += strtod(line + strlen(key), NULL);
    fclose(file);
    return kib * 1024;
}

/* smaps_rollup walks the page tables and is exact; VmRSS is a sum of counters for each processor, and can be wrong by
 * half a megabyte. The figure for kernel stacks includes other processes. */
static struct memory memory_now(void)
{
    struct memory memory;
    memory.rss = kib_in("/proc/self/smaps_rollup", "Rss:");
    if (memory.rss == 0)
        memory.rss = kib_in("/proc/self/status", "VmRSS:");
    memory.tables = kib_in("/proc/self/status", "VmPTE:");
    memory.stacks = kib_in("/proc/meminfo", "KernelStack:");
    return memory;
}

static struct memory before;
static size_t arrived;

void bench_crowd_begin(void)
{
    arrived = 0;
    bench_empty();
    before = memory_now();
}

void bench_crowd_arrive(void)
{
    __atomic_fetch_add(&arrived, 1, __ATOMIC_RELEASE);
}

static int all_others_sleep(void)
{
    char path[300];
    DIR *tasks = opendir("/proc/self/task");
    int asleep = 1;
    if (!tasks)
        bench_crowd_skip("/proc/self/task can't be read");
    for (struct dirent *entry; asleep && (entry = readdir(tasks));) {
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == getpid())
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/stat", entry->d_name);
        asleep = state_of(path) == 'S';
    }
    closedir(tasks);
    return asleep;
}

void bench_crowd_await(size_t n)
{
    while (__atomic_load_n(&arrived, __ATOMIC_ACQUIRE) < n)
        usleep(100);
}

void bench_crowd_blocked(struct batch *batch)
{
    bench_crowd_await(batch->n);
    while (!all_others_sleep())
        usleep(1000);
    struct memory after = memory_now();
    batch->rss = (after.rss - before.rss) / (double)batch->n;
    batch->tables = (after.tables - before.tables) / (double)batch->n;
    batch->stacks = (after.stacks - before.stacks) / (double)batch->n;
}

void bench_crowd_skip(const char *reason)
{
    printf("skip %s\n", reason);
    fflush(stdout);
    _exit(0);
}

/* SPDX-License-Identifier: MIT */
/* A client library that was not written for bough, on a thread that is interrupted in the middle of a request, at a
 * random moment while the thread is blocked. Measured: the time from the interrupt to the end of the request, and the
 * descriptors, memory, stacks and threads that remain. Each measurement is also printed as a line "row|...",
 * from which table.py makes the table of docs/clients.md.  */
#ifndef TEST_CLIENT_H
#define TEST_CLIENT_H

#include <bough.h>
#include <dirent.h>
#include <malloc.h>
#include <stdbool.h>
#include <sys/mman.h>
#include "harness.h"

enum { MOST = 2000, WARM = 20, ALL_WITHIN_MS = 100 };

static struct client {
    int (*request)(void); /* blocks until it is interrupted. Returns 0 if it failed as expected */
    void (*check)(void);  /* checks that a new connection works; may be NULL */
    bool (*blocked)(void);
    const char *not_interruptible; /* why the interrupt does not end the request; NULL: the interrupt ends it */
    const char *source;            /* the line of the library's source that is the reason; may be NULL */
    const char *dumped;            /* a part of the dump's line about the blocked thread; may be NULL */
    void (*release)(void);         /* ends a request that is not interruptible */
    bool anywhere;                 /* interrupted whether it is blocked or not */
    struct bough_foreign ways;
    char errors[120]; /* the errors with which the calls of the last request failed */
    _Atomic pid_t tid;
    _Atomic int64_t back; /* the time at which the request had ended */
    int64_t delayed;      /* the time that the thread had waited for a processor by then */
    int64_t net;          /* the last interrupt's time, without the time that both threads had waited for a processor */
    uint64_t chance;
} client;

/* Returns the time that a thread has waited for a processor, in ns. */
static inline int64_t client_delayed(pid_t tid)
{
    char path[64];
    long long ran, waited = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/schedstat", (int)tid);
    FILE *file = fopen(path, "re");
    if (file && fscanf(file, "%lld %lld", &ran, &waited) != 2)
        waited = 0;
    if (file)
        fclose(file);
    return waited;
}

/* A request calls this as soon as the library's call has returned. */
static inline void client_back(void)
{
    if (client.back)
        return;
    client.back = t_now();
    client.delayed = client_delayed(client.tid);
}

static inline int client_note_cut(void *unused, const struct bough_cut *cut)
{
    (void)unused;
    size_t used = strlen(client.errors);
    snprintf(client.errors + used, sizeof client.errors - used, "%s%s() %s", used ? ", " : "", cut->call,
             strerrorname_np(cut->error));
    return 0;
}

static inline int client_child(void *unused)
{
    (void)unused;
    client.errors[0] = '\0';
    if (!client.ways.on_cut)
        client.ways.on_cut = client_note_cut;
    CHECK_EQ(bough_foreign_set(&client.ways), 0);
    client.tid = gettid();
    int wrong = client.request();
    client_back();
    CHECK_EQ(wrong, 0);
    CHECK_ERR(bough_check(), ECANCELED);
    return ECANCELED;
}

/* Waits until the thread is blocked, and still blocked after a random time of up to a millisecond. */
static inline void client_until_blocked(void)
{
    struct timespec pause = {0, (long)(t_random(&client.chance) % 1000000)};
    t_until(client.tid != 0);
    if (client.blocked)
        t_until(client.blocked());
    if (!client.anywhere)
        t_until_blocked(client.tid);
    nanosleep(&pause, NULL);
    if (!client.anywhere)
        t_until_blocked(client.tid);
}

/* ---- requests that are not interruptible ------------------------------------------------------------------------- */

/* Checks that a dump names the call and its error. */
static inline void client_note_dump(void)
{
    char text[16384], thread[40];
    int fd = memfd_create("dump", MFD_CLOEXEC);
    CHECK_EQ(bough_dump(fd), 0);
    ssize_t size = pread(fd, text, sizeof text - 1, 0);
    CHECK(size > 0);
    text[size] = '\0';
    close(fd);
    snprintf(thread, sizeof thread, "(%d)", (int)client.tid);
    char *line = strstr(text, thread);
    CHECK(line);
    line[strcspn(line, "\n")] = '\0';
    t_note("the dump: %s", line);
    CHECK(strstr(line, client.dumped ? client.dumped : ""));
}

/* Checks that the request goes on waiting, and ends it by a function of the library. */
static inline void client_release(void)
{
    static bool noted;
    t_until_blocked(client.tid);
    CHECK_EQ(client.back, 0);
    if (!noted)
        client_note_dump();
    noted = true;
    client.release();
}

/* ---- one interrupt ----------------------------------------------------------------------------------------------- */

/* Under valgrind the caller may come back to the call later than a retry may (rule 46): then the next interrupt ends
 * the request. */
static inline bool client_is_timed(void)
{
    return !client.not_interruptible && !getenv("CLIENTS_UNDER");
}

/* Interrupts a request. Returns the time until its end, which must be short without the time that both threads waited
 * for a processor. */
static inline int64_t client_cut_one(void)
{
    int64_t took = 0;
    struct bough_child_options options = {.foreign = 1};
    client.tid = 0;
    client.back = 0;
    BOUGH_BRANCH(b, .collect = 1) {
        bough_thread *child = bough_add_with(b, client_child, bough_arg(NULL), &options);
        CHECK(child);
        client_until_blocked();
        int64_t delayed = client_delayed(client.tid) + client_delayed(gettid()), posted = t_now();
        CHECK_EQ(bough_interrupt(child, "enough"), 0);
        if (client.not_interruptible)
            client_release();
        CHECK_EQ(bough_join(child), 0);
        CHECK_EQ(bough_outcome(child, NULL), BOUGH_INTERRUPTED);
        took = client.back - posted;
        client.net = took - (client.delayed + client_delayed(gettid()) - delayed);
        CHECK(!client_is_timed() || client.net < ALL_WITHIN_MS * 1000000 * t_scale());
    }
    return took;
}

/* ---- leftovers --------------------------------------------------------------------------------------------------- */

struct client_left {
    long descriptors, memory, stacks, threads;
};

static inline long client_count_in(const char *path)
{
    long count = 0;
    DIR *folder = opendir(path);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

/* Mappings of 8 MiB that can be written: libc's stacks. */
static inline long client_stacks(void)
{
    char line[400];
    long count = 0;
    FILE *file = fopen("/proc/self/maps", "re");
    CHECK(file);
    while (fgets(line, sizeof line, file)) {
        unsigned long from, to;
        count += sscanf(line, "%lx-%lx rw-p", &from, &to) == 2 && to - from == 8ul << 20;
    }
    fclose(file);
    return count;
}

#ifdef __GLIBC__
#define IN_USE() ((long)mallinfo2().uordblks)
#else
#define IN_USE() 0L
#endif

static inline struct client_left client_count(void)
{
    return (struct client_left){client_count_in("/proc/self/fd"), IN_USE(), client_stacks(),
                                client_count_in("/proc/self/task")};
}

/* A library's threads may clean up later. Caches settle at some kB, however often the request is made; a leaked
 * connection takes thousands of bytes. with_servers.py switches libc's caches for threads off, which would count as
 * memory in use; but libc keeps five stacks of threads that have ended. */
static inline bool client_is_flat(const struct client_left *before)
{
    struct client_left now = client_count();
    return now.descriptors <= before->descriptors && now.memory - before->memory < 16384 &&
           now.stacks <= before->stacks + 5 && now.threads <= before->threads;
}

/* Threads that a library has left behind may end first. */
static inline struct client_left client_settle(void)
{
    struct client_left before, now = client_count();
    do {
        before = now;
        nanosleep(&(struct timespec){0, 10000000}, NULL);
        now = client_count();
    } while (now.threads != before.threads || now.descriptors != before.descriptors);
    return now;
}

/* ---- many interrupts --------------------------------------------------------------------------------------------- */

static inline int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* CLIENTS_ROUNDS sets a lower number, for valgrind, under which a round takes long. */
static inline int client_rounds(int count)
{
    const char *most = getenv("CLIENTS_ROUNDS");
    int rounds = most ? atoi(most) : count;
    return rounds > 0 && rounds < count ? rounds : count;
}

static inline void client_check(void)
{
    if (client.check)
        client.check();
}

/* `took` is sorted. */
static inline void client_note(const char *what, const int64_t *took, int count, const struct client_left *before)
{
    struct client_left now = client_count();
    double median = (double)took[count / 2] / 1e6, p99 = (double)took[count * 99 / 100] / 1e6,
           worst = (double)took[count - 1] / 1e6;
    if (client.not_interruptible)
        t_note("row|%s|%d||||%s|%s", what, count, client.not_interruptible, client.source ? client.source : "");
    else
        t_note("row|%s|%d|%.2f|%.2f|%.2f||%s", what, count, median, p99, worst, client.errors);
    t_note("%ld descriptors, %ld bytes, %ld stacks, %ld threads left behind", now.descriptors - before->descriptors,
           now.memory - before->memory, now.stacks - before->stacks, now.threads - before->threads);
}

/* Interrupts a request `count` times. */
static inline void client_cut(const char *what, int count)
{
    static int64_t took[MOST], net[MOST];
    count = client_rounds(count);
    client.chance = t_seed() | 1;
    CHECK(bough_interpose(NULL, 0) > 0);
    for (int i = 0, warm = client_rounds(WARM); i < warm; i++)
        client_cut_one();
    client_check();
    struct client_left before = client_settle();
    for (int i = 0; i < count; i++) {
        took[i] = client_cut_one();
        net[i] = client.net;
    }
    client_check();
    t_until(client_is_flat(&before));
    qsort(took, (size_t)count, sizeof *took, by_size);
    client_note(what, took, count, &before);
    if (client.not_interruptible)
        return;
    qsort(net, (size_t)count, sizeof *net, by_size);
    CHECK(net[count / 2] < 5000000 * t_scale());
}

#endif

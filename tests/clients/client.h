/* SPDX-License-Identifier: MIT */
/*
 * A client library that knows nothing of bough, on a thread that is interrupted in the middle of a request. Counted: how
 * long from the post until the library has given up; what it leaves behind.
 */
#ifndef TEST_CLIENT_H
#define TEST_CLIENT_H

#include <bough.h>
#include <dirent.h>
#include <malloc.h>
#include <stdbool.h>
#include "harness.h"

enum { MOST = 2000, WARM = 20 };

static struct client {
    int (*request)(void); /* blocks until it is cut; 0: it has failed as it should */
    void (*check)(void);  /* a new connection does what it is asked */
    _Atomic pid_t tid;
    _Atomic int64_t back; /* when the library had given up */
    bool (*blocked)(void);
    struct bough_foreign ways;
} client;

static inline int client_child(void *unused)
{
    (void)unused;
    CHECK_EQ(bough_foreign_set(&client.ways), 0);
    client.tid = gettid();
    int wrong = client.request();
    CHECK_EQ(wrong, 0);
    CHECK_ERR(bough_check(), ECANCELED);
    return ECANCELED;
}

/* To be called by a request as soon as the library's call has returned. */
static inline void client_back(void)
{
    client.back = t_now();
}

static inline int64_t client_cut_one(void)
{
    int64_t took = 0;
    struct bough_child_options options = {.foreign = 1};
    client.tid = 0;
    client.back = 0;
    BOUGH_BRANCH(b, .collect = 1) {
        bough_thread *child = bough_add_with(b, client_child, bough_arg(NULL), &options);
        CHECK(child);
        t_until(client.tid != 0);
        if (client.blocked)
            t_until(client.blocked());
        t_until_blocked(client.tid);
        int64_t posted = t_now();
        CHECK_EQ(bough_interrupt(child, "enough"), 0);
        CHECK_EQ(bough_join(child), 0);
        CHECK_EQ(bough_outcome(child, NULL), BOUGH_INTERRUPTED);
        took = client.back - posted;
    }
    return took;
}

static inline long client_descriptors(void)
{
    long count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static inline int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

#ifdef __GLIBC__
#define IN_USE() ((long)mallinfo2().uordblks)
#else
#define IN_USE() 0L
#endif

/* CLIENTS_ROUNDS: fewer, where each takes long (valgrind). */
static inline int client_rounds(int count)
{
    const char *most = getenv("CLIENTS_ROUNDS");
    int rounds = most ? atoi(most) : count;
    return rounds > 0 && rounds < count ? rounds : count;
}

/* Cuts a request `count` times. */
static inline void client_cut(const char *what, int count)
{
    static int64_t took[MOST];
    count = client_rounds(count);
    CHECK(bough_interpose(NULL, 0) > 0);
    for (int i = 0, warm = client_rounds(WARM); i < warm; i++)
        client_cut_one();
    client.check();
    long descriptors = client_descriptors(), memory = IN_USE();
    for (int i = 0; i < count; i++)
        took[i] = client_cut_one();
    client.check();
    /* What a library's own threads tidy away comes later; caches settle at some 10 kB, however often the request is made; a
     * connection that is lost has thousands of bytes. */
    t_until(client_descriptors() <= descriptors && IN_USE() - memory < 16384 + 100 * count);
    long lost = client_descriptors() - descriptors, more = IN_USE() - memory;
    qsort(took, (size_t)count, sizeof *took, by_size);
    t_note(
        "%s: %d interrupts, none missed; median %.3f ms, p99 %.3f ms, worst %.3f ms; %ld descriptors, %ld bytes left behind",
        what, count, (double)took[count / 2] / 1e6, (double)took[count * 99 / 100] / 1e6, (double)took[count - 1] / 1e6,
        lost, more);
    CHECK_EQ(lost, 0);
    CHECK(took[count / 2] < 5000000 * t_scale());
}

#endif

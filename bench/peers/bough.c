/* SPDX-License-Identifier: MIT */
/* bough, whose numbers are in the table's left column. */
#include "../bench.h"

#include <bough.h>
#include <poll.h>
#include <string.h>

/* ---- check ---------------------------------------------------------------------------------- */

static const char *adopt(void)
{
    return bough_adopt("bench") ? NULL : "bough_adopt() failed";
}

static void check(struct batch *batch)
{
    int64_t start = bench_now();
    for (size_t i = 0; i < batch->n; i++) {
        if (bough_check() != 0)
            bench_die("bough_check() failed without an interrupt");
        bench_barrier();
    }
    bench_record(batch, bench_now() - start, batch->n);
}

static void dense(struct batch *batch)
{
    int64_t start = bench_now();
    for (size_t i = 0; i < batch->n; i += 16) {
        BENCH_16(if (bough_check() != 0) bench_die("bough_check() failed without an interrupt"))
    }
    bench_record(batch, bench_now() - start, batch->n);
}

/* ---- read ----------------------------------------------------------------------------------- */

static void read_zero(struct batch *batch)
{
    int fd = bench_zero();
    char byte;
    int64_t start = bench_now();
    for (size_t i = 0; i < batch->n; i++)
        if (bough_read(fd, &byte, 1) != 1)
            bench_die("bough_read(): no byte");
    bench_record(batch, bench_now() - start, batch->n);
}

/* ---- post to joined ------------------------------------------------------------------------- */

static int reader(void *unused)
{
    char byte;
    (void)unused;
    bench_blocking();
    if (bough_read(bench_empty(), &byte, 1) != -1 || errno != ECANCELED)
        bench_die("bough_read(): not interrupted: %s", strerror(errno));
    return ECANCELED;
}

static void post(struct batch *batch)
{
    bough_branch *branch = bough_branch_open(NULL);
    if (!branch)
        bench_die("bough_branch_open(): %s", strerror(errno));
    for (size_t i = 0; i < batch->n; i++) {
        bough_thread *child = bough_add(branch, reader, bough_arg(NULL));
        if (!child)
            bench_die("bough_add(): %s", strerror(errno));
        bench_await_blocked();
        int64_t start = bench_now();
        if (bough_interrupt(child, "bench") != 0 || bough_join(child) != 0)
            bench_die("bough_interrupt(), bough_join(): %s", strerror(errno));
        bench_record(batch, bench_now() - start, 1);
    }
    bough_branch_end(branch); /* its result is checked by the tests */
}

/* ---- add and join --------------------------------------------------------------------------- */

static int nothing(void *unused)
{
    (void)unused;
    return 0;
}

static void add_join(struct batch *batch)
{
    bough_branch *branch = bough_branch_open(NULL);
    int64_t start = bench_now();
    for (size_t i = 0; i < batch->n; i++) {
        bough_thread *child = bough_add(branch, nothing, bough_arg(NULL));
        if (!child || bough_join(child) != 0)
            bench_die("bough_add(), bough_join(): %s", strerror(errno));
    }
    bench_record(batch, bench_now() - start, batch->n);
    if (bough_branch_end(branch) != 0)
        bench_die("bough_branch_end(): a child that did nothing failed");
}

static void open_add_end(struct batch *batch)
{
    int64_t start = bench_now();
    for (size_t i = 0; i < batch->n; i++) {
        bough_branch *branch = bough_branch_open(NULL);
        if (!bough_add(branch, nothing, bough_arg(NULL)) || bough_branch_end(branch) != 0)
            bench_die("bough_add(), bough_branch_end(): %s", strerror(errno));
    }
    bench_record(batch, bench_now() - start, batch->n);
}

/* ---- a crowd -------------------------------------------------------------------------------- */

static int poller(void *unused)
{
    struct pollfd wait = {.fd = bench_empty(), .events = POLLIN};
    (void)unused;
    bench_crowd_arrive();
    if (bough_poll(&wait, 1, -1) != -1 || errno != ECANCELED)
        bench_die("bough_poll(): not interrupted: %s", strerror(errno));
    return ECANCELED;
}

static int crowd_reader(void *unused)
{
    char byte;
    (void)unused;
    bench_crowd_arrive();
    if (bough_read(bench_empty(), &byte, 1) != -1 || errno != ECANCELED)
        bench_die("bough_read(): not interrupted: %s", strerror(errno));
    return ECANCELED;
}

static void crowd(struct batch *batch, bough_fn *fn)
{
    bench_crowd_begin();
    bough_branch *branch = bough_branch_open(NULL);
    if (!branch)
        bench_die("bough_branch_open(): %s", strerror(errno));
    for (size_t i = 0; i < batch->n; i++)
        if (!bough_add(branch, fn, bough_arg(NULL)))
            bench_crowd_skip(strerror(errno));
    bench_crowd_blocked(batch);

    int64_t start = bench_now();
    if (bough_interrupt(branch, "bench") != 0)
        bench_die("bough_interrupt(): %s", strerror(errno));
    int result = bough_branch_end(branch);
    bench_record(batch, bench_now() - start, batch->n);
    if (result != 0)
        bench_die("bough_branch_end(): %s", strerror(result));
}

static void crowd_poll(struct batch *batch)
{
    crowd(batch, poller);
}
static void crowd_read(struct batch *batch)
{
    crowd(batch, crowd_reader);
}

const struct contender bench_bough[] = {
    {BENCH_CHECK, "bough_check()", adopt, check, NULL},
    {BENCH_DENSE, "bough_check()", NULL, dense, NULL},
    {BENCH_READ, "bough_read()", NULL, read_zero, NULL},
    {BENCH_POST, "bough", NULL, post, NULL},
    {BENCH_SPAWN, "add, join", NULL, add_join, NULL},
    {BENCH_SPAWN, "open, add, end", NULL, open_add_end, NULL},
    {BENCH_CROWD, "bough, poll", NULL, crowd_poll, NULL},
    {BENCH_CROWD, "bough, read", NULL, crowd_read, NULL},
    {0, NULL, NULL, NULL, NULL},
};

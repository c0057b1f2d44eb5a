/* SPDX-License-Identifier: MIT */
/* The cost of a recording for bough_read(): if the call is shorter than the threshold, and if each call is recorded. */
#include <bough.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "../bench.h"

enum { SIZE = 4 << 20 };

static void time_reads(struct batch *batch)
{
    int fd = bench_zero();
    char byte;
    int64_t start = bench_now();
    for (size_t i = 0; i < batch->n; i++)
        if (bough_read(fd, &byte, 1) != 1)
            bench_die("bough_read(): %s", strerror(errno));
    bench_record(batch, bench_now() - start, batch->n);
}

/* The first event of a thread takes a chunk, and the first use of a page is a fault: as in any recording. */
static void time_recorded(struct batch *batch, int64_t threshold)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/bough-bench-%d.trace", (int)getpid());
    if (bough_trace_start(&(struct bough_trace_options){.file = path, .size = SIZE, .threshold = threshold}) != 0)
        bench_die("bough_trace_start(): %s", strerror(errno));
    time_reads(batch);
    bough_trace_stop();
    unlink(path);
}

static void read_shorter(struct batch *batch)
{
    time_recorded(batch, BOUGH_SEC(1));
}

static void read_kept(struct batch *batch)
{
    time_recorded(batch, 1);
}

const struct contender bench_recorded[] = {
    {BENCH_RECORDED, "bough_read()", NULL, time_reads, NULL},
    {BENCH_RECORDED, "again (control)", NULL, time_reads, NULL},
    {BENCH_RECORDED, "recording, call is short", NULL, read_shorter, NULL},
    {BENCH_RECORDED, "recording, call is kept", NULL, read_kept, NULL},
    {0, NULL, NULL, NULL, NULL},
};

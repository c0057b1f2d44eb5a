/* SPDX-License-Identifier: MIT */
/* The cost of interposition for a library's read(): peers/reader.c, built twice. */
#include <bough.h>
#include <string.h>
#include "../bench.h"

size_t bench_read_plain(int fd, size_t n);
size_t bench_read_interposed(int fd, size_t n);

static void is_interposed(void *found, const struct bough_slot *slot)
{
    if (slot->symbol && strcmp(slot->symbol, "read") == 0 && strstr(slot->object, "bench-interposed") &&
        slot->state == BOUGH_SLOT_INTERPOSED)
        *(int *)found = 1;
}

static const char *interpose(void)
{
    int found = 0;
    bough_interpose((const char *const[]){"libbench-interposed.so", NULL}, 0);
    bough_interposed(is_interposed, &found);
    return found ? NULL : "it could not be interposed";
}

/* Starts the ticker, so that glibc's read() is that of a threaded program. */
static const char *be_threaded(void)
{
    struct bough_region region;
    return bough_foreign_begin(&region, __FILE__, __LINE__) == 0 && bough_region_end(&region) == 0 ? NULL : "no thread";
}

static void time_reads(struct batch *batch, size_t (*reads)(int fd, size_t n))
{
    int fd = bench_zero();
    int64_t start = bench_now();
    if (reads(fd, batch->n) != batch->n)
        bench_die("a library's read(): no byte");
    bench_record(batch, bench_now() - start, batch->n);
}

static void read_plain(struct batch *batch)
{
    time_reads(batch, bench_read_plain);
}

static void read_without_part(struct batch *batch)
{
    time_reads(batch, bench_read_interposed);
}

static void read_with_part(struct batch *batch)
{
    BOUGH_FOREIGN
    {
        time_reads(batch, bench_read_interposed);
    }
}

const struct contender bench_foreign[] = {
    {BENCH_FOREIGN, "a library's read()", be_threaded, read_plain, NULL},
    {BENCH_FOREIGN, "again (control)", be_threaded, read_plain, NULL},
    {BENCH_FOREIGN, "interposed, not opted in", interpose, read_without_part, NULL},
    {BENCH_FOREIGN, "interposed, opted in", interpose, read_with_part, NULL},
    {0, NULL, NULL, NULL, NULL},
};

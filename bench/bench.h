/* SPDX-License-Identifier: MIT */
/*
 * The bench: the costs of bough, compared with what people use today.
 *
 * How a number is made
 * --------------------
 *
 * contender   One way to do one thing: "check" by bough_check(), "check" by pthread_testcancel(). It is
 *             one `struct contender`; the contenders of one library share a file, peers/NAME.
 * batch       A contender runs for a short time (1 to 5 ms) and records its duration.
 * round       One batch of each contender of a group, in the order A B C, later C B A; each round starts with
 *             the next contender. A disturbance of the machine then affects neighbours equally.
 * ratio       The ratio of two contenders in one round. The table has the median and the quartiles of all
 *             rounds' ratios, never a ratio of two times that were taken far from each other.
 *
 * On a busy machine the times vary, the ratios hardly do. If the median is too uncertain to decide whether the target
 * is met, the table marks the line (~): it needs a quieter machine or more rounds.
 *
 * The time for work by two threads depends on where the scheduler runs them: waking an idle processor takes ten times
 * as long as the rest, or more in a virtual machine. So it is measured twice: as the scheduler decides, and with all
 * threads on one processor, where only the work counts.
 *
 * Those groups and the crowds (thousands of blocked threads) run in separate processes: reused threads would stay on
 * their processor, and a crowd leaves cached stacks behind, which would distort the next one's memory.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- contenders ---------------------------------------------------------------------------- */

enum bench_group {
    BENCH_CHECK,    /* ask once, in a loop */
    BENCH_DENSE,    /* ask sixteen times in each turn of the loop: shows a difference that the cost of a loop hides */
    BENCH_READ,     /* read one byte of /dev/zero */
    BENCH_FOREIGN,  /* the same by a library that does not use bough */
    BENCH_RECORDED, /* the same while a recording is on */
    BENCH_POST,     /* from the post to the end of the join, of a thread that blocks */
    BENCH_SPAWN,    /* start a thread that does nothing, and join it */
    BENCH_POST_ONE, /* POST and SPAWN again, by the same contenders, where all threads share one processor */
    BENCH_SPAWN_ONE,
    BENCH_POST_BUSY, /* POST while another thread of the process computes; while one computes on each processor */
    BENCH_POST_FULL,
    BENCH_CROWD, /* stop n blocked threads and join them */
    BENCH_GROUPS
};

struct batch {
    size_t n;       /* the number of operations, or of threads of a crowd */
    double *sample; /* the recorded times: ns for each operation */
    size_t count, room;
    double rss, tables, stacks; /* a crowd's memory, in bytes a thread: resident, page tables, kernel stacks */
};

struct contender {
    enum bench_group group;
    const char *name;           /* NULL ends a file's list */
    const char *(*setup)(void); /* may be NULL. Returns NULL, or why it can't be measured */
    void (*run)(struct batch *batch);
    void (*teardown)(void); /* may be NULL */
};

extern const struct contender bench_bare[];
extern const struct contender bench_wake[];
extern const struct contender bench_bough[];
extern const struct contender bench_foreign[];
extern const struct contender bench_recorded[];
extern const struct contender bench_pthread[];
extern const struct contender bench_std[];
extern const struct contender bench_glib[];
extern const struct contender bench_boost[];

/* ---- for contenders ------------------------------------------------------------------------ */

/* Monotonic nanoseconds. */
int64_t bench_now(void);

/* Record that `operations` took `ns` together. */
void bench_record(struct batch *batch, int64_t ns, size_t operations);

/* Stop the whole bench with a message: a contender failed to do what it is measured for. */
void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* A descriptor of /dev/zero. The READ group reads one byte of it. */
int bench_zero(void);

/* The read end of a pipe that stays empty. Threads block on it. */
int bench_empty(void);
/* Close the pipe's write end, which wakes all threads that poll the read end. */
void bench_empty_close(void);

/* For the thread that is going to be stopped: announce that it is about to block. */
void bench_blocking(void);
/* For the thread that stops it: wait until it has blocked, and a moment more, so that all contenders wake a processor
 * that has been idle for equally long. Resets the announcement. */
void bench_await_blocked(void);

/* For a crowd: measure memory before the first thread; wait until n threads block, and measure it again. */
void bench_crowd_begin(void);
void bench_crowd_arrive(void);
void bench_crowd_await(size_t n);
void bench_crowd_blocked(struct batch *batch);
/* The machine can't do this size. Ends the crowd's process. */
void bench_crowd_skip(const char *reason) __attribute__((noreturn));

/* Makes the compiler read memory again. Without it a compiler moves loads out of the loop, and a contender that tests
 * only once for a million iterations seems fast. All contenders use it. */
#define bench_barrier() __asm__ volatile("" ::: "memory")

#define BENCH_16(statement) \
    BENCH_4(statement)      \
    BENCH_4(statement)      \
    BENCH_4(statement)      \
    BENCH_4(statement)
#define BENCH_4(statement) \
    BENCH_1(statement)     \
    BENCH_1(statement)     \
    BENCH_1(statement)     \
    BENCH_1(statement)
#define BENCH_1(statement) \
    do {                   \
        statement;         \
        bench_barrier();   \
    } while (0);

/* ---- numbers ------------------------------------------------------------------------------- */

struct series {
    double *at;
    size_t count, room;
};
void series_add(struct series *series, double value);
void series_free(struct series *series);
/* The q-th quantile (0 to 1) of n values, which are left as they are. NAN for none. */
double quantile(const double *values, size_t n, double q);
double series_quantile(const struct series *series, double q);

/* ---- a table: aligned by spaces, the same in a pipe and on a terminal -------------------------- */

struct table {
    size_t columns, count, room;
    const char *const *titles;
    const char *align; /* a character for each column: '<' or '>' */
    char **cells;      /* count of them, row by row */
};
void table_begin(struct table *table, const char *const *titles, const char *align);
/* The next cell, row by row. */
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_print(const struct table *table, FILE *out);
void table_free(struct table *table);
/* "3.21 ns", "17.4 us", in a ring of static buffers. */
const char *text_ns(double ns);
const char *text_bytes(double bytes);

/* ---- the machine --------------------------------------------------------------------------- */

struct facts {
    char cpu[128], kernel[256], libc[64], compiler[128], clock[32], virtualized[32];
    long cores, usable;
    double load;
};
void facts_take(struct facts *facts);
void facts_print(const struct facts *facts, FILE *out);

/* ---- a file for programs: one JSON object, which begins with the machine ----------------------------------------- */

FILE *json_open(const char *path, const struct facts *facts);
void json_close(FILE *out, const char *path);
/* A member with its comma; of a number that is not finite: null. */
void json_field(FILE *out, const char *key, const char *text);
void json_number(FILE *out, const char *key, double value);

#ifdef __cplusplus
}
#endif
#endif

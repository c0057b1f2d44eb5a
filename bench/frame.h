/* SPDX-License-Identifier: MIT */
/*
 * The frame's internal interface: the contenders, running them, the results. The interface for contenders is bench.h.
 *
 *     targets.c   which ratios are wanted, and what they should be
 *     entries.c   the contenders of this build
 *     rounds.c    runs a group: batches, rounds
 *     apart.c     runs groups and crowds in separate processes
 *     compare.c   ratios from the measurements
 *     report.c    the table, the JSON file
 *     bench.c     the program
 */
#ifndef BENCH_FRAME_H
#define BENCH_FRAME_H

#include "bench.h"

/* ---- targets.c -------------------------------------------------------------------------------- */

enum measure { MEDIAN, P99, ADDED, TIME, MEMORY, LINEAR }; /* ADDED: ns more; the last three are of crowds */

/* One line of the table: the ratio (ADDED: the difference) of two contenders of a group. A target is optional. */
struct line {
    enum bench_group group;
    const char *what;
    const char *subject, *against;
    enum measure measure;
    double at_most, stretch;
};
extern const struct line lines[];
extern const size_t line_count;

/* ---- entries.c -------------------------------------------------------------------------------- */

enum { MAX_ENTRIES = 80, MAX_SIZES = 4 };

/* A contender in a group, and its results. */
struct entry {
    const struct contender *contender;
    enum bench_group group;
    const char *absent; /* why it is not measured; NULL: it is */
    size_t n;
    struct series median; /* one for each round, in ns an operation */
    struct series all;    /* every sample, in the order they were taken */
    struct {
        const char *absent;
        struct series time, memory; /* ns and bytes a thread */
    } crowd[MAX_SIZES];
};
extern struct entry entries[MAX_ENTRIES];
extern size_t entry_count;
extern const size_t *crowd_sizes; /* 0 ends them */

void take_all(void);
struct entry *find_entry(enum bench_group group, const char *name);

/* ---- rounds.c --------------------------------------------------------------------------------- */

/* How a group is run. A batch lasts about `batch_ns`, or has `fixed` operations; `share` is the group's part of the
 * time there is; `one` runs the contenders of `group` on one processor, in a separate process; `computing` is the
 * number of threads that compute meanwhile, or ON_EACH processor one. */
struct manner {
    const char *name;
    double batch_ns;
    size_t fixed;
    double share;
    int one;
    enum bench_group group;
    int computing;
};
enum { ON_EACH = -1 };
extern const struct manner groups[BENCH_GROUPS];

enum { PATIENCE_S = 60 }; /* a batch that takes longer is stuck, not slow */

void run_group(enum bench_group group, double seconds);

/* ---- apart.c ---------------------------------------------------------------------------------- */

void run_on_one(enum bench_group group, double seconds);
void run_crowds(double seconds, size_t min_rounds);
/* The main function for such a separate process. */
void one_main(enum bench_group group, double seconds) __attribute__((noreturn));
void crowd_main(const char *name, size_t n) __attribute__((noreturn));

/* ---- compare.c -------------------------------------------------------------------------------- */

struct result {
    const struct line *line;
    size_t threads; /* of a crowd */
    const char *absent;
    double ratio, low, high, subject, against;
    double subject_low, subject_high, against_low, against_high;
    size_t pairs;
};
enum { MOST_RESULTS = 256 };
extern struct result results[MOST_RESULTS];
extern size_t result_count;

/* Adds the results of a line: one, or one for each size of a crowd. */
void compare_line(const struct line *line);
int is_met(const struct result *result);

/* ---- report.c --------------------------------------------------------------------------------- */

void report_table(const struct facts *facts, FILE *out);
void report_json(const struct facts *facts, const char *path);

#endif

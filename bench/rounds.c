/* SPDX-License-Identifier: MIT */
/* Runs the contenders of a group in turn, in this process. */
#include "frame.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIN_ROUNDS 5

const struct manner groups[BENCH_GROUPS] = {
    {"check", 0.5e6, 0, 0.06, 0, BENCH_CHECK, 0}, /* in the order of enum bench_group */
    {"dense", 0.5e6, 0, 0.02, 0, BENCH_DENSE, 0}, /* a thousand times as long as reading the clock */
    {"read", 1e6, 0, 0.12, 0, BENCH_READ, 0},     /* short, so that neighbours are close in time */
    {"foreign", 1e6, 0, 0.12, 0, BENCH_FOREIGN, 0}, {"recorded", 1e6, 0, 0.06, 0, BENCH_RECORDED, 0},
    {"post", 0, 10, 0.17, 0, BENCH_POST, 0},   /* ten samples make a median; thousands make a p99 */
    {"spawn", 2e6, 0, 0.1, 0, BENCH_SPAWN, 0}, /* some fifty threads */
    {"post1", 0, 10, 0.07, 1, BENCH_POST, 0},       {"spawn1", 2e6, 0, 0.05, 1, BENCH_SPAWN, 0},
    {"busy", 0, 10, 0.07, 0, BENCH_POST, 1},        {"full", 0, 10, 0.07, 0, BENCH_POST, ON_EACH},
    {"crowd", 0, 0, 0.3, 0, BENCH_CROWD, 0}, /* each batch is a process */
};

static const char *volatile running = "";

/* A library for stopping threads is most likely to fail by a hang. The message names the contender. */
static void stuck(int signo)
{
    (void)signo;
    static const char text[] = " did not return within a minute\n";
    if (write(STDERR_FILENO, "bench: ", 7) < 0 || write(STDERR_FILENO, running, strlen(running)) < 0 ||
        write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(4);
    _exit(3);
}

static double run_batch(struct entry *entry, struct batch *batch)
{
    running = entry->contender->name;
    batch->n = entry->n;
    batch->count = 0;
    alarm(PATIENCE_S);
    entry->contender->run(batch);
    alarm(0);
    return quantile(batch->sample, batch->count, 0.5);
}

/* Finds the number of operations in a batch. The batches that it runs are discarded, and warm caches up. */
static void calibrate(struct entry *entry, double batch_ns, size_t fixed)
{
    struct batch batch = {0};
    entry->n = fixed ? fixed : 16;
    double ns = run_batch(entry, &batch);
    while (!fixed) {
        ns = run_batch(entry, &batch);
        if (ns * (double)entry->n >= batch_ns / 4)
            break;
        entry->n *= 2;
    }
    if (!fixed)
        entry->n = ((size_t)(batch_ns / ns) + 15) / 16 * 16;
    run_batch(entry, &batch);
    free(batch.sample);
}

/* ---- threads that compute meanwhile --------------------------------------------------------------------------- */

enum { MAX_COMPUTING = 256 };
static pthread_t computing[MAX_COMPUTING];
static int computing_count;
static int computed_enough;

static void *compute(void *unused)
{
    while (!__atomic_load_n(&computed_enough, __ATOMIC_RELAXED))
        continue;
    return unused;
}

static void begin_computing(int count)
{
    cpu_set_t set;
    if (count == ON_EACH)
        count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    __atomic_store_n(&computed_enough, 0, __ATOMIC_RELAXED);
    for (computing_count = 0; computing_count < count && computing_count < MAX_COMPUTING; computing_count++)
        if (pthread_create(&computing[computing_count], NULL, compute, NULL) != 0)
            bench_die("no threads");
}

static void end_computing(void)
{
    __atomic_store_n(&computed_enough, 1, __ATOMIC_RELAXED);
    while (computing_count > 0)
        pthread_join(computing[--computing_count], NULL);
}

/* ---- a group --------------------------------------------------------------------------------------------------- */

void run_group(enum bench_group group, double seconds)
{
    struct entry *active[MAX_ENTRIES];
    size_t count = 0;
    for (size_t i = 0; i < entry_count; i++) {
        const struct contender *contender = entries[i].contender;
        if (entries[i].group != group)
            continue;
        entries[i].absent = contender->setup ? contender->setup() : NULL;
        if (entries[i].absent)
            fprintf(stderr, "skipped: %s: %s\n", contender->name, entries[i].absent);
        else
            active[count++] = &entries[i];
    }
    begin_computing(groups[group].computing);
    for (size_t i = 0; i < count; i++)
        calibrate(active[i], groups[group].batch_ns, groups[group].fixed);

    signal(SIGALRM, stuck);
    struct batch batch = {0};
    int64_t until = bench_now() + (int64_t)(seconds * 1e9);
    for (size_t round = 0; round < MIN_ROUNDS || bench_now() < until; round++) {
        for (size_t i = 0; i < count; i++) {
            /* Each contender begins as often as the others, and follows each neighbour as often as it precedes it. */
            size_t place = (round + i) % count;
            struct entry *entry = active[round / count % 2 ? count - 1 - place : place];
            series_add(&entry->median, run_batch(entry, &batch));
            if (groups[group].fixed)
                for (size_t k = 0; k < batch.count; k++)
                    series_add(&entry->all, batch.sample[k]);
        }
    }
    end_computing();
    free(batch.sample);
    for (size_t i = 0; i < count; i++)
        if (active[i]->contender->teardown)
            active[i]->contender->teardown();
}

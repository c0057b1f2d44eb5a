/* SPDX-License-Identifier: MIT */
/*
 * Measures the alternatives of a design decision: how does a thread announce that it is inside an interruptible call?
 *
 * A poster sends its signal only to a thread that is inside one (rule 13). Two ways to agree on that:
 *
 *   two locked operations   The thread sets IN in its word before the call and clears it after it, both by a
 *                           locked read-modify-write; the poster sets DUE, and sees IN in the same step.
 *   plain stores            The thread stores IN and clears it without any ordering. The poster stores
 *                           DUE, has the kernel run a barrier on all processors that run a thread of the process
 *                           (membarrier, private expedited), and looks for IN then.
 *
 * Measured is what the thread pays for each call, beside the bare call, and what the poster pays for each post before
 * it sends anything. For comparison, also the cost of a function's return after the call: a kernel that protects its
 * returns (spec_rstack_overflow: Safe RET) invalidates the processor's return stack, so two more functions around a
 * call cost more than the locked operations. This uses no code of bough. It runs in a separate process, because the
 * registration for membarrier changes the cost of a context switch for all threads of a process.
 */
#include "bench.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DUE = 1, IN = 2 };

/* The thread's word: the poster's and the thread's processors both write to its line in the first way. In the second
 * way each side has a separate word, so that the poster's store does not slow down the thread's. */
static struct {
    uint32_t word __attribute__((aligned(128)));
    uint32_t in __attribute__((aligned(128)));
    uint32_t due __attribute__((aligned(128)));
} target;

static int fence(void)
{
    return (int)syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

/* ---- what the thread pays ------------------------------------------------------------------- */

static inline void read_once(int fd)
{
    char byte;
    if (syscall(SYS_read, fd, &byte, (size_t)1) != 1)
        bench_die("read: no byte");
}

static __attribute__((noinline)) void call_bare(int fd)
{
    read_once(fd);
}

static void call_locked_once(int fd)
{
    __atomic_fetch_or(&target.word, IN, __ATOMIC_SEQ_CST);
    read_once(fd);
}

static void call_locked_twice(int fd)
{
    __atomic_fetch_or(&target.word, IN, __ATOMIC_SEQ_CST);
    read_once(fd);
    /* The previous value is needed, to see whether a signal is under way. */
    if (__atomic_fetch_and(&target.word, ~(uint32_t)IN, __ATOMIC_SEQ_CST) & DUE)
        bench_barrier();
}

static void call_plain(int fd)
{
    __atomic_store_n(&target.in, IN, __ATOMIC_RELAXED);
    bench_barrier();
    read_once(fd);
    bench_barrier();
    __atomic_store_n(&target.in, 0, __ATOMIC_RELAXED);
    if (__atomic_load_n(&target.due, __ATOMIC_RELAXED) & DUE)
        bench_barrier();
}

/* The barrier keeps the compiler from making a tail call, which has no return. */
static __attribute__((noinline)) void call_deeper(int fd)
{
    call_bare(fd);
    bench_barrier();
}

static __attribute__((noinline)) void call_deepest(int fd)
{
    call_deeper(fd);
    bench_barrier();
}

static const struct {
    const char *name;
    void (*call)(int fd);
} calls[] = {
    {"bare call", call_bare},
    {"one more function around it", call_deeper},
    {"two functions more", call_deepest},
    {"one locked operation", call_locked_once},
    {"two locked operations", call_locked_twice},
    {"plain stores", call_plain},
};
#define CALLS (sizeof calls / sizeof *calls)
#define CALLS_A_BATCH 4000

static double time_calls(void (*call)(int fd))
{
    int fd = bench_zero();
    int64_t start = bench_now();
    for (int i = 0; i < CALLS_A_BATCH; i++)
        call(fd);
    return (double)(bench_now() - start) / CALLS_A_BATCH;
}

static void measure_target(double seconds)
{
    static const char *const titles[] = {"the thread, each call", "time", "of bare", "quartiles"};
    struct series time[CALLS] = {{0}}, ratio[CALLS] = {{0}};
    struct table table;
    int64_t until = bench_now() + (int64_t)(seconds * 1e9);

    for (size_t round = 0; bench_now() < until; round++) {
        double ns[CALLS];
        for (size_t i = 0; i < CALLS; i++) {
            size_t place = (round + i) % CALLS;
            size_t which = round / CALLS % 2 ? CALLS - 1 - place : place;
            ns[which] = time_calls(calls[which].call);
        }
        for (size_t i = 0; i < CALLS; i++) {
            series_add(&time[i], ns[i]);
            series_add(&ratio[i], ns[i] / ns[0]);
        }
    }
    table_begin(&table, titles, "<>>>");
    for (size_t i = 0; i < CALLS; i++) {
        table_cell(&table, "%s", calls[i].name);
        table_cell(&table, "%s", text_ns(series_quantile(&time[i], 0.5)));
        table_cell(&table, "%.3f", series_quantile(&ratio[i], 0.5));
        table_cell(&table, "%.3f to %.3f", series_quantile(&ratio[i], 0.25), series_quantile(&ratio[i], 0.75));
        series_free(&time[i]);
        series_free(&ratio[i]);
    }
    table_print(&table, stdout);
    table_free(&table);
}

/* ---- what the poster pays -------------------------------------------------------------------- */

static int post_nothing(void)
{
    return 0; /* the cost of reading the clock twice, which is part of all of these */
}

static int post_locked(void)
{
    return (int)(__atomic_fetch_or(&target.word, DUE, __ATOMIC_SEQ_CST) & IN);
}

static int post_fenced(void)
{
    __atomic_store_n(&target.due, DUE, __ATOMIC_RELAXED);
    if (fence() != 0)
        bench_die("membarrier: %s", strerror(errno));
    return (int)__atomic_load_n(&target.in, __ATOMIC_RELAXED);
}

static const struct {
    const char *name;
    int (*post)(void);
} posts[] = {
    {"the clock alone", post_nothing},
    {"locked operation", post_locked},
    {"store and membarrier", post_fenced},
};
#define POSTS (sizeof posts / sizeof *posts)

/* The threads and processes that run during a measurement. */
static int stop, blocked_pipe[2];

static void *block(void *unused)
{
    char byte;
    __atomic_store_n(&target.in, IN, __ATOMIC_RELAXED);
    __atomic_fetch_or(&target.word, IN, __ATOMIC_SEQ_CST);
    bench_blocking();
    return read(blocked_pipe[0], &byte, 1) == 0 ? NULL : unused;
}

static void *compute(void *unused)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        continue;
    return unused;
}

/* Calls in a loop, announced in both ways, so that the poster finds the word's line on another processor. */
static void *call_on(void *unused)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        call_locked_twice(bench_zero());
        call_plain(bench_zero());
    }
    return unused;
}

/* Other processes that call membarrier(): the kernel serves one at a time. Each has a second thread that runs. */
static pid_t fencing_process(void)
{
    pid_t child = fork();
    if (child < 0)
        bench_die("fork: %s", strerror(errno)); /* kill(-1) would signal every process */
    if (child > 0)
        return child;
    /* The child ends with its parent, even if the parent is killed. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pthread_t thread;
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0 ||
        pthread_create(&thread, NULL, compute, NULL) != 0)
        _exit(1);
    for (;;)
        fence();
}

enum { FENCERS = 2 };

static const struct scene {
    const char *name;
    void *(*peer)(void *);
    int fencers;
} scenes[] = {
    {"target blocked", NULL, 0},
    {"blocked, another thread runs", compute, 0},
    {"target calls in a loop", call_on, 0},
    {"blocked, 2 processes fence", NULL, FENCERS},
};
#define SCENES (sizeof scenes / sizeof *scenes)
#define POSTS_A_BATCH 100

static void measure_scene(const struct scene *scene, double seconds, struct table *table)
{
    struct series ns[POSTS] = {{0}};
    pthread_t peer = 0, blocked = 0;
    pid_t fencers[FENCERS] = {0};
    unsigned seen = 0;

    stop = 0;
    for (int i = 0; i < scene->fencers; i++)
        fencers[i] = fencing_process();
    if (pipe(blocked_pipe) != 0 || pthread_create(&blocked, NULL, block, NULL) != 0 ||
        (scene->peer && pthread_create(&peer, NULL, scene->peer, NULL) != 0))
        bench_die("no threads");
    bench_await_blocked();

    int64_t until = bench_now() + (int64_t)(seconds * 1e9);
    for (size_t round = 0; bench_now() < until; round++) {
        for (size_t k = 0; k < POSTS; k++) {
            size_t which = (round + k) % POSTS;
            for (int i = 0; i < POSTS_A_BATCH; i++) {
                int64_t start = bench_now();
                seen += (unsigned)posts[which].post();
                series_add(&ns[which], (double)(bench_now() - start));
            }
        }
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    close(blocked_pipe[1]);
    pthread_join(blocked, NULL);
    close(blocked_pipe[0]);
    if (scene->peer)
        pthread_join(peer, NULL);
    for (int i = 0; i < scene->fencers; i++) {
        kill(fencers[i], SIGKILL);
        waitpid(fencers[i], NULL, 0);
    }
    if (seen == 0)
        bench_die("no post saw its target in a call");

    for (size_t k = 0; k < POSTS; k++) {
        table_cell(table, "%s", scene->name);
        table_cell(table, "%s", posts[k].name);
        table_cell(table, "%s", text_ns(series_quantile(&ns[k], 0.5)));
        table_cell(table, "%s", text_ns(series_quantile(&ns[k], 0.99)));
        table_cell(table, "%s", text_ns(series_quantile(&ns[k], 1)));
        table_cell(table, "%zu", ns[k].count);
        series_free(&ns[k]);
    }
}

int main(int argc, char **argv)
{
    static const char *const titles[] = {"the poster, each post", "by", "median", "p99", "worst", "posts"};
    double seconds = argc > 1 && strcmp(argv[1], "--quick") == 0 ? 3 : 25;
    struct facts facts;
    struct table table;

    facts_take(&facts);
    facts_print(&facts, stdout);
    putchar('\n');
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0) {
        printf("membarrier() is not available (%s): nothing to compare\n", strerror(errno));
        return 0;
    }
    fflush(stdout);
    measure_target(seconds / 3);
    putchar('\n');
    fflush(stdout);
    table_begin(&table, titles, "<<>>>>");
    for (size_t i = 0; i < SCENES; i++)
        measure_scene(&scenes[i], seconds * 2 / 3 / (double)SCENES, &table);
    table_print(&table, stdout);
    table_free(&table);
    return 0;
}

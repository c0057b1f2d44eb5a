/* SPDX-License-Identifier: MIT */
/*
 * Measures how the time of bough's operations grows with the number of threads, from 1 to 30,000, or to the machine's
 * limit, which it then reports. Each number is measured in separate processes.
 *
 *     start        one child after the other, until it runs
 *     interrupt    of a branch with n blocked children, until the last one is joined
 *     nested       the same, of the outermost of n nested branches, with a thread in each
 *     incidents    each of n threads ignores an interrupt: the ticker's work until all incidents are overdue
 *     memory       of n blocked children: resident memory and page tables
 *     bare_...     the same by pthreads alone, which are stopped by closing the pipe that all of them poll: the kernel's
 *                  and the C library's part
 *
 * Times and memory are for each thread. Growth is the power of n by which the total grows: 1 is linear. Measured from 1
 * thread it includes constant costs, so it is below 1; the other column is without them.
 */
#include "bench.h"
#include "cap.h"

#include <bough.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- the measurements, each in a separate process, which prints ns --------------------------------------- */

static size_t count;

static void say_each(double value)
{
    printf("%.17g\n", value);
    fflush(stdout);
    _exit(0);
}

static void say(int64_t ns)
{
    say_each((double)ns / (double)count);
}

/* Returns ECANCELED, or 0 if the end of the pipe has woken it. */
static int blocks(void *unused)
{
    struct pollfd wait = {.fd = bench_empty(), .events = POLLIN};
    (void)unused;
    bench_crowd_arrive();
    return bough_poll(&wait, 1, -1) < 0 ? errno : 0;
}

static bough_branch *opened(void)
{
    bough_branch *b = bough_branch_open(NULL);
    if (!b)
        bench_crowd_skip(strerror(errno));
    return b;
}

static bough_thread *added(bough_branch *b, bough_fn *fn, const struct bough_child_options *options)
{
    bough_thread *t = bough_add_with(b, fn, bough_arg(NULL), options);
    if (!t)
        bench_crowd_skip(strerror(errno));
    return t;
}

/* Returns the memory for each thread, in bytes. */
static double all_blocked(void)
{
    struct batch batch = {.n = count};
    bench_crowd_blocked(&batch);
    return batch.rss + batch.tables;
}

static void start(void)
{
    int64_t begin = bench_now();
    bough_branch *b = opened();
    for (size_t i = 0; i < count; i++)
        added(b, blocks, NULL);
    bench_crowd_await(count);
    say(bench_now() - begin);
}

static void stop(bough_branch *b)
{
    all_blocked();
    int64_t begin = bench_now();
    if (bough_interrupt(b, "bench") != 0 || bough_branch_end(b) != 0)
        bench_die("bough_interrupt(), bough_branch_end(): %s", strerror(errno));
    say(bench_now() - begin);
}

static void interrupt(void)
{
    bough_branch *b = opened();
    for (size_t i = 0; i < count; i++)
        added(b, blocks, NULL);
    stop(b);
}

static void memory(void)
{
    bough_branch *b = opened();
    for (size_t i = 0; i < count; i++)
        added(b, blocks, NULL);
    say_each(all_blocked());
}

static void *bare_blocks(void *unused)
{
    struct pollfd wait = {.fd = bench_empty(), .events = POLLIN};
    bench_crowd_arrive();
    if (poll(&wait, 1, -1) != 1)
        bench_die("poll(): %s", strerror(errno));
    return unused;
}

static pthread_t *bare_started(void)
{
    static pthread_t thread[MOST];
    for (size_t i = 0; i < count; i++) {
        int error = pthread_create(&thread[i], NULL, bare_blocks, NULL);
        if (error)
            bench_crowd_skip(strerror(error));
    }
    return thread;
}

static void bare_start(void)
{
    int64_t begin = bench_now();
    bare_started();
    bench_crowd_await(count);
    say(bench_now() - begin);
}

static void bare_stop(void)
{
    pthread_t *thread = bare_started();
    all_blocked();
    int64_t begin = bench_now();
    bench_empty_close();
    for (size_t i = 0; i < count; i++)
        pthread_join(thread[i], NULL);
    say(bench_now() - begin);
}

static void bare_memory(void)
{
    bare_started();
    say_each(all_blocked());
}

static _Atomic size_t depth;

static int nests(void *unused)
{
    if (++depth == count)
        return blocks(unused);
    bough_branch *b = opened();
    added(b, nests, NULL);
    blocks(unused);
    return bough_branch_end(b) == 0 ? ECANCELED : EINVAL;
}

static void nested(void)
{
    bough_branch *b = opened();
    added(b, nests, NULL);
    stop(b);
}

static clockid_t clock_of(pid_t tid)
{
    enum { OF_A_THREAD = 4, SCHEDULED = 2 };
    return (clockid_t)(~(unsigned)tid << 3 | OF_A_THREAD | SCHEDULED);
}

static int64_t time_on(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) != 0)
        bench_die("the ticker's clock: %s", strerror(errno));
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static pid_t find_ticker(void)
{
    char path[64], name[32] = "";
    for (pid_t tid = getpid(); tid < getpid() + 1000; tid++) {
        snprintf(path, sizeof path, "/proc/self/task/%d/comm", (int)tid);
        FILE *file = fopen(path, "re");
        int is = file && fgets(name, sizeof name, file) && strcmp(name, "bough-ticker\n") == 0;
        if (file)
            fclose(file);
        if (is)
            return tid;
    }
    bench_die("there is no ticker");
}

static void await_overdue(bough_post post)
{
    struct bough_progress p;
    while (bough_post_progress(post, &p) == 0 && !p.overdue)
        usleep(1000);
}

static void incidents(void)
{
    static bough_thread *thread[MOST];
    static bough_post post[MOST];
    const struct bough_ladder soon = {.time = {[BOUGH_RUNG_FLAG] = BOUGH_MS(1)},
                                      .ceiling = {[BOUGH_STOP] = BOUGH_RUNG_FLAG}};
    const struct bough_child_options deaf = {.disabled = 1};
    bough_branch *b = opened();
    clockid_t ticker = clock_of(find_ticker());
    if (bough_ladder_set(BOUGH_ROOT, &soon) != 0)
        bench_die("bough_ladder_set(): %s", strerror(errno));
    for (size_t i = 0; i < count; i++)
        thread[i] = added(b, blocks, &deaf);
    all_blocked();
    int64_t begin = time_on(ticker);
    for (size_t i = 0; i < count; i++)
        post[i] = bough_post_event(thread[i], NULL);
    for (size_t i = 0; i < count; i++)
        await_overdue(post[i]);
    say(time_on(ticker) - begin);
}

static const struct work {
    const char *name, *what;
    void (*run)(void);
    int bytes; /* otherwise ns */
} works[] = {
    {"start", "start, side by side", start, 0},
    {"bare_start", "the same, bare pthreads", bare_start, 0},
    {"interrupt", "interrupt and join, side by side", interrupt, 0},
    {"bare_stop", "bare pthreads: wake by a pipe's end, join", bare_stop, 0},
    {"nested", "interrupt and join, nested", nested, 0},
    {"incidents", "overdue, the ticker's work", incidents, 0},
    {"memory", "memory, blocked", memory, 1},
    {"bare_memory", "the same, bare pthreads", bare_memory, 1},
};
enum { WORKS = sizeof works / sizeof *works };

static void run_here(const char *name, const char *number)
{
    count = strtoul(number, NULL, 10);
    bench_crowd_begin();
    for (size_t i = 0; i < WORKS; i++)
        if (strcmp(works[i].name, name) == 0)
            works[i].run();
    bench_die("nothing is named %s", name);
}

/* ---- the whole ----------------------------------------------------------------------------------- */

/* Returns NAN, with the process's output in `line`, if the output is no number. */
static double measure_once(const struct work *work, size_t n, char *line, int size)
{
    char number[32];
    int out[2];
    double ns = NAN;
    snprintf(number, sizeof number, "%zu", n);
    if (pipe2(out, O_CLOEXEC) != 0)
        bench_die("pipe: %s", strerror(errno));
    pid_t child = fork();
    if (child == 0) {
        int silence = open("/dev/null", O_WRONLY | O_CLOEXEC); /* each overdue incident is reported */
        dup2(out[1], STDOUT_FILENO);
        dup2(silence, STDERR_FILENO);
        alarm(120);
        execl("/proc/self/exe", "bough-bench-growth", "--one", work->name, number, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *said = fdopen(out[0], "r");
    if (!said || !fgets(line, size, said))
        snprintf(line, (size_t)size, "its process failed");
    else if (sscanf(line, "%lf", &ns) != 1)
        ns = NAN;
    line[strcspn(line, "\n")] = 0;
    if (said)
        fclose(said);
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        continue;
    return ns;
}

struct result {
    double median, low, high; /* low and high are the quartiles; NAN if not measured */
    size_t times;
};

static struct result measure(const struct work *work, size_t n, size_t times)
{
    struct series each = {0};
    char line[128];
    for (size_t i = 0; i < times; i++) {
        double once = measure_once(work, n, line, sizeof line);
        if (isnan(once)) {
            fprintf(stderr, "skipped: %s, %zu threads: %s\n", work->what, n, line);
            break;
        }
        series_add(&each, once);
    }
    struct result result = {series_quantile(&each, 0.5), series_quantile(&each, 0.25), series_quantile(&each, 0.75),
                            each.count};
    series_free(&each);
    return result;
}

/* The power by which the total time grows from size a to size b. */
static void growth_cell(struct table *table, const size_t *sizes, const struct result *r, size_t a, size_t b)
{
    if (a >= b || isnan(r[a].median) || isnan(r[b].median))
        table_cell(table, "-");
    else
        table_cell(table, "n^%.2f", 1 + log(r[b].median / r[a].median) / log((double)sizes[b] / (double)sizes[a]));
}

enum { MOST_SIZES = 8, FROM = 3 /* 1,000 */ };
static struct result results[WORKS][MOST_SIZES];

static void measure_all(const size_t *sizes, size_t size_count, int quick)
{
    for (size_t i = 0; i < WORKS; i++)
        for (size_t s = 0; s < size_count; s++)
            results[i][s] = measure(&works[i], sizes[s], quick ? 3 : sizes[s] <= 1000 ? 15 : sizes[s] <= 10000 ? 5 : 3);
}

static void print_table(const size_t *sizes, size_t size_count)
{
    static char title[MOST_SIZES][32];
    const char *titles[MOST_SIZES + 3] = {"for each thread, of"};
    struct table table;
    for (size_t s = 0; s < size_count; s++) {
        snprintf(title[s], sizeof title[s], "%zu", sizes[s]);
        titles[s + 1] = title[s];
    }
    titles[size_count + 1] = "growth from 1";
    titles[size_count + 2] = "from 1000";
    char align[MOST_SIZES + 4] = "<";
    memset(align + 1, '>', size_count + 2);
    table_begin(&table, titles, align);
    for (size_t i = 0; i < WORKS; i++) {
        table_cell(&table, "%s", works[i].what);
        for (size_t s = 0; s < size_count; s++) {
            double median = results[i][s].median;
            table_cell(&table, "%s", isnan(median) ? "-" : works[i].bytes ? text_bytes(median) : text_ns(median));
        }
        growth_cell(&table, sizes, results[i], 0, size_count - 1);
        growth_cell(&table, sizes, results[i], FROM, size_count - 1);
    }
    table_print(&table, stdout);
    table_free(&table);
}

static void json_result(FILE *out, size_t threads, const struct result *r)
{
    fputs("{", out);
    json_number(out, "median", r->median);
    json_number(out, "low", r->low);
    json_number(out, "high", r->high);
    fprintf(out, "\"times\": %zu, \"threads\": %zu}", r->times, threads);
}

static void write_json(const char *path, const struct facts *facts, const char *capped, const size_t *sizes,
                       size_t size_count)
{
    FILE *out = json_open(path, facts);
    fputs(", ", out);
    json_field(out, "capped", capped);
    fputs("\n \"works\": [\n", out);
    for (size_t i = 0; i < WORKS; i++) {
        fputs("  {", out);
        json_field(out, "name", works[i].name);
        json_field(out, "what", works[i].what);
        json_field(out, "unit", works[i].bytes ? "bytes" : "ns");
        fputs("\"sizes\": [", out);
        for (size_t s = 0; s < size_count; s++) {
            fputs(s ? ",\n    " : "\n    ", out);
            json_result(out, sizes[s], &results[i][s]);
        }
        fputs(i + 1 < WORKS ? "]},\n" : "]}\n", out);
    }
    fputs(" ]", out);
    json_close(out, path);
}

int main(int argc, char **argv)
{
    size_t sizes[] = {1, 10, 100, 1000, 3000, 10000, MOST}, size_count = sizeof sizes / sizeof *sizes;
    char capped[192] = "";
    const char *json = NULL;
    int quick = 0;
    if (argc == 4 && strcmp(argv[1], "--one") == 0)
        run_here(argv[2], argv[3]);
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--quick") == 0)
            quick = 1;
        else if (strcmp(argv[i], "--json") == 0 && i + 1 < argc)
            json = argv[++i];
        else
            bench_die("usage: bough-bench-growth [--quick] [--json FILE]");
    struct cap cap = find_cap();
    struct facts facts;
    facts_take(&facts);
    facts_print(&facts, stdout);
    putchar('\n');
    if (quick)
        size_count = 5;
    while (size_count > 1 && sizes[size_count - 2] >= (size_t)cap.threads)
        size_count--;
    if (sizes[size_count - 1] > (size_t)cap.threads) {
        snprintf(capped, sizeof capped, "capped at %ld of %zu threads: %s", cap.threads, sizes[size_count - 1],
                 cap.why);
        puts(capped);
        sizes[size_count - 1] = (size_t)cap.threads;
    }
    fflush(stdout);
    measure_all(sizes, size_count, quick);
    print_table(sizes, size_count);
    if (json)
        write_json(json, &facts, capped, sizes, size_count);
    return 0;
}

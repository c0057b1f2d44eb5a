/* SPDX-License-Identifier: MIT */
/* Runs all contenders in turn, and compares. How and why: bench.h. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- what is promised ----------------------------------------------------------------------- */

enum measure { MEDIAN, P99, TIME, MEMORY, LINEAR };

/* One line of the table: the ratio of two contenders of a group. No target: for the record. */
static const struct line {
    enum bench_group group;
    const char *what;
    const char *subject, *against;
    enum measure measure;
    double at_most, stretch;
} lines[] = {
    {BENCH_CHECK, "check", "bough_check()", "thread-local load", MEDIAN, 1.2, 0},
    {BENCH_CHECK, "check", "bough_check()", "load and branch", MEDIAN, 0, 0},
    {BENCH_CHECK, "check", "bough_check()", "pthread_testcancel()", MEDIAN, 0, 0},
    {BENCH_CHECK, "check", "bough_check()", "std::stop_token", MEDIAN, 0, 0},
    {BENCH_CHECK, "check", "bough_check()", "GCancellable", MEDIAN, 0, 0},
    {BENCH_CHECK, "check", "bough_check()", "Boost.Thread point", MEDIAN, 0, 0},
    {BENCH_DENSE, "check, 16 in a row", "bough_check()", "thread-local load", MEDIAN, 0, 0},
    {BENCH_DENSE, "check, 16 in a row", "bough_check()", "load and branch", MEDIAN, 0, 0},
    {BENCH_READ, "read 1 byte", "bough_read()", "bare system call", MEDIAN, 1.04, 1.02},
    {BENCH_READ, "read 1 byte", "bough_read()", "glibc's read()", MEDIAN, 1, 0},
    {BENCH_READ, "read 1 byte", "bough_read()", "syscall()", MEDIAN, 0, 0},
    {BENCH_READ, "read 1 byte", "bough_read()", "bare, inlined", MEDIAN, 0, 0},
    {BENCH_READ, "read 1 byte", "bare, once more (control)", "bare system call", MEDIAN, 0, 0},
    {BENCH_POST, "post to joined", "bough", "pthread_cancel()", MEDIAN, 1, 0},
    {BENCH_POST, "post to joined", "bough", "std::jthread, eventfd", MEDIAN, 1, 0},
    {BENCH_POST, "post to joined", "bough", "GCancellable, g_poll()", MEDIAN, 1, 0},
    {BENCH_POST, "post to joined", "bough", "Boost.Thread, condition", MEDIAN, 1, 0},
    {BENCH_POST, "post to joined, p99", "bough", "pthread_cancel()", P99, 1, 0},
    {BENCH_POST, "post to joined, p99", "bough", "std::jthread, eventfd", P99, 1, 0},
    {BENCH_POST, "post to joined, p99", "bough", "GCancellable, g_poll()", P99, 1, 0},
    {BENCH_POST, "post to joined, p99", "bough", "Boost.Thread, condition", P99, 1, 0},
    {BENCH_SPAWN, "start and join", "add, join", "pthread_create(), join", MEDIAN, 0.3, 0.15},
    {BENCH_SPAWN, "start and join", "add, join", "std::async(), get", MEDIAN, 0, 0},
    {BENCH_SPAWN, "start and join", "open, add, end", "pthread_create(), join", MEDIAN, 0.3, 0.15},
    {BENCH_SPAWN, "start and join", "open, add, end", "std::async(), get", MEDIAN, 0, 0},
    {BENCH_CROWD, "interrupt and join", "bough, poll", "pthreads, poll", TIME, 1.2, 0},
    {BENCH_CROWD, "interrupt and join", "bough, read", "pthreads, poll", TIME, 0, 0},
    {BENCH_CROWD, "memory for each", "bough, poll", "pthreads, poll", MEMORY, 1.1, 0},
    {BENCH_CROWD, "growth of the time", "bough, poll", "pthreads, poll", LINEAR, 1.1, 0},
};
#define LINES (sizeof lines / sizeof *lines)

/* How each group is run. A batch lasts about `batch_ns`, or has `fixed` operations; `share` is the group's part
 * of the time there is. */
static const struct {
    const char *name;
    double batch_ns;
    size_t fixed;
    double share;
} groups[BENCH_GROUPS] = {
    {"check", 0.5e6, 0, 0.06}, /* in the order of enum bench_group */
    {"dense", 0.5e6, 0, 0.02}, /* a thousand times what reading the clock costs */
    {"read", 1e6, 0, 0.12},    /* short: neighbours are then close */
    {"post", 0, 10, 0.25},     /* ten samples make a median; thousands make a p99 */
    {"spawn", 2e6, 0, 0.15},   /* some fifty threads */
    {"crowd", 0, 0, 0.40},     /* its batches are processes */
};

#define MIN_ROUNDS 5
#define P99_BLOCKS 10 /* a p99 of its own for each tenth of the run: their ratios have quartiles */
#define PATIENCE_S 60 /* a batch that takes longer is stuck, not slow */

static const size_t full_sizes[] = {1000, 2000, 5000, 10000, 0};
static const size_t quick_sizes[] = {1000, 2000, 5000, 0};

/* ---- what takes part ------------------------------------------------------------------------ */

#define MAX_ENTRIES 64
#define MAX_SIZES 4

struct entry {
    const struct contender *contender;
    const char *absent; /* why it takes no part; NULL: it does */
    size_t n;
    struct series median; /* one for each round, in ns an operation */
    struct series all;    /* every sample, in the order they were taken */
    struct {
        const char *absent;
        struct series time, memory, tables, stacks;
    } crowd[MAX_SIZES];
};

static struct entry entries[MAX_ENTRIES];
static size_t entry_count;
static const size_t *sizes = full_sizes;
static const char *only;

static void take_part(const struct contender *list)
{
    for (; list->name; list++) {
        if (entry_count == MAX_ENTRIES)
            bench_die("more contenders than MAX_ENTRIES");
        entries[entry_count++].contender = list;
    }
}

static void take_all(void)
{
    take_part(bench_bare);
#ifdef BENCH_HAVE_BOUGH
    take_part(bench_bough);
#endif
    take_part(bench_pthread);
#ifdef BENCH_HAVE_STD
    take_part(bench_std);
#endif
#ifdef BENCH_HAVE_GLIB
    take_part(bench_glib);
#endif
#ifdef BENCH_HAVE_BOOST
    take_part(bench_boost);
#endif
}

static struct entry *find(enum bench_group group, const char *name)
{
    for (size_t i = 0; i < entry_count; i++)
        if (entries[i].contender->group == group && strcmp(entries[i].contender->name, name) == 0)
            return &entries[i];
    return NULL;
}

/* ---- running in this process ---------------------------------------------------------------- */

static const char *volatile running = "";

/* A contender that hangs is the likeliest fault of a library like this: say which it was. */
static void stuck(int signo)
{
    (void)signo;
    static const char text[] = " did not come back in a minute\n";
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

/* Finds how many operations make a batch; its batches are thrown away and warm everything up. */
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

static void run_group(enum bench_group group, double seconds)
{
    struct entry *active[MAX_ENTRIES];
    size_t count = 0;
    for (size_t i = 0; i < entry_count; i++) {
        const struct contender *contender = entries[i].contender;
        if (contender->group != group)
            continue;
        entries[i].absent = contender->setup ? contender->setup() : NULL;
        if (entries[i].absent)
            fprintf(stderr, "skipped: %s: %s\n", contender->name, entries[i].absent);
        else
            active[count++] = &entries[i];
    }
    for (size_t i = 0; i < count; i++)
        calibrate(active[i], groups[group].batch_ns, groups[group].fixed);

    struct batch batch = {0};
    int64_t until = bench_now() + (int64_t)(seconds * 1e9);
    for (size_t round = 0; round < MIN_ROUNDS || bench_now() < until; round++) {
        for (size_t i = 0; i < count; i++) {
            /* Each begins as often as the others, and follows each neighbour as often as it precedes it. */
            size_t place = (round + i) % count;
            struct entry *entry = active[round / count % 2 ? count - 1 - place : place];
            series_add(&entry->median, run_batch(entry, &batch));
            if (groups[group].fixed)
                for (size_t k = 0; k < batch.count; k++)
                    series_add(&entry->all, batch.sample[k]);
        }
    }
    free(batch.sample);
    for (size_t i = 0; i < count; i++)
        if (active[i]->contender->teardown)
            active[i]->contender->teardown();
}

/* ---- crowds, each in a process of its own ---------------------------------------------------- */

/* The child's side: one measurement, one line. */
static int crowd_main(const char *name, size_t n)
{
    struct entry *entry = find(BENCH_CROWD, name);
    struct batch batch = {0};
    if (!entry)
        bench_die("no crowd named %s", name);
    batch.n = n;
    entry->contender->run(&batch);
    printf("%.17g %.17g %.17g %.17g\n", batch.sample[0], batch.rss, batch.tables, batch.stacks);
    fflush(stdout);
    _exit(0);
}

/* Runs it; its line in `line`. Returns NULL, or why there is none. */
static const char *crowd_process(const char *name, size_t n, char *line, size_t size)
{
    char number[32];
    int out[2];
    snprintf(number, sizeof number, "%zu", n);
    if (pipe2(out, O_CLOEXEC) != 0)
        return "no pipe";
    pid_t child = fork();
    if (child < 0)
        return "fork failed";
    if (child == 0) {
        dup2(out[1], STDOUT_FILENO);
        execl("/proc/self/exe", "bough-bench", "--crowd", name, number, (char *)NULL);
        _exit(127);
    }
    close(out[1]);

    struct pollfd wait = {.fd = out[0], .events = POLLIN};
    ssize_t got = poll(&wait, 1, PATIENCE_S * 1000) == 1 ? read(out[0], line, size - 1) : 0;
    close(out[0]);
    if (got <= 0)
        kill(child, SIGKILL);
    int status;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (got <= 0)
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? "did not end in a minute" : "its process failed";
    line[got] = 0;
    line[strcspn(line, "\n")] = 0;
    return strncmp(line, "skip ", 5) == 0 ? strdup(line + 5) : NULL;
}

static void crowd_once(struct entry *entry, size_t s)
{
    char line[256];
    double time, rss, tables, stacks;
    if (entry->crowd[s].absent)
        return;
    entry->crowd[s].absent = crowd_process(entry->contender->name, sizes[s], line, sizeof line);
    if (!entry->crowd[s].absent && sscanf(line, "%lf %lf %lf %lf", &time, &rss, &tables, &stacks) != 4)
        entry->crowd[s].absent = "its process said something else";
    if (entry->crowd[s].absent) {
        fprintf(stderr, "skipped: %s, %zu threads: %s\n", entry->contender->name, sizes[s], entry->crowd[s].absent);
        return;
    }
    series_add(&entry->crowd[s].time, time);
    series_add(&entry->crowd[s].memory, rss + tables);
    series_add(&entry->crowd[s].tables, tables);
    series_add(&entry->crowd[s].stacks, stacks);
}

static void run_crowds(double seconds, size_t min_rounds)
{
    int64_t until = bench_now() + (int64_t)(seconds * 1e9);
    for (size_t round = 0; round < min_rounds || bench_now() < until; round++)
        for (size_t s = 0; sizes[s]; s++)
            for (size_t k = 0; k < entry_count; k++) {
                struct entry *entry = &entries[round % 2 ? entry_count - 1 - k : k];
                if (entry->contender->group == BENCH_CROWD)
                    crowd_once(entry, s);
            }
}

/* ---- comparing ------------------------------------------------------------------------------ */

struct result {
    const struct line *line;
    size_t threads; /* of a crowd */
    const char *absent;
    double ratio, low, high, subject, against;
    size_t pairs;
};

static struct result results[LINES * MAX_SIZES];
static size_t result_count;

static void compare(struct result *result, const struct series *a, const struct series *b)
{
    struct series ratios = {0};
    size_t pairs = a->count < b->count ? a->count : b->count;
    for (size_t i = 0; i < pairs; i++)
        series_add(&ratios, a->at[i] / b->at[i]);
    if (pairs == 0)
        result->absent = "nothing measured";
    result->pairs = pairs;
    result->ratio = series_quantile(&ratios, 0.5);
    result->low = series_quantile(&ratios, 0.25);
    result->high = series_quantile(&ratios, 0.75);
    result->subject = series_quantile(a, 0.5);
    result->against = series_quantile(b, 0.5);
    series_free(&ratios);
}

static struct series p99_by_block(const struct series *all)
{
    struct series p99 = {0};
    size_t size = all->count / P99_BLOCKS;
    for (size_t k = 0; size && k < P99_BLOCKS; k++)
        series_add(&p99, quantile(all->at + k * size, size, 0.99));
    return p99;
}

/* By which power of the number of threads the time grows between the smallest and the largest crowd: 1 is
 * linear. One for each round. */
static struct series growth(const struct entry *entry)
{
    struct series powers = {0};
    size_t last = 0;
    for (size_t s = 1; sizes[s]; s++)
        if (!entry->crowd[s].absent && entry->crowd[s].time.count)
            last = s;
    const struct series *small = &entry->crowd[0].time, *large = &entry->crowd[last].time;
    for (size_t i = 0; last && i < small->count && i < large->count; i++)
        series_add(&powers, 1 + log(large->at[i] / small->at[i]) / log((double)sizes[last] / (double)sizes[0]));
    return powers;
}

static void compare_growth(struct result *result, const struct entry *a, const struct entry *b)
{
    struct series x = growth(a), y = growth(b);
    compare(result, &x, &y);
    result->ratio = result->subject; /* the power itself is what has a target, not how it compares */
    result->low = series_quantile(&x, 0.25);
    result->high = series_quantile(&x, 0.75);
    series_free(&x);
    series_free(&y);
}

static void resolve_crowd(const struct line *line, const struct entry *a, const struct entry *b)
{
    for (size_t s = 0; sizes[s]; s++) {
        struct result *result = &results[result_count++];
        result->line = line;
        result->threads = sizes[s];
        result->absent = a->crowd[s].absent ? a->crowd[s].absent : b->crowd[s].absent;
        if (result->absent)
            continue;
        if (line->measure == TIME)
            compare(result, &a->crowd[s].time, &b->crowd[s].time);
        else
            compare(result, &a->crowd[s].memory, &b->crowd[s].memory);
    }
}

static void resolve(const struct line *line)
{
    const struct entry *a = find(line->group, line->subject), *b = find(line->group, line->against);
    if (a && b && (line->measure == TIME || line->measure == MEMORY)) {
        resolve_crowd(line, a, b);
        return;
    }
    struct result *result = &results[result_count++];
    result->line = line;
    if (!a || !b) {
        result->absent = a ? "its library was not found when this was built" : "bough is not in this build";
        return;
    }
    result->absent = a->absent ? a->absent : b->absent;
    if (result->absent)
        return;
    if (line->measure == LINEAR) {
        compare_growth(result, a, b);
    } else if (line->measure == P99) {
        struct series x = p99_by_block(&a->all), y = p99_by_block(&b->all);
        compare(result, &x, &y);
        series_free(&x);
        series_free(&y);
    } else {
        compare(result, &a->median, &b->median);
    }
}

/* ---- telling -------------------------------------------------------------------------------- */

static int is_met(const struct result *result)
{
    return result->absent || result->line->at_most == 0 || result->ratio <= result->line->at_most;
}

static const char *verdict(const struct result *result)
{
    const struct line *line = result->line;
    if (line->at_most == 0)
        return "";
    /* How sure the median is: the notch of a box plot. */
    double notch = 1.57 * (result->high - result->low) / sqrt((double)result->pairs);
    int close = fabs(result->ratio - line->at_most) < notch;
    if (!is_met(result))
        return close ? "NO ~" : "NO";
    if (line->stretch != 0 && result->ratio <= line->stretch)
        return "yes, stretch";
    return close ? "yes ~" : "yes";
}

static const char *text_value(const struct result *result, double value)
{
    static char text[4][32];
    static unsigned next;
    if (result->line->measure == MEMORY)
        return text_bytes(value);
    if (result->line->measure != LINEAR)
        return text_ns(value);
    snprintf(text[next % 4], sizeof text[0], "n^%.2f", value);
    return text[next++ % 4];
}

static void tell_row(struct table *table, const struct result *result)
{
    const struct line *line = result->line;
    if (result->threads)
        table_cell(table, "%s, %zu", line->what, result->threads);
    else
        table_cell(table, "%s", line->what);
    table_cell(table, "%s", line->subject);
    table_cell(table, "%s", line->against);
    if (result->absent) {
        for (int i = 0; i < 5; i++)
            table_cell(table, "-");
        table_cell(table, "skipped: %s", result->absent);
        return;
    }
    int digits = result->ratio < 0.1 ? 3 : 2;
    table_cell(table, "%.*f", digits, result->ratio);
    table_cell(table, "%.*f to %.*f", digits, result->low, digits, result->high);
    table_cell(table, "%s", text_value(result, result->subject));
    table_cell(table, "%s", text_value(result, result->against));
    if (line->at_most == 0)
        table_cell(table, "%s", "");
    else if (line->stretch == 0)
        table_cell(table, "%.2f", line->at_most);
    else
        table_cell(table, "%.2f (%.2f)", line->at_most, line->stretch);
    table_cell(table, "%s", verdict(result));
}

static void tell(const struct facts *facts, FILE *out)
{
    static const char *const titles[] = {"what",    "bough by", "against",  "ratio", "quartiles",
                                         "bough's", "theirs",   "to reach", "met"};
    struct table table;
    facts_print(facts, out);
    fputc('\n', out);
    table_begin(&table, titles, "<<<>>>>><");
    for (size_t i = 0; i < result_count; i++)
        tell_row(&table, &results[i]);
    table_print(&table, out);
    table_free(&table);
    fprintf(out,
            "\nratio: bough's time over theirs, the median over all rounds of batches that ran side by side; and the\n"
            "quartiles. In brackets: the stretch. ~: too close to the target to tell. Without a target: for the\n"
            "record. Memory is resident memory and page tables; a kernel stack comes on top, alike for both.\n"
            "Growth: the power of the number of threads by which the time grows, from the smallest to the largest.\n");
}

static void json_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
    }
    fputc('"', out);
}

static void json_field(FILE *out, const char *key, const char *text)
{
    fprintf(out, "\"%s\": ", key);
    json_text(out, text);
    fputs(", ", out);
}

static void json(const struct facts *facts, const char *path)
{
    FILE *out = fopen(path, "we");
    if (!out)
        bench_die("%s: %s", path, strerror(errno));
    fputs("{\"machine\": {", out);
    json_field(out, "cpu", facts->cpu);
    json_field(out, "kernel", facts->kernel);
    json_field(out, "compiler", facts->compiler);
    json_field(out, "libc", facts->libc);
    json_field(out, "clock", facts->clock);
    fprintf(out, "\"cores\": %ld, \"usable\": %ld, \"load\": %.2f},\n \"lines\": [\n", facts->cores, facts->usable,
            facts->load);
    for (size_t i = 0; i < result_count; i++) {
        const struct result *r = &results[i];
        fputs("  {", out);
        json_field(out, "what", r->line->what);
        json_field(out, "bough", r->line->subject);
        json_field(out, "against", r->line->against);
        fprintf(out, "\"threads\": %zu, ", r->threads);
        if (r->absent)
            json_field(out, "skipped", r->absent);
        else
            fprintf(out,
                    "\"ratio\": %.6g, \"low\": %.6g, \"high\": %.6g, \"bough_value\": %.6g, "
                    "\"against_value\": %.6g, \"pairs\": %zu, ",
                    r->ratio, r->low, r->high, r->subject, r->against, r->pairs);
        fprintf(out, "\"at_most\": %.6g, \"stretch\": %.6g, \"met\": %s}%s\n", r->line->at_most, r->line->stretch,
                is_met(r) ? "true" : "false", i + 1 < result_count ? "," : "");
    }
    fputs(" ]}\n", out);
    if (fclose(out) != 0)
        bench_die("%s: %s", path, strerror(errno));
}

/* ---- the program ---------------------------------------------------------------------------- */

static void usage(FILE *out)
{
    fprintf(out, "usage: bough-bench [--quick | --seconds N] [--only GROUP] [--json FILE] [--strict]\n"
                 "groups:");
    for (size_t g = 0; g < BENCH_GROUPS; g++)
        fprintf(out, " %s", groups[g].name);
    fprintf(out, "\n--strict: the exit status is 1 if a target is missed\n");
}

static int is_wanted(enum bench_group group)
{
    return !only || strcmp(only, groups[group].name) == 0;
}

int main(int argc, char **argv)
{
    double seconds = 150;
    const char *json_path = NULL;
    int strict = 0;

    take_all();
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--crowd") == 0 && i + 2 < argc)
            return crowd_main(argv[i + 1], strtoul(argv[i + 2], NULL, 10));
        if (strcmp(argv[i], "--quick") == 0) {
            seconds = 14;
            sizes = quick_sizes;
        } else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) {
            seconds = strtod(argv[++i], NULL);
        } else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
            only = argv[++i];
        } else if (strcmp(argv[i], "--json") == 0 && i + 1 < argc) {
            json_path = argv[++i];
        } else if (strcmp(argv[i], "--strict") == 0) {
            strict = 1;
        } else {
            usage(stderr);
            return 2;
        }
    }

    struct facts facts;
    facts_take(&facts);
    signal(SIGALRM, stuck);
    for (enum bench_group g = 0; g < BENCH_GROUPS; g++) {
        if (!is_wanted(g))
            continue;
        fprintf(stderr, "%s ...\n", groups[g].name);
        if (g == BENCH_CROWD)
            run_crowds(seconds * groups[g].share, sizes == quick_sizes ? 2 : 5);
        else
            run_group(g, seconds * groups[g].share);
    }
    for (size_t i = 0; i < LINES; i++)
        if (is_wanted(lines[i].group))
            resolve(&lines[i]);

    tell(&facts, stdout);
    if (json_path)
        json(&facts, json_path);
    for (size_t i = 0; strict && i < result_count; i++)
        if (!is_met(&results[i]))
            return 1;
    return 0;
}

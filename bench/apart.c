/* SPDX-License-Identifier: MIT */
/* Runs groups on one processor, and crowds, in separate processes. */
#include "frame.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Starts this program again with these two arguments. Returns its output; NULL if it could not be started. */
static FILE *start_self(const char *what, const char *first, const char *second, pid_t *child)
{
    int out[2];
    if (pipe2(out, O_CLOEXEC) != 0)
        return NULL;
    *child = fork();
    if (*child == 0) {
        dup2(out[1], STDOUT_FILENO);
        execl("/proc/self/exe", "bough-bench", what, first, second, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    if (*child > 0)
        return fdopen(out[0], "r");
    close(out[0]);
    return NULL;
}

/* Returns whether the child writes anything within so many seconds; otherwise kills it. */
static int has_output(FILE *said, pid_t child, double seconds)
{
    struct pollfd wait = {.fd = fileno(said), .events = POLLIN};
    if (poll(&wait, 1, (int)(seconds * 1000)) == 1)
        return 1;
    kill(child, SIGKILL);
    return 0;
}

static void reap(pid_t child)
{
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        continue;
}

/* ---- a group on one processor ----------------------------------------------------------------- */

/* The child's side. Prints all numbers: "median ENTRY NS" for each round, and "sample ENTRY NS". */
void one_main(enum bench_group group, double seconds)
{
    cpu_set_t set, one;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        for (int cpu = CPU_SETSIZE - 1; cpu >= 0 && CPU_COUNT(&one) == 0; cpu--)
            if (CPU_ISSET(cpu, &set))
                CPU_SET(cpu, &one); /* the last one: the first handles most of the machine's interrupts */
    if (sched_setaffinity(0, sizeof one, &one) != 0)
        bench_die("sched_setaffinity: %s", strerror(errno));
    run_group(group, seconds);
    for (size_t i = 0; i < entry_count; i++) {
        for (size_t k = 0; k < entries[i].median.count; k++)
            printf("median %zu %.17g\n", i, entries[i].median.at[k]);
        for (size_t k = 0; k < entries[i].all.count; k++)
            printf("sample %zu %.17g\n", i, entries[i].all.at[k]);
    }
    fflush(stdout);
    _exit(0);
}

void run_on_one(enum bench_group group, double seconds)
{
    char text[32], what[16], line[128];
    pid_t child;
    size_t i, got = 0;
    double ns;
    snprintf(text, sizeof text, "%.3f", seconds);
    FILE *said = start_self("--one", groups[group].name, text, &child);
    if (said && has_output(said, child, seconds + 2 * PATIENCE_S))
        for (; fgets(line, sizeof line, said); got++)
            if (sscanf(line, "%15s %zu %lf", what, &i, &ns) == 3 && i < entry_count)
                series_add(*what == 'm' ? &entries[i].median : &entries[i].all, ns);
    if (said) {
        fclose(said);
        reap(child);
    }
    for (i = 0; i < entry_count; i++)
        if (entries[i].group == group && entries[i].median.count == 0)
            entries[i].absent = got ? "it took no part" : "its process failed";
}

/* ---- crowds ------------------------------------------------------------------------------------ */

/* The child's side. Prints one line with one measurement. */
void crowd_main(const char *name, size_t n)
{
    struct entry *entry = find_entry(BENCH_CROWD, name);
    struct batch batch = {0};
    if (!entry)
        bench_die("no crowd named %s", name);
    batch.n = n;
    entry->contender->run(&batch);
    printf("%.17g %.17g %.17g %.17g\n", batch.sample[0], batch.rss, batch.tables, batch.stacks);
    fflush(stdout);
    _exit(0);
}

/* Runs such a process and stores its line in `line`. Returns NULL, or why there is none. */
static const char *crowd_process(const char *name, size_t n, char *line, int size)
{
    char number[32];
    pid_t child;
    snprintf(number, sizeof number, "%zu", n);
    FILE *said = start_self("--crowd", name, number, &child);
    if (!said)
        return "no process";
    const char *fault = NULL;
    if (!has_output(said, child, PATIENCE_S))
        fault = "did not end in a minute";
    else if (!fgets(line, size, said))
        fault = "its process failed";
    fclose(said);
    reap(child);
    if (fault)
        return fault;
    line[strcspn(line, "\n")] = 0;
    return strncmp(line, "skip ", 5) == 0 ? strdup(line + 5) : NULL;
}

static void crowd_once(struct entry *entry, size_t s)
{
    char line[256];
    double time, rss, tables, stacks;
    if (entry->crowd[s].absent)
        return;
    entry->crowd[s].absent = crowd_process(entry->contender->name, crowd_sizes[s], line, sizeof line);
    if (!entry->crowd[s].absent && sscanf(line, "%lf %lf %lf %lf", &time, &rss, &tables, &stacks) != 4)
        entry->crowd[s].absent = "its process printed no measurement";
    if (entry->crowd[s].absent) {
        fprintf(stderr, "skipped: %s, %zu threads: %s\n", entry->contender->name, crowd_sizes[s],
                entry->crowd[s].absent);
        return;
    }
    series_add(&entry->crowd[s].time, time);
    series_add(&entry->crowd[s].memory, rss + tables);
}

void run_crowds(double seconds, size_t min_rounds)
{
    int64_t until = bench_now() + (int64_t)(seconds * 1e9);
    for (size_t round = 0; round < min_rounds || bench_now() < until; round++)
        for (size_t s = 0; crowd_sizes[s]; s++)
            for (size_t k = 0; k < entry_count; k++) {
                struct entry *entry = &entries[round % 2 ? entry_count - 1 - k : k];
                if (entry->group == BENCH_CROWD)
                    crowd_once(entry, s);
            }
}

/* SPDX-License-Identifier: MIT */
/* bough trace: a recording as text, one line for each event. */
#define _GNU_SOURCE
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "command.h"
#include "text.h"
#include "trace/read.h"

/* ---- the parts of a line ----------------------------------------------------------------------------------------- */

static void put_at(const struct trace *t, int64_t at)
{
    int64_t us = (at - t->begun) / 1000;
    printf("%6" PRId64 ".%06" PRId64 "  ", us / 1000000, us % 1000000);
}

static void put_thread(const struct trace *t, int thread)
{
    char text[64] = "-";
    if (thread != TRACE_NONE)
        snprintf(text, sizeof text, "%d %s", (int)t->threads[thread].tid, t->threads[thread].name);
    fputs(text, stdout);
    printf("%*s  ", (int)(strlen(text) < 24 ? 24 - strlen(text) : 0), "");
}

static void put_target(const struct trace *t, const struct trace_event *e)
{
    if (e->target_thread != TRACE_NONE)
        printf("thread %d %s", (int)t->threads[e->target_thread].tid, t->threads[e->target_thread].name);
    else if (e->target_branch != TRACE_NONE)
        printf("branch %s", t->branches[e->target_branch].name);
    else
        fputs("everything", stdout);
}

static void put_quoted(const char *text)
{
    if (*text)
        printf(" (%s)", text);
}

static void put_took(const struct trace_event *e)
{
    if (e->until == TRACE_OPEN)
        fputs(", and was still there", stdout);
    else
        printf(", %.3f ms", (double)(e->until - e->at) / 1e6);
}

static void put_what(const struct trace *t, const struct trace_event *e)
{
    switch (e->what) {
    case TRACE_CALL:
        printf("call %s", e->text);
        put_quoted(e->detail);
        put_took(e);
        break;
    case TRACE_SECTION:
        printf("region %s", e->text);
        put_quoted(e->detail);
        put_took(e);
        break;
    case TRACE_GIL:
        fputs("wait for the GIL", stdout);
        put_took(e);
        break;
    case TRACE_POSTED:
        printf("post #%u %s", e->serial, e->text);
        put_quoted(e->detail);
        fputs(" to ", stdout);
        put_target(t, e);
        break;
    case TRACE_DELIVERED:
        printf("delivery #%u %s, posted to ", e->serial, e->text);
        put_target(t, e);
        break;
    case TRACE_OVER:
        printf("over #%u %s: %s, posted to ", e->serial, e->kind, e->text);
        put_target(t, e);
        break;
    case TRACE_RUNG:
        printf("rung %d #%u %s: %s", e->rung, e->serial, e->kind, e->text);
        put_quoted(e->detail);
        fputs("; posted to ", stdout);
        put_target(t, e);
        break;
    case TRACE_FAILURE:
        printf("failure of ");
        put_target(t, e);
        printf(": %s", e->text);
        put_quoted(e->detail);
        break;
    }
}

/* ---- starts and ends --------------------------------------------------------------------------------------------- */

/* A line: an event of the model, or the start or the end of a process, thread or branch. */
struct line {
    int64_t at;
    enum { PROCESS_BEGINS, BRANCH_BEGINS, THREAD_BEGINS, EVENT, THREAD_ENDS, BRANCH_ENDS, PROCESS_ENDS } what;
    int index;
};

static int by_time(const void *left, const void *right)
{
    const struct line *a = left, *b = right;
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    return a->what != b->what ? (int)a->what - (int)b->what : (a->index > b->index) - (a->index < b->index);
}

static struct line *lines_of(const struct trace *t, size_t *count)
{
    struct line *line =
        calloc(2 * ((size_t)t->n_processes + (size_t)t->n_threads + (size_t)t->n_branches) + (size_t)t->n_events + 1,
               sizeof *line);
    size_t n = 0;
    for (int i = 0; line && i < t->n_processes; i++) {
        line[n++] = (struct line){t->processes[i].begun, PROCESS_BEGINS, i};
        line[n++] = (struct line){t->processes[i].ended, PROCESS_ENDS, i};
    }
    for (int i = 0; line && i < t->n_threads; i++) {
        line[n++] = (struct line){t->threads[i].begun, THREAD_BEGINS, i};
        line[n++] = (struct line){t->threads[i].ended, THREAD_ENDS, i};
    }
    for (int i = 0; line && i < t->n_branches; i++) {
        line[n++] = (struct line){t->branches[i].begun, BRANCH_BEGINS, i};
        line[n++] = (struct line){t->branches[i].ended, BRANCH_ENDS, i};
    }
    for (int i = 0; line && i < t->n_events; i++)
        line[n++] = (struct line){t->events[i].at, EVENT, i};
    *count = n;
    if (line)
        qsort(line, n, sizeof *line, by_time);
    return line;
}

static void put_process(const struct trace *t, const struct trace_process *p, bool begins)
{
    put_thread(t, TRACE_NONE);
    printf("process %d", (int)p->pid);
    if (!begins)
        fputs(" ends", stdout);
    else if (p->parent == TRACE_NONE)
        printf(" %s begins", p->command);
    else
        printf(" %s begins, forked by process %d", p->command, (int)t->processes[p->parent].pid);
}

static void put_branch(const struct trace *t, const struct trace_branch *b, bool begins)
{
    put_thread(t, b->owner);
    printf("branch %s %s", b->name, begins ? "begins" : "ends");
    if (!begins && *b->outcome)
        printf(": %s", b->outcome);
}

static void put_life(const struct trace *t, int thread, bool begins)
{
    int branch = t->threads[thread].branch;
    put_thread(t, thread);
    printf("thread %s", begins ? "begins" : "ends");
    if (begins && branch != TRACE_NONE)
        printf(" in branch %s", t->branches[branch].name);
}

static void put_line(const struct trace *t, const struct line *l)
{
    if (l->at == TRACE_OPEN)
        return; /* its end was not recorded */
    put_at(t, l->at);
    if (l->what == EVENT) {
        put_thread(t, t->events[l->index].thread);
        put_what(t, &t->events[l->index]);
    } else if (l->what == PROCESS_BEGINS || l->what == PROCESS_ENDS) {
        put_process(t, &t->processes[l->index], l->what == PROCESS_BEGINS);
    } else if (l->what == THREAD_BEGINS || l->what == THREAD_ENDS) {
        put_life(t, l->index, l->what == THREAD_BEGINS);
    } else {
        put_branch(t, &t->branches[l->index], l->what == BRANCH_BEGINS);
    }
    putchar('\n');
}

/* ---- the whole text ---------------------------------------------------------------------------------------------- */

static void put_head(const struct trace *t)
{
    char when[64] = "";
    time_t seconds = (time_t)(t->wall_at_begun / 1000000000);
    struct tm local;
    if (localtime_r(&seconds, &local))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &local);
    printf("recorded from %s, for %.3f s: %d processes, %d threads, %d branches, %d events", when,
           (double)(t->ended - t->begun) / 1e9, t->n_processes, t->n_threads, t->n_branches, t->n_events);
    if (t->lost)
        printf("; %" PRIu64 " older events are lost", t->lost);
    puts(t->was_cut_off ? "; its end is not recorded: it goes on, or the process was killed" : "");
}

static int list(const char *file)
{
    struct trace t;
    size_t count;
    if (trace_read(file, &t) != 0)
        return EXIT_FAILURE;
    struct line *line = lines_of(&t, &count);
    if (!line) {
        trace_free(&t);
        return fail("out of memory");
    }
    put_head(&t);
    for (size_t i = 0; i < count; i++)
        put_line(&t, &line[i]);
    free(line);
    trace_free(&t);
    return EXIT_SUCCESS;
}

int trace_main(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
    for (int o; (o = getopt_long(argc, argv, "h", options, NULL)) != -1;)
        return o == 'h' ? help("trace") : misused("trace");
    if (optind + 1 != argc)
        return usage_error("trace", optind == argc ? "no file is given" : "more than one file is given");
    return list(argv[optind]);
}

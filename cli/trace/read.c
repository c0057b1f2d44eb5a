/* SPDX-License-Identifier: MIT */
/* Reads a recording into its model (trace/trace.h). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "command.h"
#include "trace/build.h"
#include "trace/read.h"

/* ---- order ------------------------------------------------------------------------------------------------------- */

static int64_t time_of(const struct chunk_copy *c)
{
    for (unsigned i = 0; i < BO_TRACE_UNITS; i++)
        if (chunks_has(c, i) && (bo_load_relaxed(&c->chunk->unit[i].field[0]) & 255) != BO_TRACE_TEXT)
            return (int64_t)bo_load_relaxed(&c->chunk->unit[i].field[1]);
    return INT64_MAX;
}

/* The chunks of each thread come in the order of their age, the oldest first. */
static int by_thread(const void *left, const void *right)
{
    const struct chunk_copy *a = left, *b = right;
    const struct bo_trace_chunk *x = a->chunk, *y = b->chunk;
    uint32_t in = bo_load_relaxed(&x->process), other_in = bo_load_relaxed(&y->process);
    int tid = bo_load_relaxed(&x->tid), other_tid = bo_load_relaxed(&y->tid);
    if (in != other_in)
        return in < other_in ? -1 : 1;
    if (tid != other_tid)
        return tid < other_tid ? -1 : 1;
    if (x->before != y->before)
        return x->before < y->before ? -1 : 1;
    int64_t s = time_of(a), t = time_of(b);
    return (s > t) - (s < t);
}

static int by_time(const void *left, const void *right)
{
    const struct trace_event *a = left, *b = right;
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    return (a->what > b->what) - (a->what < b->what);
}

/* ---- completing the model ---------------------------------------------------------------------------------------- */

/* In a damaged recording, elements may enclose each other in a circle, and code that follows the links would hang: so
 * the circle is broken. `around`: the link in the first element, `size`: of an element. */
static void cut_circles(void *around, int count, size_t size)
{
    enum { NEW, ON_THE_WAY, DONE };
    char *state = count ? calloc((size_t)count, 1) : NULL;
    for (int i = 0; i < count; i++) {
        int *next, at;
        for (at = i; at != TRACE_NONE && state && state[at] == NEW; at = *next) {
            state[at] = ON_THE_WAY;
            next = (int *)(void *)((char *)around + (size_t)at * size);
            if (*next != TRACE_NONE && state[*next] == ON_THE_WAY)
                *next = TRACE_NONE;
        }
        for (at = i; at != TRACE_NONE && state && state[at] == ON_THE_WAY; at = *next) {
            state[at] = DONE;
            next = (int *)(void *)((char *)around + (size_t)at * size);
        }
        if (!state)
            *(int *)(void *)((char *)around + (size_t)i * size) = TRACE_NONE;
    }
    free(state);
}

static int64_t not_before(int64_t end, int64_t begin)
{
    return end < begin ? begin : end;
}

/* Fill in ends that are not in the recording: those of threads and branches that ended with their process, or before
 * the recording began. */
static void complete_times(struct trace *t)
{
    for (int i = 0; i < t->n_processes; i++) {
        struct trace_process *p = &t->processes[i];
        p->begun = p->begun == TRACE_OPEN ? t->begun : p->begun;
        p->ended = not_before(p->ended, p->begun);
    }
    for (int i = 0; i < t->n_threads; i++) {
        struct trace_thread *thread = &t->threads[i];
        int64_t over = t->processes[thread->process].ended;
        thread->begun = thread->begun == TRACE_OPEN ? t->begun : thread->begun;
        thread->ended = not_before(thread->ended == TRACE_OPEN ? over : thread->ended, thread->begun);
    }
    for (int i = 0; i < t->n_branches; i++) {
        struct trace_branch *branch = &t->branches[i];
        int64_t over = t->processes[branch->process].ended;
        branch->begun = branch->begun == TRACE_OPEN ? t->begun : branch->begun;
        branch->ended = not_before(branch->ended == TRACE_OPEN ? over : branch->ended, branch->begun);
    }
    for (int i = 0; i < t->n_events; i++)
        if (t->events[i].until == TRACE_OPEN)
            t->events[i].until = not_before(t->processes[t->events[i].process].ended, t->events[i].at);
}

static void find_end(struct trace *t, int64_t ended)
{
    t->ended = not_before(ended, t->begun);
    for (int i = 0; i < t->n_events; i++) {
        const struct trace_event *e = &t->events[i];
        int64_t last = e->until == TRACE_OPEN ? e->at : e->until;
        t->ended = not_before(t->ended, last);
    }
    for (int i = 0; i < t->n_threads; i++)
        t->ended = not_before(t->ended, t->threads[i].ended == TRACE_OPEN ? t->threads[i].begun : t->threads[i].ended);
    for (int i = 0; i < t->n_processes; i++)
        t->ended = not_before(t->ended, t->processes[i].ended == TRACE_OPEN ? t->begun : t->processes[i].ended);
}

static bool is_of_one_thread(const struct bo_trace_chunk *x, const struct bo_trace_chunk *y)
{
    return bo_load_relaxed(&x->process) == bo_load_relaxed(&y->process) &&
           bo_load_relaxed(&x->tid) == bo_load_relaxed(&y->tid);
}

/* `before` counts the thread's events before the chunk: those that are not in its earlier chunks are lost. */
static void count_lost(struct builder *b)
{
    const struct chunks *all = &b->chunks;
    uint64_t expected = 0;
    for (size_t i = 0; i < all->count; i++) {
        const struct bo_trace_chunk *c = all->copy[i].chunk;
        bool follows = i && is_of_one_thread(all->copy[i - 1].chunk, c);
        uint64_t events = 0;
        for (unsigned k = 0; k < BO_TRACE_UNITS; k++)
            events += chunks_has(&all->copy[i], k) && (bo_load_relaxed(&c->unit[k].field[0]) & 255) != BO_TRACE_TEXT;
        if (!follows)
            expected = 0;
        if (c->before > expected && c->thread && !handle_is_branch(c->thread)) {
            int thread = build_thread(b, bo_load_relaxed(&c->process), c->thread, bo_load_relaxed(&c->tid), "");
            if (thread != TRACE_NONE)
                b->trace->threads[thread].lost += c->before - expected;
        }
        expected = c->before + events;
    }
}

static void build(struct builder *b)
{
    struct trace *t = b->trace;
    const struct bo_trace_head *h = &b->chunks.head;
    int64_t ended = bo_load_relaxed(&h->ended);
    t->begun = h->begun >= 0 && h->begun < INT64_MAX / 4 ? h->begun : 0;
    b->chunks.head.begun = t->begun;
    t->wall_at_begun = h->wall_at_begun;
    t->lost = bo_load_relaxed(&h->lost);
    t->was_cut_off = ended <= 0;
    if (b->chunks.count)
        qsort(b->chunks.copy, b->chunks.count, sizeof *b->chunks.copy, by_thread);
    for (size_t i = 0; i < b->chunks.count && !b->failed; i++)
        build_from_chunk(b, &b->chunks.copy[i]);
    if (b->failed)
        return;
    count_lost(b);
    if (t->n_branches)
        cut_circles(&t->branches->outer, t->n_branches, sizeof *t->branches);
    if (t->n_processes)
        cut_circles(&t->processes->parent, t->n_processes, sizeof *t->processes);
    complete_times(t);
    find_end(t, ended > 0 && ended < INT64_MAX / 2 ? ended : t->begun);
    if (t->n_events)
        qsort(t->events, (size_t)t->n_events, sizeof *t->events, by_time);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* A file that is not regular could block its reader, or have no end. */
static int open_recording(const char *file, const char **why)
{
    struct stat is;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return *why = strerror(errno), -1;
    if (fstat(fd, &is) == 0 && S_ISREG(is.st_mode))
        return fd;
    close(fd);
    *why = "it is not a regular file";
    errno = EINVAL;
    return -1;
}

static int read_from(int fd, struct trace *trace, const char **why)
{
    struct builder b = {.trace = trace};
    int error = chunks_read(fd, &b.chunks, why);
    if (!error) {
        build(&b);
        error = b.failed ? ENOMEM : 0;
        chunks_free(&b.chunks);
    }
    free(b.processes.entry);
    free(b.threads.entry);
    free(b.branches.entry);
    if (error == ENOMEM)
        *why = "out of memory";
    return error ? -1 : 0;
}

int trace_read(const char *file, struct trace *trace)
{
    const char *why;
    *trace = (struct trace){.memory = NULL};
    int fd = open_recording(file, &why);
    int r = fd < 0 ? -1 : read_from(fd, trace, &why);
    if (fd >= 0)
        close(fd);
    if (r != 0) {
        trace_free(trace);
        fail("cannot read %s: %s", file, why);
    }
    return r;
}

void trace_free(struct trace *trace)
{
    for (struct block *block = trace->memory, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(trace->processes);
    free(trace->threads);
    free(trace->branches);
    free(trace->events);
    *trace = (struct trace){.memory = NULL};
}

/* SPDX-License-Identifier: MIT */
/*
 * Since when a thread waits. The kernel does not record that. But it counts how often a thread was given a processor,
 * and a waiting thread is given none. So while the count stays the same, the thread has not left its call.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "top.h"

enum { SAMPLING_NS = 25000000, OLD = 64 /* frames */ };

uint32_t node_generation(const struct node *n)
{
    return n->unknown ? 0 : bo_word_generation(bo_load_relaxed(&n->slot.target.word));
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

static struct call *place(const struct calls *c, pid_t tid)
{
    uint32_t hash = (uint32_t)tid * 2654435761u;
    size_t at = hash & (c->room - 1);
    while (c->table[at].tid && c->table[at].tid != tid)
        at = (at + 1) & (c->room - 1);
    return &c->table[at];
}

/* Makes room, and drops threads that have not been seen for long. */
static bool grow_calls(struct calls *c, unsigned frame)
{
    struct calls old = *c;
    size_t kept = 0;
    for (size_t i = 0; i < old.room; i++)
        kept += old.table[i].tid && frame - old.table[i].seen < OLD;
    c->room = 256;
    while (c->room < 4 * kept)
        c->room *= 2;
    c->table = calloc(c->room, sizeof *c->table);
    if (!c->table) {
        *c = old;
        return false;
    }
    c->used = 0;
    for (size_t i = 0; i < old.room; i++)
        if (old.table[i].tid && frame - old.table[i].seen < OLD)
            *place(c, old.table[i].tid) = old.table[i], c->used++;
    free(old.table);
    return true;
}

const struct call *calls_find(const struct calls *c, pid_t tid, uint32_t generation)
{
    const struct call *found = c->room && tid ? place(c, tid) : NULL;
    return found && found->tid && found->generation == generation ? found : NULL;
}

void calls_free(struct calls *c)
{
    free(c->table);
    *c = (struct calls){0};
}

/* ---- sampling ---------------------------------------------------------------------------------------------------- */

/* The third number of schedstat. 0: the kernel does not count. */
static uint64_t turns_of(pid_t pid, pid_t tid)
{
    char path[64], line[96];
    unsigned long long turns = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/schedstat", (int)pid, (int)tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, line, sizeof line - 1);
    line[n > 0 ? n : 0] = '\0';
    close(fd);
    return sscanf(line, "%*u %*u %llu", &turns) == 1 ? turns : 0;
}

static bool is_same_wait(const struct call *before, const struct call *now)
{
    return before->tid == now->tid && before->generation == now->generation && before->turns == now->turns &&
           now->now.state != 'R' && strcmp(before->now.call, now->now.call) == 0;
}

const struct call *calls_sample(struct calls *c, pid_t pid, pid_t tid, uint32_t generation, unsigned frame)
{
    if (c->used * 2 >= c->room && !grow_calls(c, frame))
        return NULL;
    struct call now = {.tid = tid, .generation = generation, .seen = frame, .since = top_clock()};
    now.turns = turns_of(pid, tid);
    proc_activity(pid, tid, &now.now);
    struct call *known = place(c, tid);
    bool is_new = known->tid == 0;
    now.earlier = is_new || known->generation != generation;
    if (is_same_wait(known, &now)) {
        now.since = known->since;
        now.earlier = known->earlier;
    }
    c->used += is_new;
    *known = now;
    return known;
}

static const struct node *nth(const struct view *v, uint32_t i)
{
    return i < BO_THREADS ? v->thread[i] : i - BO_THREADS < v->unknowns ? v->unknown[i - BO_THREADS] : NULL;
}

/* Samples each thread at most once. */
void calls_sample_some(struct calls *c, const struct view *v, unsigned frame)
{
    int64_t until = top_processor_time() + SAMPLING_NS;
    uint32_t all = BO_THREADS + v->unknowns;
    for (uint32_t done = 0, samples = 0; done < all; done++) {
        const struct node *n = nth(v, (c->next + done) % all);
        if (!n || !n->tid)
            continue;
        calls_sample(c, v->arena->pid, n->tid, node_generation(n), frame);
        if (++samples % 32 == 0 && top_processor_time() > until) {
            c->next = (c->next + done + 1) % all;
            return;
        }
    }
}

/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "trace/build.h"
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/plain.h"

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void *out_of_memory(struct builder *b)
{
    b->failed = true;
    return NULL;
}

static char *room_for_text(struct builder *b, size_t size)
{
    enum { BLOCK = 64 * 1024 };
    struct block *block = b->trace->memory;
    if (!block || block->size - block->used < size) {
        size_t most = size > BLOCK ? size : BLOCK;
        block = malloc(sizeof *block + most);
        if (!block)
            return out_of_memory(b);
        *block = (struct block){.next = b->trace->memory, .size = most};
        b->trace->memory = block;
    }
    block->used += size;
    return block->text + block->used - size;
}

const char *build_text(struct builder *b, const char *text, size_t size)
{
    char raw[BO_TRACE_MORE * 24 + 1], plain[sizeof raw * BO_ESCAPE];
    size_t n = strnlen(text, size < sizeof raw - 1 ? size : sizeof raw - 1);
    if (!n)
        return "";
    memcpy(raw, text, n);
    raw[n] = '\0';
    size_t length = bo_plain(plain, sizeof plain, raw);
    char *copy = room_for_text(b, length + 1);
    return copy ? memcpy(copy, plain, length + 1) : "";
}

const char *build_format(struct builder *b, const char *format, ...)
{
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t length = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : bo_cut(text, sizeof text - 1);
    char *copy = length ? room_for_text(b, length + 1) : NULL;
    if (!copy)
        return "";
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

/* Add an element to an array; NULL: memory ran out, or the array has too many elements. */
static void *one_more(struct builder *b, void *array, int *count, int *room, size_t size)
{
    void **at = array;
    if (*count == *room) {
        int more = *room ? *room * 2 : 64;
        void *new = *room < INT_MAX / 4 ? realloc(*at, (size_t)more * size) : NULL;
        if (!new)
            return out_of_memory(b);
        *at = new;
        *room = more;
    }
    return (char *)*at + (size_t)(*count)++ * size;
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

static size_t hash(uint64_t process, uint64_t handle)
{
    uint64_t h = (process * 0x9e3779b97f4a7c15u) ^ (handle * 0xc2b2ae3d27d4eb4fu);
    return (size_t)(h ^ h >> 29);
}

static struct entry *place_of(const struct table *t, uint64_t process, uint64_t handle)
{
    size_t i = hash(process, handle) & (t->size - 1);
    while (t->entry[i].index && (t->entry[i].process != process || t->entry[i].handle != handle))
        i = (i + 1) & (t->size - 1);
    return &t->entry[i];
}

static bool enlarge(struct table *t)
{
    struct table more = {.size = t->size ? t->size * 2 : 256, .count = t->count};
    more.entry = calloc(more.size, sizeof *more.entry);
    if (!more.entry)
        return false;
    for (size_t i = 0; i < t->size; i++)
        if (t->entry[i].index)
            *place_of(&more, t->entry[i].process, t->entry[i].handle) = t->entry[i];
    free(t->entry);
    *t = more;
    return true;
}

/* The entry of the handle, or a free entry for it; NULL: memory ran out. */
static struct entry *entry_of(struct builder *b, struct table *t, uint64_t process, uint64_t handle)
{
    if (t->count * 2 >= t->size && !enlarge(t))
        return out_of_memory(b);
    return place_of(t, process, handle);
}

static void use_entry(struct table *t, struct entry *e, uint64_t process, uint64_t handle, int index)
{
    *e = (struct entry){process, handle, index + 1};
    t->count++;
}

/* ---- processes, threads and branches ----------------------------------------------------------------------------- */

int build_process(struct builder *b, uint32_t number, pid_t pid)
{
    struct trace *t = b->trace;
    struct entry *e = entry_of(b, &b->processes, number, 0);
    if (!e)
        return TRACE_NONE;
    if (e->index) {
        if (!t->processes[e->index - 1].pid)
            t->processes[e->index - 1].pid = pid;
        return e->index - 1;
    }
    struct trace_process *p = one_more(b, &t->processes, &t->n_processes, &b->room_for_processes, sizeof *p);
    if (!p)
        return TRACE_NONE;
    *p = (struct trace_process){
        .pid = pid, .parent = TRACE_NONE, .begun = TRACE_OPEN, .ended = TRACE_OPEN, .command = ""};
    use_entry(&b->processes, e, number, 0, t->n_processes - 1);
    return t->n_processes - 1;
}

int build_thread(struct builder *b, uint32_t process, uint64_t handle, pid_t tid, const char *name)
{
    struct trace *t = b->trace;
    int of = build_process(b, process, 0);
    uint64_t key = handle ? handle : (uint64_t)(uint32_t)tid;
    struct entry *e = of == TRACE_NONE ? NULL : entry_of(b, &b->threads, process, key);
    if (!e)
        return TRACE_NONE;
    if (e->index) {
        struct trace_thread *known = &t->threads[e->index - 1];
        if (!known->tid)
            known->tid = tid;
        if (!*known->name)
            known->name = name;
        return e->index - 1;
    }
    struct trace_thread *new = one_more(b, &t->threads, &t->n_threads, &b->room_for_threads, sizeof *new);
    if (!new)
        return TRACE_NONE;
    *new = (struct trace_thread){.process = of,
                                 .tid = tid,
                                 .name = name,
                                 .branch = TRACE_NONE,
                                 .begun = TRACE_OPEN,
                                 .ended = TRACE_OPEN,
                                 .is_library_thread = !handle && strncmp(name, "bough-", 6) == 0};
    use_entry(&b->threads, e, process, key, t->n_threads - 1);
    return t->n_threads - 1;
}

int build_branch(struct builder *b, uint32_t process, uint64_t handle, const char *name)
{
    struct trace *t = b->trace;
    int of = build_process(b, process, 0);
    struct entry *e = of == TRACE_NONE ? NULL : entry_of(b, &b->branches, process, handle);
    if (!e)
        return TRACE_NONE;
    if (e->index) {
        if (!*t->branches[e->index - 1].name)
            t->branches[e->index - 1].name = name;
        return e->index - 1;
    }
    struct trace_branch *new = one_more(b, &t->branches, &t->n_branches, &b->room_for_branches, sizeof *new);
    if (!new)
        return TRACE_NONE;
    *new = (struct trace_branch){.process = of,
                                 .name = name,
                                 .outer = TRACE_NONE,
                                 .owner = TRACE_NONE,
                                 .begun = TRACE_OPEN,
                                 .ended = TRACE_OPEN,
                                 .outcome = ""};
    use_entry(&b->branches, e, process, handle, t->n_branches - 1);
    return t->n_branches - 1;
}

struct trace_event *build_event(struct builder *b, enum trace_what what, int64_t at, int64_t until)
{
    struct trace *t = b->trace;
    struct trace_event *e = one_more(b, &t->events, &t->n_events, &b->room_for_events, sizeof *e);
    if (!e)
        return NULL;
    *e = (struct trace_event){.at = at,
                              .until = until,
                              .what = what,
                              .process = TRACE_NONE,
                              .thread = TRACE_NONE,
                              .target_thread = TRACE_NONE,
                              .target_branch = TRACE_NONE,
                              .kind = "",
                              .text = "",
                              .detail = ""};
    return e;
}

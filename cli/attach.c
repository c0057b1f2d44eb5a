/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "attach.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "memfd.h"
#include "pid_ns.h"
#include "proc.h"

static const char file_name[] = MEMFD("bough");
static const char hidden_name[] = "[anon:bough hidden: ";

__attribute__((format(printf, 3, 4))) static enum attached fail_attach(struct arena *a, enum attached result,
                                                                       const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(a->why, sizeof a->why, format, arguments);
    va_end(arguments);
    return result;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

/* Bare, because the thread sanitizer does not support fences, and gcc rejects them with it. The memory belongs to
 * another process. */
BO_BARE static bool get(const struct arena *a, uint64_t at, void *to, size_t size)
{
    ssize_t n = pread(a->fd, to, size, (off_t)(a->base + (int64_t)at));
    atomic_thread_fence(memory_order_acquire); /* the next reads are ordered after this */
    return n == (ssize_t)size;
}

static uint64_t thread_at(const struct arena *a, uint32_t index)
{
    return a->head.thread_at + (uint64_t)index * sizeof(struct bo_thread);
}

static uint64_t branch_at(const struct arena *a, uint32_t index)
{
    return a->head.branch_at + (uint64_t)index * sizeof(struct bo_branch);
}

static uint64_t record_at(const struct arena *a, bool branch, uint32_t index, int kind)
{
    uint64_t slot = (branch ? (uint64_t)BO_THREADS : 0) + index;
    return a->head.record_at + (slot * BO_KIND_COUNT + (uint64_t)kind) * sizeof(struct bo_record);
}

/* ---- is it an arena, and of this version? ----------------------------------------------------------------------- */

static bool same_layout(const struct bo_header *h)
{
    return h->version == BO_ARENA_VERSION && h->layout == bo_arena_layout() && h->header_size == sizeof *h &&
           h->thread_size == sizeof(struct bo_thread) && h->branch_size == sizeof(struct bo_branch) &&
           h->record_size == sizeof(struct bo_record) && h->threads == BO_THREADS && h->branches == BO_BRANCHES &&
           h->kinds == BO_KIND_COUNT;
}

/* The tables follow each other; `size` is not needed, and not trusted. */
static bool in_order(const struct bo_header *h)
{
    return h->thread_at >= sizeof *h && h->thread_at < 1 << 20 &&
           h->branch_at == h->thread_at + (uint64_t)BO_THREADS * sizeof(struct bo_thread) &&
           h->record_at == h->branch_at + (uint64_t)BO_BRANCHES * sizeof(struct bo_branch);
}

static enum attached check_header(struct arena *a, const char *source)
{
    struct bo_header *h = &a->head;
    if (!get(a, 0, h, sizeof *h) || memcmp(h->magic, BO_ARENA_MAGIC, sizeof BO_ARENA_MAGIC) != 0)
        return fail_attach(a, NOT_BOUGH, "%s is not an arena of bough", source);
    h->library[sizeof h->library - 1] = '\0';
    for (char *c = h->library; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    if (!same_layout(h))
        return fail_attach(
            a, OTHER_VERSION,
            "%s was built with bough %s, arena version %u; this command is of bough %s, arena version %d: use "
            "the one of that build",
            source, h->library, h->version, BO_VERSION, BO_ARENA_VERSION);
    if (!in_order(h))
        return fail_attach(a, BROKEN, "the arena of %s is inconsistent", source);
    return ATTACHED;
}

static enum attached check_or_detach(struct arena *a, const char *source)
{
    enum attached result = check_header(a, source);
    if (result != ATTACHED)
        detach(a);
    return result;
}

/* ---- finding an arena ---------------------------------------------------------------------------------- */

/* The traces that the library leaves in /proc/PID/maps. */
struct traces {
    int64_t address;  /* of the shared mapping; 0: there is none */
    bool library;     /* libbough is loaded */
    char hidden[100]; /* why the arena is private */
};

/* The sixth field: the name of the mapping, which may look like any other field. */
static const char *mapped(const char *line)
{
    int at = 0;
    return sscanf(line, "%*s %*s %*s %*s %*s %n", &at) >= 0 && at ? line + at : "";
}

static void look_at_line(struct traces *found, char *line)
{
    line[strcspn(line, "\n")] = '\0';
    const char *name = mapped(line);
    if (strcmp(name, file_name) == 0 && !found->address)
        found->address = (int64_t)strtoull(line, NULL, 16);
    if (strstr(name, "/libbough.so"))
        found->library = true;
    if (strncmp(name, hidden_name, sizeof hidden_name - 1) == 0)
        snprintf(found->hidden, sizeof found->hidden, "%.*s", (int)strcspn(name + sizeof hidden_name - 1, "]"),
                 name + sizeof hidden_name - 1);
}

static bool look_at_maps(struct traces *found, pid_t pid)
{
    char path[64], line[4352];
    memset(found, 0, sizeof *found);
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    while (maps && fgets(line, sizeof line, maps))
        look_at_line(found, line);
    return maps && fclose(maps) == 0;
}

static enum attached denied(struct arena *a, pid_t pid)
{
    struct stat owner;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    if (stat(path, &owner) != 0)
        return fail_attach(a, NO_PROCESS, "there is no process %d: `bough ps` lists those that have a tree", (int)pid);
    if (geteuid() == 0)
        return fail_attach(a, DENIED, "process %d can't be read from here, not even by root: look where it was started",
                           (int)pid);
    if (owner.st_uid != geteuid())
        return fail_attach(a, DENIED, "process %d is user %u's: run this command as that user, or as root", (int)pid,
                           owner.st_uid);
    return fail_attach(a, DENIED,
                       "process %d is not readable (it has changed its user or capabilities): run this command as root",
                       (int)pid);
}

/* Called if the descriptor was not found: the program has closed it, its arena is hidden, or it has none. `alive`:
 * proc_alive(). */
static enum attached attach_by_maps(struct arena *a, pid_t pid, pid_t alive)
{
    struct traces found;
    char path[64];
    if (!look_at_maps(&found, alive))
        return denied(a, pid);
    if (*found.hidden)
        return fail_attach(a, HIDDEN, "process %d hides its tree: %s", (int)pid, found.hidden);
    if (!found.address && found.library)
        return fail_attach(a, HIDDEN,
                           "process %d hides its tree, or has a bough without one: look for BOUGH_HIDDEN in its "
                           "environment",
                           (int)pid);
    if (!found.address)
        return fail_attach(
            a, NOT_BOUGH,
            "process %d does not use bough, or hides it (BOUGH_HIDDEN): `bough ps` lists those to be seen", (int)pid);
    snprintf(path, sizeof path, "/proc/%d/mem", (int)alive);
    a->fd = open(path, O_RDONLY | O_CLOEXEC);
    a->base = found.address;
    if (a->fd < 0 && !pid_ns_proc_is_ours())
        return fail_attach(a, DENIED, "process %d can't be read here: /proc is of another PID namespace", (int)pid);
    if (a->fd < 0)
        return fail_attach(a, DENIED, "process %d has closed the file of its tree: only root can see it", (int)pid);
    return ATTACHED;
}

enum attached attach_process(struct arena *a, pid_t pid)
{
    char source[32], path[64];
    *a = (struct arena){.pid = pid, .fd = -1};
    snprintf(source, sizeof source, "process %d", (int)pid);
    pid_t alive = proc_alive(pid);
    snprintf(path, sizeof path, "/proc/%d/fd", (int)(alive ? alive : pid));
    DIR *folder = opendir(path);
    if (!folder)
        return denied(a, pid);
    closedir(folder);
    if (!alive)
        return fail_attach(a, NO_PROCESS, "process %d has ended: it is a zombie until its parent waits for it",
                           (int)pid);
    if (!pid_ns_own(pid, &a->own_pid, &a->apart))
        return denied(a, pid);
    a->fd = memfd_find(alive, file_name, MEMFD_LENGTH | MEMFD_WRITTEN,
                       O_RDONLY); /* this needs only the right to read the process */
    enum attached result = a->fd >= 0 ? ATTACHED : attach_by_maps(a, pid, alive);
    return result == ATTACHED ? check_or_detach(a, source) : result;
}

enum attached attach_file(struct arena *a, const char *path)
{
    *a = (struct arena){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (a->fd < 0)
        return fail_attach(a, DENIED, "%s: %s", path, strerror(errno));
    return check_or_detach(a, path);
}

void detach(struct arena *a)
{
    if (a->fd >= 0)
        close(a->fd);
    a->fd = -1;
}

/* ---- slots --------------------------------------------------------------------------------------------- */

enum { TRIES = 20 };

static uint32_t most(const struct arena *a, size_t offset, uint32_t limit)
{
    uint32_t high = 0;
    if (!get(a, offset, &high, sizeof high))
        return 0;
    return high < limit ? high : limit;
}

uint32_t arena_threads(const struct arena *a)
{
    return most(a, offsetof(struct bo_header, thread_high), BO_THREADS);
}

uint32_t arena_branches(const struct arena *a)
{
    return most(a, offsetof(struct bo_header, branch_high), BO_BRANCHES);
}

static bool live(const struct arena *a, uint64_t at, uint64_t *word)
{
    return get(a, at + offsetof(struct bo_target, word), word, sizeof *word) && (*word & BO_LIVE);
}

static bool same_generation(const struct arena *a, uint64_t at, uint64_t word)
{
    uint64_t now;
    return live(a, at, &now) && now >> 32 == word >> 32;
}

/* Fields that a live owner changes without a serial number: its name and regions. All others were written before the
 * slot was published, or are single words. */
static bool same_name(const struct bo_target *a, const struct bo_target *b)
{
    return memcmp(a->name, b->name, sizeof a->name) == 0;
}

static bool same_thread(const struct bo_thread *a, const struct bo_thread *b)
{
    return same_name(&a->t, &b->t) && bo_load_relaxed(&a->depth) == bo_load_relaxed(&b->depth) &&
           bo_load_relaxed(&a->level_serial) == bo_load_relaxed(&b->level_serial) &&
           memcmp(a->region, b->region, sizeof a->region) == 0;
}

bool arena_thread(const struct arena *a, uint32_t index, struct bo_thread *t)
{
    uint64_t at = thread_at(a, index), word;
    struct bo_thread again;
    if (index >= BO_THREADS)
        return false;
    for (int i = 0; i < TRIES && live(a, at, &word); i++) {
        if (!get(a, at, t, sizeof *t) || !get(a, at, &again, sizeof again))
            return false;
        if (!same_generation(a, at, word) || !same_thread(t, &again))
            continue;
        t->t.name[BO_NAME - 1] = '\0';
        t->t.index = index;
        return true;
    }
    return false;
}

bool arena_branch(const struct arena *a, uint32_t index, struct bo_branch *b)
{
    uint64_t at = branch_at(a, index), word;
    if (index >= BO_BRANCHES)
        return false;
    for (int i = 0; i < TRIES && live(a, at, &word); i++) {
        if (!get(a, at, b, sizeof *b))
            return false;
        if (!same_generation(a, at, word))
            continue;
        b->t.name[BO_NAME - 1] = '\0';
        b->t.index = index;
        return true;
    }
    return false;
}

static bool stands(uint64_t state)
{
    return bo_record_status(state) == BO_RECORD_PENDING || bo_record_status(state) == BO_DELIVERED;
}

/* PENDING may become DELIVERED meanwhile, which changes nothing else. */
bool arena_record(const struct arena *a, bool branch, uint32_t index, int kind, struct bo_record *r)
{
    uint64_t at = record_at(a, branch, index, kind), before, after;
    if (index >= (branch ? BO_BRANCHES : BO_THREADS) || kind < 0 || kind >= BO_KIND_COUNT)
        return false;
    for (int i = 0; i < TRIES; i++) {
        if (!get(a, at, &before, sizeof before) || !stands(before) || !get(a, at, r, sizeof *r) ||
            !get(a, at, &after, sizeof after))
            return false;
        if (before >> 4 != after >> 4 || !stands(after))
            continue;
        bo_store_relaxed(&r->state, after);
        r->reason[BOUGH_REASON_MAX] = '\0';
        return true;
    }
    return false;
}

bool arena_any_record(const struct arena *a, bool branch, uint32_t index, int kind, struct bo_record *r)
{
    return index < (branch ? BO_BRANCHES : BO_THREADS) && kind >= 0 && kind < BO_KIND_COUNT &&
           get(a, record_at(a, branch, index, kind), r, sizeof *r);
}

/* ---- many slots at once: most are not live ----------------------------------------------------------------- */

/* If there are many threads, the next slot is usually live: its word is read first, a block only if the slot is not. */
static uint32_t next_of(const struct arena *a, uint64_t table, size_t size, uint32_t index, uint32_t end)
{
    char block[64 * 1024];
    uint64_t first;
    if (index < end && live(a, table + (uint64_t)index * size, &first))
        return index;
    while (index < end) {
        uint32_t count = end - index < sizeof block / size ? end - index : (uint32_t)(sizeof block / size);
        if (!get(a, table + (uint64_t)index * size, block, count * size)) {
            if (count == 1)
                return 0;
            end = index + 1; /* the file ends there: this slot is the last */
            continue;
        }
        for (uint32_t i = 0; i < count; i++) {
            uint64_t word;
            memcpy(&word, block + i * size + offsetof(struct bo_target, word), sizeof word);
            if (word & BO_LIVE)
                return index + i;
        }
        index += count;
    }
    return 0;
}

uint32_t arena_next(const struct arena *a, bool branch, uint32_t index)
{
    return branch ? next_of(a, a->head.branch_at, sizeof(struct bo_branch), index, arena_branches(a))
                  : next_of(a, a->head.thread_at, sizeof(struct bo_thread), index, arena_threads(a));
}

int64_t arena_now(const struct arena *a)
{
    int64_t behind = 0;
    if (!a->pid || !get(a, offsetof(struct bo_header, stood_still), &behind, sizeof behind) || behind < 0)
        return a->pid ? bo_clock() : -1;
    return bo_clock() > behind ? bo_clock() - behind : 0;
}

/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "mixed.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "proc.h"

enum { FRAME_INDENT = 6, SCANNED = 16 * 1024 }; /* as in the dump */

/* The processor may have signed a return address, in bits that are 0 in each address of a process. */
static const uint64_t ADDRESS = ((uint64_t)1 << 48) - 1;

/* ---- the dump's modules ------------------------------------------------------------------------------------------ */

/* "  0x7facec5b2000 BUILD-ID /path" */
static void note_module(struct mixed *m, const char *line)
{
    unsigned long long base;
    int at = 0;
    const char *slash = strrchr(line, '/');
    if (m->modules == MIXED_MODULES || !slash || strlen(slash + 1) >= sizeof m->module->name ||
        sscanf(line, "  0x%llx %*64[0-9a-f-] %n", &base, &at) != 1 || !at || line[at] != '/')
        return;
    struct mixed_module *one = &m->module[m->modules++];
    one->base = base;
    strcpy(one->name, slash + 1);
}

static void read_modules(struct mixed *m, FILE *dump)
{
    char line[4096];
    off_t begin = ftello(dump);
    while (fgets(line, sizeof line, dump) && strncmp(line, "==== end", 8) != 0) {
        line[strcspn(line, "\n")] = '\0';
        note_module(m, line);
    }
    fseeko(dump, begin, SEEK_SET);
}

struct mixed *mixed_new(const struct arena *a, const struct stacks *python, FILE *dump)
{
    struct mixed *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->arena = a;
    m->python = python;
    m->fd = python->threads ? memory_open(proc_alive(a->pid)) : -1;
    memory_begin(&m->memory, memory_page_of_process, &m->fd);
    if (m->fd >= 0 && a->apart && !pid_map_read(&m->ids, a->pid, true))
        m->ids = (struct pid_map){0};
    if (m->fd >= 0)
        read_modules(m, dump);
    return m;
}

void mixed_free(struct mixed *m)
{
    if (!m)
        return;
    pid_map_free(&m->ids);
    if (m->fd >= 0)
        close(m->fd);
    free(m);
}

/* ---- a thread ---------------------------------------------------------------------------------------------------- */

void mixed_begin(struct mixed *m, pid_t own)
{
    if (!m)
        return;
    pid_t here = m->arena->apart ? pid_map_here(&m->ids, own) : own;
    m->thread = stacks_thread(m->python, own);
    m->next = m->frames = 0;
    m->begin = m->at = m->thread && m->fd >= 0 && here ? proc_stack_pointer(m->arena->pid, here) : 0;
}

/* "      libc.so.6+0x2724a" */
static bool is_frame(const char *line, const char **name, size_t *length, uint64_t *offset)
{
    const char *plus = NULL;
    char *end;
    *name = line + strspn(line, " ");
    if (*name - line != FRAME_INDENT)
        return false;
    for (const char *at = *name; (at = strstr(at, "+0x")); at++)
        plus = at;
    if (!plus || !plus[3])
        return *length = 0, true;
    *length = (size_t)(plus - *name);
    *offset = strtoull(plus + 3, &end, 16);
    return *end == '\0';
}

/* Several files may have the same name. */
static bool is_code(const struct mixed *m, uint64_t word, const char *name, size_t length, uint64_t offset)
{
    for (unsigned i = 0; i < m->modules; i++)
        if (((m->module[i].base + offset) ^ word) << 16 == 0 && strncmp(m->module[i].name, name, length) == 0 &&
            !m->module[i].name[length])
            return true;
    return false;
}

/* The first word from `at` on that is such an address. */
static uint64_t find_word(struct mixed *m, const char *name, size_t length, uint64_t offset)
{
    uint64_t word, at = (m->at + 7) & ~(uint64_t)7;
    for (; length && at < m->begin + SCANNED && memory_word(&m->memory, at, 0, &word); at += sizeof word)
        if (is_code(m, word & ADDRESS, name, length, offset))
            return at;
    return 0;
}

static size_t count_below(const struct mixed *m, uint64_t address)
{
    size_t n = m->next;
    const struct py_frame *f = m->python->frame + m->thread->first;
    while (n < m->thread->count && f[n].loop >= m->begin && f[n].loop < address)
        n++;
    return n - m->next;
}

size_t mixed_before(struct mixed *m, const char *line)
{
    const char *name = NULL;
    size_t length = 0, count;
    uint64_t offset = 0;
    if (!m || !m->thread || !m->at || !is_frame(line, &name, &length, &offset) || m->frames++ == 0)
        return 0;
    uint64_t word = find_word(m, name, length, offset);
    if (!word) {
        m->at = 0;
        return 0;
    }
    count = count_below(m, word);
    m->at = word + sizeof word;
    m->next += count;
    return count;
}

/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "memory.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BUDGET = 32 << 20, COST_OF_PAGE = 32 }; /* about two seconds of reading, and a million pages */

static const uint64_t NO_PAGE = UINT64_MAX; /* no page begins there */
static const uint64_t HIGHEST = INT64_MAX;  /* the highest address of a process: those above are the kernel's */

void memory_begin(struct memory *m, bool (*read_page)(void *source, uint64_t address, void *to), void *source)
{
    m->read_page = read_page;
    m->source = source;
    m->budget = BUDGET;
    for (size_t i = 0; i < MEMORY_PAGES; i++)
        m->page[i] = NO_PAGE;
}

static const unsigned char *page_at(struct memory *m, uint64_t address)
{
    uint64_t start = address & ~(uint64_t)(MEMORY_PAGE - 1);
    size_t i = start / MEMORY_PAGE % MEMORY_PAGES;
    if (m->page[i] == start)
        return m->bytes[i];
    m->budget -= COST_OF_PAGE;
    m->page[i] = NO_PAGE;
    if (!m->read_page(m->source, start, m->bytes[i]))
        return NULL;
    m->page[i] = start;
    return m->bytes[i];
}

bool memory_get(struct memory *m, uint64_t address, void *to, size_t size)
{
    unsigned char *at = to;
    if (address < MEMORY_PAGE || address > HIGHEST || size > HIGHEST - address)
        return false;
    while (size) {
        size_t skip = address % MEMORY_PAGE, n = MEMORY_PAGE - skip < size ? MEMORY_PAGE - skip : size;
        const unsigned char *page = --m->budget < 0 ? NULL : page_at(m, address);
        if (!page)
            return false;
        memcpy(at, page + skip, n);
        at += n;
        address += n;
        size -= n;
    }
    return true;
}

bool memory_word(struct memory *m, uint64_t base, uint64_t offset, uint64_t *word)
{
    return base && base <= HIGHEST && offset <= HIGHEST && memory_get(m, base + offset, word, sizeof *word);
}

bool memory_int(struct memory *m, uint64_t base, uint64_t offset, int32_t *number)
{
    return base && base <= HIGHEST && offset <= HIGHEST && memory_get(m, base + offset, number, sizeof *number);
}

int memory_open(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    return open(path, O_RDONLY | O_CLOEXEC);
}

bool memory_page_of_process(void *source, uint64_t address, void *to)
{
    return pread(*(const int *)source, to, MEMORY_PAGE, (off_t)address) == MEMORY_PAGE;
}

/* SPDX-License-Identifier: MIT */
/*
 * Reading the memory of another process, page by page. The process runs on meanwhile, and nothing that is read is
 * trusted: an address that is read is only used to read more, and the budget limits how much is read.
 */
#ifndef CLI_PYTHON_MEMORY_H
#define CLI_PYTHON_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { MEMORY_PAGE = 4096, MEMORY_PAGES = 256 };

struct memory {
    /* Copies one page; false: it can't be read. */
    bool (*read_page)(void *source, uint64_t address, void *to);
    void *source;
    int64_t budget; /* below 0: used up, so that nothing more is read */
    uint64_t page[MEMORY_PAGES];
    unsigned char bytes[MEMORY_PAGES][MEMORY_PAGE];
};

/* Forget what was read before. */
void memory_begin(struct memory *m, bool (*read_page)(void *source, uint64_t address, void *to), void *source);
bool memory_get(struct memory *m, uint64_t address, void *to, size_t size);
/* Read a field of a structure; false if the structure's address is NULL. */
bool memory_word(struct memory *m, uint64_t base, uint64_t offset, uint64_t *word);
bool memory_int(struct memory *m, uint64_t base, uint64_t offset, int32_t *number);

/* Open the memory of a process, without attaching to it; that needs the right to attach. A descriptor, or -1 with
 * errno. */
int memory_open(pid_t pid);
/* `source` is that descriptor's address. */
bool memory_page_of_process(void *source, uint64_t address, void *to);

#endif

/* SPDX-License-Identifier: MIT */
/* Makes pages writable for a short time, and restores their protection. */
#ifndef BO_INTERPOSE_PAGES_H
#define BO_INTERPOSE_PAGES_H

#include <stdbool.h>
#include <stdint.h>

enum { BO_PAGES = 64 };

struct bo_pages {
    unsigned count;
    struct bo_page {
        uintptr_t at;
        int rights; /* PROT_*, before the page was opened */
        bool opened;
    } page[BO_PAGES];
};

/* A page's rights (PROT_*) as /proc/self/maps has them; -1: unknown. */
int bo_page_rights(uintptr_t address);
/* Adds the page of an address; false: the list is full. */
bool bo_pages_add(struct bo_pages *pages, uintptr_t address);
/* Is the page of this address in the list? */
bool bo_pages_has(const struct bo_pages *pages, uintptr_t address);
/* Makes all pages of the list writable, or none: 0 or an error number. */
int bo_pages_open(struct bo_pages *pages);
/* Restores the changed pages. 0, or the error number if one could not be restored. */
int bo_pages_close(struct bo_pages *pages);
/* Makes the page of an address read only. 0 or an error number. */
int bo_page_protect(uintptr_t address);

#endif

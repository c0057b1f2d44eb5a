/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "interpose/pages.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/raw.h"

static uintptr_t page_size(void)
{
    return (uintptr_t)sysconf(_SC_PAGESIZE);
}

/* ---- /proc/self/maps ---------------------------------------------------------------------------------- */

/* "55fc7fcd9000-55fc7fcdb000 r-xp 00002000 ...": each line is read character by character, because it can have any
 * length. */
struct scan {
    uintptr_t wanted, low, high, number;
    int field, rights; /* 0: low, 1: high, 2: rights, 3: the rest */
};

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Returns true at the end of the line whose mapping contains the address. */
static bool scan_line(struct scan *s, char c)
{
    if (c == '\n') {
        bool found = s->wanted >= s->low && s->wanted < s->high;
        if (!found)
            *s = (struct scan){.wanted = s->wanted};
        return found;
    }
    if (s->field < 2 && hex_digit(c) >= 0) {
        s->number = s->number << 4 | (uintptr_t)hex_digit(c);
    } else if (s->field < 2) {
        *(s->field == 0 ? &s->low : &s->high) = s->number;
        s->number = 0;
        s->field++;
    } else if (s->field == 2) {
        s->rights |= c == 'r' ? PROT_READ : c == 'w' ? PROT_WRITE : c == 'x' ? PROT_EXEC : 0;
        s->field += c == ' ';
    }
    return false;
}

int bo_page_rights(uintptr_t address)
{
    char chunk[4096];
    struct scan s = {.wanted = address};
    long fd = bo_raw4(SYS_openat, AT_FDCWD, (long)"/proc/self/maps", O_RDONLY | O_CLOEXEC, 0), n;
    if (fd < 0)
        return -1;
    bool found = false;
    while (!found && ((n = bo_raw3(SYS_read, fd, (long)chunk, sizeof chunk)) > 0 || n == -EINTR))
        for (long i = 0; i < n && !found; i++)
            found = scan_line(&s, chunk[i]);
    bo_raw1(SYS_close, fd);
    return found ? s.rights : -1;
}

/* ---- opening and closing ------------------------------------------------------------------------------ */

bool bo_pages_has(const struct bo_pages *pages, uintptr_t address)
{
    uintptr_t at = address & ~(page_size() - 1);
    for (unsigned i = 0; i < pages->count; i++)
        if (pages->page[i].at == at)
            return true;
    return false;
}

bool bo_pages_add(struct bo_pages *pages, uintptr_t address)
{
    uintptr_t at = address & ~(page_size() - 1);
    if (bo_pages_has(pages, address))
        return true;
    if (pages->count == BO_PAGES)
        return false;
    pages->page[pages->count++] = (struct bo_page){.at = at};
    return true;
}

static int open_page(struct bo_page *p)
{
    p->rights = bo_page_rights(p->at);
    if (p->rights < 0)
        return EACCES;
    if (p->rights & PROT_WRITE)
        return 0;
    long r = bo_raw3(SYS_mprotect, (long)p->at, (long)page_size(), p->rights | PROT_WRITE);
    p->opened = r == 0;
    return (int)-r;
}

int bo_pages_open(struct bo_pages *pages)
{
    for (unsigned i = 0; i < pages->count; i++) {
        int error = open_page(&pages->page[i]);
        if (error) {
            bo_pages_close(pages);
            return error;
        }
    }
    return 0;
}

int bo_pages_close(struct bo_pages *pages)
{
    int error = 0;
    for (unsigned i = 0; i < pages->count; i++) {
        struct bo_page *p = &pages->page[i];
        long r = p->opened ? bo_raw3(SYS_mprotect, (long)p->at, (long)page_size(), p->rights) : 0;
        p->opened = false;
        error = r ? (int)-r : error;
    }
    return error;
}

int bo_page_protect(uintptr_t address)
{
    return (int)-bo_raw3(SYS_mprotect, (long)(address & ~(page_size() - 1)), (long)page_size(), PROT_READ);
}

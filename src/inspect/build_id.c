/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "inspect/build_id.h"
#include <elf.h>
#include <link.h>
#include <string.h>
#include "state/safe_read.h"

enum { HEADERS = 64, NOTES = 1024, NAME_SIZE = 4, PAGE = 4096 };

static uint32_t aligned(uint32_t size)
{
    return size + (-size & 3U);
}

static size_t find_in_notes(uintptr_t notes, size_t size, unsigned char id[BO_BUILD_ID])
{
    ElfW(Nhdr) note;
    char name[NAME_SIZE];
    if (size > NOTES)
        size = NOTES;
    for (size_t at = 0; at + sizeof note + NAME_SIZE <= size;) {
        if (bo_peek(&note, notes + at, sizeof note) != sizeof note || note.n_namesz > size || note.n_descsz > size)
            return 0;
        uintptr_t text = notes + at + sizeof note, content = text + aligned(note.n_namesz);
        at = content + aligned(note.n_descsz) - notes;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == NAME_SIZE && note.n_descsz <= BO_BUILD_ID &&
            bo_peek(name, text, sizeof name) == sizeof name && memcmp(name, "GNU", NAME_SIZE) == 0)
            return bo_peek(id, content, note.n_descsz) == note.n_descsz ? note.n_descsz : 0;
    }
    return 0;
}

/* `base` is where the page of the first loaded segment begins. */
size_t bo_build_id(uintptr_t base, unsigned char id[BO_BUILD_ID])
{
    ElfW(Ehdr) head;
    ElfW(Phdr) part;
    uintptr_t moved = base;
    size_t length = 0;
    if (bo_peek(&head, base, sizeof head) != sizeof head || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
        head.e_phentsize != sizeof part)
        return 0;
    for (unsigned i = 0, loaded = 0; i < head.e_phnum && i < HEADERS; i++) {
        if (bo_peek(&part, base + head.e_phoff + i * sizeof part, sizeof part) != sizeof part)
            return 0;
        if (part.p_type == PT_LOAD && !loaded++)
            moved = base - (part.p_vaddr & -(uintptr_t)PAGE);
    }
    for (unsigned i = 0; i < head.e_phnum && i < HEADERS && !length; i++)
        if (bo_peek(&part, base + head.e_phoff + i * sizeof part, sizeof part) == sizeof part && part.p_type == PT_NOTE)
            length = find_in_notes(moved + part.p_vaddr, part.p_memsz, id);
    return length;
}

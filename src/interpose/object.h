/* SPDX-License-Identifier: MIT */
/* An object that is loaded, and the table through which it reaches functions of others. Read only; no lock, no
 * memory. */
#ifndef BO_INTERPOSE_OBJECT_H
#define BO_INTERPOSE_OBJECT_H

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>

struct bo_object {
    const char *path; /* "": the program */
    uintptr_t base;
    uintptr_t span; /* how far it reaches: what the loader has not filled in yet is less */
    const Elf64_Phdr *segment;
    unsigned segments;
    const Elf64_Sym *symbol;
    const char *strings;
    struct bo_relocations {
        const Elf64_Rela *first;
        size_t count;
    } table[2];                      /* of calls, and of addresses taken (-fno-plt too) */
    uintptr_t relro_low, relro_high; /* made read-only once it is loaded, in whole pages; 0: nothing */
    bool searches;                   /* it has a path of its own for what it loads (RUNPATH, RPATH) */
};

/* An address of a function that is not the object's own. */
struct bo_slot {
    _Atomic uintptr_t *at;
    const char *symbol;
    uintptr_t jump; /* the address that the object itself gives the function; 0: it leaves that to others */
};

/* False: it has no such table (static, or the kernel's). */
bool bo_object_open(struct bo_object *o, const struct dl_phdr_info *info);
/* Is this address of code of the object's own? */
bool bo_object_has_code(const struct bo_object *o, uintptr_t address);
bool bo_object_has(const struct bo_object *o, uintptr_t address);
/* A program that is not position-independent and takes a function's address has one of its own for it, by which others
 * may know it too: that of its table of jumps. Is it this one? */
bool bo_object_jumps_to(const struct bo_object *program, const char *symbol, uintptr_t address);
/* Each slot; `visit` returning false ends it. */
void bo_object_slots(const struct bo_object *o, bool (*visit)(void *context, const struct bo_slot *slot),
                     void *context);
/* "libpq.so", "libpq.so.5" and "libpq*" all mean /usr/lib/libpq.so.5; "" means the program. */
bool bo_object_is_named(const struct bo_object *o, const char *name);
bool bo_path_is_named(const char *path, const char *name);

#endif

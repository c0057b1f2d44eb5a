/* SPDX-License-Identifier: MIT */
/* A loaded object, and the tables by which it reaches functions of other objects. These functions only read the object,
 * and neither take locks nor allocate memory. */
#ifndef BO_INTERPOSE_OBJECT_H
#define BO_INTERPOSE_OBJECT_H

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>

struct bo_object {
    const char *path; /* "": the program */
    uintptr_t base;
    uintptr_t span; /* its size: a slot that the loader has not filled in yet holds a smaller value */
    const Elf64_Phdr *segment;
    unsigned segments;
    const Elf64_Sym *symbol;
    const char *strings;
    struct bo_relocations {
        const Elf64_Rela *first;
        size_t count;
    } table[2];                      /* of calls; of addresses taken, and of calls with -fno-plt */
    uintptr_t relro_low, relro_high; /* the range, in whole pages, that the loader makes read-only; 0: none */
    bool searches;                   /* it has a search path for objects that it loads (RUNPATH, RPATH) */
};

/* A slot: the object's copy of the address of another object's function. */
struct bo_slot {
    _Atomic uintptr_t *at;
    const char *symbol;
    uintptr_t jump; /* the address that the object defines for the function, see bo_object_jumps_to(); 0: none */
};

/* False: the object has no such table (a static program, the kernel's object). */
bool bo_object_open(struct bo_object *o, const struct dl_phdr_info *info);
/* Is this an address in the object's code? */
bool bo_object_has_code(const struct bo_object *o, uintptr_t address);
bool bo_object_has(const struct bo_object *o, uintptr_t address);
/* If a program that is not position-independent takes a function's address, it defines that address itself, as an entry
 * of its jump table, and other objects may use the same address. Is `address` that entry? */
bool bo_object_jumps_to(const struct bo_object *program, const char *symbol, uintptr_t address);
/* Visits each slot, until `visit` returns false. */
void bo_object_slots(const struct bo_object *o, bool (*visit)(void *context, const struct bo_slot *slot),
                     void *context);
/* "libpq.so", "libpq.so.5" and "libpq*" all mean /usr/lib/libpq.so.5; "" means the program. */
bool bo_object_is_named(const struct bo_object *o, const char *name);
bool bo_path_is_named(const char *path, const char *name);

#endif

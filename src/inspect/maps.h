/* SPDX-License-Identifier: MIT */
/* The loaded code, from /proc/self/maps: converts addresses to module and offset, for addr2line and
 * `bough resolve`. */
#ifndef BO_INSPECT_MAPS_H
#define BO_INSPECT_MAPS_H

#include "inspect/safe_write.h"

enum { BO_MODULES = 1024, BO_MODULE_NAMES = 64 * 1024 };

/* Executable mappings, in the order of their addresses. `base` is where the file's first mapping begins. */
struct bo_maps {
    unsigned count;
    size_t names_used;
    struct bo_module {
        uintptr_t low, high, base;
        uint32_t name; /* where its path begins in `names` */
    } module[BO_MODULES];
    char names[BO_MODULE_NAMES];
    char line[512], chunk[4096];
};

/* Mappings for which there is no room are left out. */
void bo_maps_read(struct bo_maps *maps);
/* The mapping that an address of code lies in; NULL. */
const struct bo_module *bo_maps_find(const struct bo_maps *maps, uintptr_t code);
/* "libc.so.6+0xd2ad" */
void bo_put_code(struct bo_out *o, const struct bo_maps *maps, uintptr_t code);
/* A line for each file: where it lies, its build id or "-", and its path. */
void bo_put_modules(struct bo_out *o, const struct bo_maps *maps);

#endif

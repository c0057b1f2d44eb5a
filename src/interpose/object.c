/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "interpose/object.h"
#include <fnmatch.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>
#include "arch/relocation.h"

/* ---- opening ----------------------------------------------------------------------------------------- */

/* glibc replaces these values by addresses; musl leaves the file's values, which are relative to the base. */
static uintptr_t absolute(const struct bo_object *o, uintptr_t value)
{
    return value < o->base ? o->base + value : value;
}

struct sizes {
    size_t calls, addresses;
    bool with_addends;
};

static void take_entry(struct bo_object *o, const Elf64_Dyn *d, struct sizes *sizes)
{
    uintptr_t at = absolute(o, d->d_un.d_ptr);
    switch (d->d_tag) {
    case DT_SYMTAB:
        o->symbol = (const Elf64_Sym *)at;
        break;
    case DT_STRTAB:
        o->strings = (const char *)at;
        break;
    case DT_JMPREL:
        o->table[0].first = (const Elf64_Rela *)at;
        break;
    case DT_PLTRELSZ:
        sizes->calls = d->d_un.d_val;
        break;
    case DT_PLTREL:
        sizes->with_addends = d->d_un.d_val == DT_RELA;
        break;
    case DT_RELA:
        o->table[1].first = (const Elf64_Rela *)at;
        break;
    case DT_RELASZ:
        sizes->addresses = d->d_un.d_val;
        break;
    case DT_RUNPATH:
    case DT_RPATH:
        o->searches = true;
        break;
    default:
        break;
    }
}

static void take_segment(struct bo_object *o, const Elf64_Phdr *p, const Elf64_Dyn **dynamic)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), low = o->base + p->p_vaddr;
    if (p->p_type == PT_LOAD && p->p_vaddr + p->p_memsz > o->span)
        o->span = p->p_vaddr + p->p_memsz;
    if (p->p_type == PT_DYNAMIC)
        *dynamic = (const Elf64_Dyn *)low;
    if (p->p_type == PT_GNU_RELRO) {
        o->relro_low = low & ~(page - 1);
        o->relro_high = (low + p->p_memsz) & ~(page - 1); /* rounded as by the loader */
    }
}

/* In glibc the program's name is "", in musl that of the kernel's object (the vDSO). */
static const char *path_of(const struct dl_phdr_info *info)
{
    if ((uintptr_t)info->dlpi_phdr == getauxval(AT_PHDR))
        return "";
    return info->dlpi_name && *info->dlpi_name ? info->dlpi_name : "linux-vdso.so.1";
}

bool bo_object_open(struct bo_object *o, const struct dl_phdr_info *info)
{
    *o = (struct bo_object){
        .path = path_of(info), .base = info->dlpi_addr, .segment = info->dlpi_phdr, .segments = info->dlpi_phnum};
    const Elf64_Dyn *dynamic = NULL;
    for (unsigned i = 0; i < o->segments; i++)
        take_segment(o, &o->segment[i], &dynamic);
    if (!dynamic)
        return false;
    struct sizes sizes = {.with_addends = true};
    for (; dynamic->d_tag != DT_NULL; dynamic++)
        take_entry(o, dynamic, &sizes);
    if (o->table[0].first && sizes.with_addends)
        o->table[0].count = sizes.calls / sizeof(Elf64_Rela);
    if (o->table[1].first)
        o->table[1].count = sizes.addresses / sizeof(Elf64_Rela);
    return o->symbol && o->strings && (o->table[0].count || o->table[1].count);
}

/* ---- queries ----------------------------------------------------------------------------------------- */

static bool within(const struct bo_object *o, uintptr_t address, Elf64_Word rights)
{
    for (unsigned i = 0; i < o->segments; i++) {
        const Elf64_Phdr *p = &o->segment[i];
        uintptr_t low = o->base + p->p_vaddr;
        if (p->p_type == PT_LOAD && (p->p_flags & rights) == rights && address >= low && address - low < p->p_memsz)
            return true;
    }
    return false;
}

bool bo_object_has_code(const struct bo_object *o, uintptr_t address)
{
    return within(o, address, PF_X);
}

bool bo_object_has(const struct bo_object *o, uintptr_t address)
{
    return within(o, address, 0);
}

void bo_object_slots(const struct bo_object *o, bool (*visit)(void *context, const struct bo_slot *slot), void *context)
{
    for (int i = 0; i < 2; i++)
        for (size_t k = 0; k < o->table[i].count; k++) {
            const Elf64_Rela *r = &o->table[i].first[k];
            long type = (long)ELF64_R_TYPE(r->r_info);
            const Elf64_Sym *symbol = &o->symbol[ELF64_R_SYM(r->r_info)];
            if ((type != BO_JUMP_SLOT && type != BO_GLOB_DAT) || symbol->st_shndx != SHN_UNDEF)
                continue;
            struct bo_slot slot = {(_Atomic uintptr_t *)(o->base + r->r_offset), o->strings + symbol->st_name,
                                   symbol->st_value ? o->base + symbol->st_value : 0};
            if (!visit(context, &slot))
                return;
        }
}

struct jump {
    const char *symbol;
    uintptr_t address;
    bool found;
};

static bool is_jump(void *context, const struct bo_slot *slot)
{
    struct jump *j = context;
    j->found = slot->jump == j->address && strcmp(slot->symbol, j->symbol) == 0;
    return !j->found;
}

bool bo_object_jumps_to(const struct bo_object *program, const char *symbol, uintptr_t address)
{
    struct jump j = {symbol, address, false};
    if (bo_object_has_code(program, address))
        bo_object_slots(program, is_jump, &j);
    return j.found;
}

bool bo_object_is_named(const struct bo_object *o, const char *name)
{
    return bo_path_is_named(o->path, name);
}

bool bo_path_is_named(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
    size_t length = strlen(name);
    if (!length || !*last)
        return !length && !*last;
    return fnmatch(name, last, 0) == 0 || (strncmp(last, name, length) == 0 && last[length] == '.');
}

/* SPDX-License-Identifier: MIT */
/* The kinds of relocation by which an object's table gets the address of a function in another object. */
#ifndef BO_ARCH_RELOCATION_H
#define BO_ARCH_RELOCATION_H

#include <elf.h>

#if defined(__x86_64__)
enum { BO_JUMP_SLOT = R_X86_64_JUMP_SLOT, BO_GLOB_DAT = R_X86_64_GLOB_DAT };
#elif defined(__aarch64__)
enum { BO_JUMP_SLOT = R_AARCH64_JUMP_SLOT, BO_GLOB_DAT = R_AARCH64_GLOB_DAT };
#elif defined(__riscv) && __riscv_xlen == 64
enum {
    BO_JUMP_SLOT = R_RISCV_JUMP_SLOT,
    BO_GLOB_DAT = R_RISCV_64
}; /* one kind for its tables and for pointers in data */
#elif defined(__powerpc64__)
enum { BO_JUMP_SLOT = R_PPC64_JMP_SLOT, BO_GLOB_DAT = R_PPC64_GLOB_DAT };
#elif defined(__s390x__)
enum { BO_JUMP_SLOT = R_390_JMP_SLOT, BO_GLOB_DAT = R_390_GLOB_DAT };
#else
enum { BO_JUMP_SLOT = -1, BO_GLOB_DAT = -1 }; /* not known on this machine: no slot is found or patched */
#endif

#endif

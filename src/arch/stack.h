/* SPDX-License-Identifier: MIT */
/* Reading a stack on this machine, without unwind tables. */
#ifndef BO_ARCH_STACK_H
#define BO_ARCH_STACK_H

#include <stdbool.h>
#include <stdint.h>

/* How many bytes before a return address are examined. */
enum { BO_ARCH_CALL = 8 };

/* The interrupted program counter in the ucontext_t of a signal handler; 0: not known on this machine. */
uintptr_t bo_arch_pc(const void *context);
/* A saved return address as an address of code, without the signature that some machines add. */
uintptr_t bo_arch_return_address(uintptr_t word);
/* Whether these bytes, which end at an address, end with a call: then the address may be a return address. */
bool bo_arch_is_call(const unsigned char before[BO_ARCH_CALL]);

#endif

/* SPDX-License-Identifier: MIT */
/* The registers in an x86-64 ucontext_t: arch/context.c uses them. */
#ifndef BO_ARCH_X86_64_REGISTERS_H
#define BO_ARCH_X86_64_REGISTERS_H

#define BO_COUNTER(uc) ((uc)->uc_mcontext.gregs[REG_RIP])
#define BO_STACK_POINTER(uc) ((uc)->uc_mcontext.gregs[REG_RSP])
#define BO_RESULT(uc) ((uc)->uc_mcontext.gregs[REG_RAX])
/* libc's restorer lies in each handler's frame: x86_64/stack.c finds it. */
#define BO_ARCH_RESTORER 1
/* For [set, begin) of bo_window(): `lock bts` has found IN set. Its carry flag is valid until `begin`. */
#define BO_IN_WAS_SET(uc) (((uc)->uc_mcontext.gregs[REG_EFL] & 1) != 0)

#endif

/* SPDX-License-Identifier: MIT */
/* The registers in a riscv64 ucontext_t: arch/context.c uses them. */
#ifndef BO_ARCH_RISCV64_REGISTERS_H
#define BO_ARCH_RISCV64_REGISTERS_H

/* The first saved register is the program counter; then come x1 (ra), x2 (sp), ... x10 (a0), by number. */
#define BO_COUNTER(uc) ((uc)->uc_mcontext.__gregs[0])
#define BO_STACK_POINTER(uc) ((uc)->uc_mcontext.__gregs[2])
#define BO_RESULT(uc) ((uc)->uc_mcontext.__gregs[10])
/* For [set, begin) of bo_window(): IN was set already. t0 keeps the old word until `begin`. */
#define BO_IN_WAS_SET(uc) (((uc)->uc_mcontext.__gregs[5] >> BO_ARCH_IN & 1) != 0)

#endif

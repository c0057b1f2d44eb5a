/* SPDX-License-Identifier: MIT */
/* The registers in an aarch64 ucontext_t: arch/context.c uses them. */
#ifndef BO_ARCH_AARCH64_REGISTERS_H
#define BO_ARCH_AARCH64_REGISTERS_H

#define BO_COUNTER(uc) ((uc)->uc_mcontext.pc)
#define BO_STACK_POINTER(uc) ((uc)->uc_mcontext.sp)
#define BO_RESULT(uc) ((uc)->uc_mcontext.regs[0])
/* For [set, begin) of bo_window(): the store has not taken place, or IN was set before it. x9 and w11 keep these facts
 * until `begin`. */
#define BO_IN_WAS_SET(uc) ((uint32_t)(uc)->uc_mcontext.regs[11] || ((uc)->uc_mcontext.regs[9] >> BO_ARCH_IN & 1))

#endif

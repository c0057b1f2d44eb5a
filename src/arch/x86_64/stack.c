/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <ucontext.h>
#include "arch/stack.h"

uintptr_t bo_arch_pc(const void *context)
{
    const ucontext_t *uc = context;
    return (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
}

uintptr_t bo_arch_return_address(uintptr_t word)
{
    return word;
}

/* How long `call *operand` is, opcode included, by its second and third byte. */
static int indirect_length(unsigned char modrm, unsigned char sib)
{
    int mode = modrm >> 6, rm = modrm & 7;
    bool has_sib = mode != 3 && rm == 4;
    bool wide = mode == 2 || (mode == 0 && (rm == 5 || (has_sib && (sib & 7) == 5)));
    return 2 + has_sib + (wide ? 4 : mode == 1 ? 1 : 0);
}

/* E8 with four bytes behind it, or FF /2 with its operand. */
bool bo_arch_is_call(const unsigned char before[BO_ARCH_CALL])
{
    const unsigned char *end = before + BO_ARCH_CALL; // cppcheck-suppress ctuPointerArith; one past its end, not in it
    if (end[-5] == 0xe8)
        return true;
    for (int length = 2; length <= 7; length++)
        if (end[-length] == 0xff && (end[1 - length] >> 3 & 7) == 2 &&
            indirect_length(end[1 - length], length > 2 ? end[2 - length] : 0) == length)
            return true;
    return false;
}

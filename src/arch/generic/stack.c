/* SPDX-License-Identifier: MIT */
#include "arch/stack.h"

uintptr_t bo_arch_pc(const void *context)
{
    (void)context;
    return 0;
}

uintptr_t bo_arch_return_address(uintptr_t word)
{
    return word;
}

bool bo_arch_is_call(const unsigned char before[BO_ARCH_CALL])
{
    (void)before;
    return false;
}

/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "arch/stack.h"

/* Pointer authentication keeps its signature above the 48 bits of an address. */
uintptr_t bo_arch_return_address(uintptr_t word)
{
    return word & (((uintptr_t)1 << 48) - 1);
}

/* bl; blr and its authenticating forms. */
bool bo_arch_is_call(const unsigned char before[BO_ARCH_CALL])
{
    uint32_t code;
    memcpy(&code, before + BO_ARCH_CALL - sizeof code, sizeof code);
    return (code & 0xfc000000) == 0x94000000 || (code & 0xfffffc1f) == 0xd63f0000 || (code & 0xfefff800) == 0xd63f0800;
}

/* SPDX-License-Identifier: MIT */
#include "arch/stack.h"
#include <string.h>

uintptr_t bo_arch_return_address(uintptr_t word)
{
    return word;
}

/* jal and jalr that keep the return address in ra; c.jalr, of two bytes, with any register but x0 (that is ebreak). */
bool bo_arch_is_call(const unsigned char before[BO_ARCH_CALL])
{
    uint32_t code;
    uint16_t compressed;
    memcpy(&code, before + BO_ARCH_CALL - sizeof code, sizeof code);
    memcpy(&compressed, before + BO_ARCH_CALL - sizeof compressed, sizeof compressed);
    return (code & 0xfff) == 0x0ef || (code & 0x7fff) == 0x00e7 ||
           ((compressed & 0xf07f) == 0x9002 && (compressed & 0x0f80) != 0);
}

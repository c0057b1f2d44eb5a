/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <ucontext.h>
#include "arch/stack.h"
#include "arch/window.h"

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

/* A call is E8 with four more bytes, or FF /2 with its operand. */
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

/*
 * A handler's frame begins with the address of libc's restorer; after it comes the ucontext of the interrupted code.
 * The address may also be a stale copy in a dead variable, so the context is checked: in a real frame its stack pointer
 * lies above the frame, and its code segment is the user's. valgrind makes the frames itself: the segment, the flags
 * and the link are 0 in its frames.
 *
 * The search begins with the word below the stack pointer: if the handler has returned to the restorer, that word is
 * the restorer's address, which the return has taken off the stack.
 */
__attribute__((no_sanitize("address", "thread"))) static bool is_context(const ucontext_t *uc, uintptr_t at)
{
    const greg_t *registers = uc->uc_mcontext.gregs;
    unsigned segment = registers[REG_CSGSFS] & 0xffff;
    bool user = segment == 0x33 || (segment == 0 && !uc->uc_flags && !uc->uc_link && registers[REG_RIP]);
    return user && (uintptr_t)registers[REG_RSP] > at;
}

__attribute__((no_sanitize("address", "thread"))) int bo_arch_handler_between(uintptr_t low, uintptr_t high,
                                                                              uintptr_t restorer)
{
    uintptr_t first = ((low + 7) & ~(uintptr_t)7) - sizeof(uintptr_t);
    for (uintptr_t at = first; at + sizeof(uintptr_t) <= high; at += sizeof(uintptr_t)) {
        if (*(const uintptr_t *)at != restorer)
            continue;
        if (is_context((const ucontext_t *)(at + sizeof(uintptr_t)), at))
            return 1;
    }
    return 0;
}

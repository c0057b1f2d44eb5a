/* SPDX-License-Identifier: MIT */
/*
 * bo_window() for x86-64. The contract and the argument for it are in arch/window.h.
 *
 *   rax nr, and the result     rdi a   rsi b   rdx c   r10 d   r8 e   r9 f     rcx and r11 are lost
 *
 *   begin:  if (*due & 1) goto cancel
 *           syscall
 *   end:
 *   cancel: rax = -BO_ECUT; goto end                         (out of line)
 */
#ifndef BO_ARCH_X86_64_WINDOW_H
#define BO_ARCH_X86_64_WINDOW_H

static inline long bo_window(const void *due, long nr, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result = nr;
    __asm__ volatile("1:      testb   $1, (%[due])\n"
                     "        jnz     3f\n"
                     "        syscall\n"
                     "2:\n"
                     "        .pushsection .text.bo_cancel, \"ax\", @progbits\n"
                     "3:      movq    %[cut], %%rax\n"
                     "        jmp     2b\n"
                     "        .popsection\n"
                     "        .pushsection bo_windows, \"a\", @progbits\n"
                     "        .balign 4\n"
                     "        .long   1b - ., 2b - ., 3b - .\n"
                     "        .popsection"
                     : "+a"(result)
                     : [due] "r"(due), [cut] "i"(-BO_ECUT), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "cc", "memory");
    return result;
}

#endif

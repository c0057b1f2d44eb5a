/* SPDX-License-Identifier: MIT */
/*
 * The windows for x86-64. The contract and the argument for it are in arch/window.h.
 *
 *   rax nr, and the result     rdi a   rsi b   rdx c   r10 d   r8 e   r9 f     rcx and r11 are lost
 *
 *           lock bts IN, *word; if it was set goto on_top
 *   set:    *frame = rsp
 *   begin:  if (*due & 1) goto cancel
 *           syscall
 *   end:    lock and ~IN, *word
 *   out:
 *   cancel: rax = -BO_ECUT; goto end                         (out of line)
 *   on_top: rax = -BO_EON_TOP; goto out
 */
#ifndef BO_ARCH_X86_64_WINDOW_H
#define BO_ARCH_X86_64_WINDOW_H

static inline long bo_window(_Atomic uint64_t *word, const void *due, uintptr_t *frame, long nr, long a, long b, long c,
                             long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result = nr;
    __asm__ volatile("        lock btsl %[in], %[word]\n"
                     "5:      jc      4f\n"
                     "        movq    %%rsp, %[frame]\n"
                     "1:      testb   $1, (%[due])\n"
                     "        jnz     3f\n"
                     "        syscall\n"
                     "2:      lock andl %[out], %[word]\n"
                     "6:\n"
                     "        .pushsection .text.bo_cancel, \"ax\", @progbits\n"
                     "3:      movq    %[cut], %%rax\n"
                     "        jmp     2b\n"
                     "7:\n"
                     "4:      movq    %[on_top], %%rax\n"
                     "        jmp     6b\n"
                     "        .popsection\n"
                     "        .pushsection bo_windows, \"a\", @progbits\n"
                     "        .balign 4\n"
                     "        .long   5b - ., 1b - ., 2b - ., 6b - ., 3b - ., 7b - .\n"
                     "        .popsection"
                     : "+a"(result), [word] "+m"(*(uint32_t *)word), [frame] "=m"(*frame)
                     : [due] "r"(due), [in] "i"(BO_ARCH_IN), [out] "i"(~(1 << BO_ARCH_IN)), [cut] "i"(-BO_ECUT),
                       [on_top] "i"(-BO_EON_TOP), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "cc", "memory");
    return result;
}

static inline long bo_window_on_top(const uint64_t *mask, uint64_t *before, const void *due,
                                    const struct bo_window_call *call)
{
    register long r8 __asm__("r8");
    register long r9 __asm__("r9");
    register long r10 __asm__("r10");
    long result, a, b, c;
    __asm__ volatile("5:      movl    $14, %%eax\n"
                     "        movl    $1, %%edi\n"
                     "        movq    %[mask], %%rsi\n"
                     "        movq    %[before], %%rdx\n"
                     "        movl    $8, %%r10d\n"
                     "        syscall\n"
                     "        movq    (%[call]), %%rax\n"
                     "        movq    8(%[call]), %%rdi\n"
                     "        movq    16(%[call]), %%rsi\n"
                     "        movq    24(%[call]), %%rdx\n"
                     "        movq    32(%[call]), %%r10\n"
                     "        movq    40(%[call]), %%r8\n"
                     "        movq    48(%[call]), %%r9\n"
                     "1:      testb   $1, (%[due])\n"
                     "        jnz     3f\n"
                     "        syscall\n"
                     "2:\n"
                     "        .pushsection .text.bo_cancel, \"ax\", @progbits\n"
                     "3:      movq    %[cut], %%rax\n"
                     "        jmp     2b\n"
                     "7:\n"
                     "        .popsection\n"
                     "        .pushsection bo_windows, \"a\", @progbits\n"
                     "        .balign 4\n"
                     "        .long   5b - ., 1b - ., 2b - ., 2b - ., 3b - ., 7b - .\n"
                     "        .popsection"
                     : "=&a"(result), "=&D"(a), "=&S"(b), "=&d"(c), "=&r"(r8), "=&r"(r9), "=&r"(r10)
                     : [mask] "r"(mask), [before] "r"(before), [due] "r"(due), [call] "r"(call), [cut] "i"(-BO_ECUT)
                     : "rcx", "r11", "cc", "memory");
    return result;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * bo_window() for aarch64. The contract and the argument for it are in arch/window.h.
 *
 *   x8 nr     x0 a, and the result     x1 b   x2 c   x3 d   x4 e   x5 f     w9 is scratch
 *
 *   begin:  if (*due & 1) goto cancel
 *           svc
 *   end:
 *   cancel: x0 = -BO_ECUT; goto end                          (out of line)
 */
#ifndef BO_ARCH_AARCH64_WINDOW_H
#define BO_ARCH_AARCH64_WINDOW_H

static inline long bo_window(const void *due, long nr, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = nr;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("1:      ldrb    w9, [%[due]]\n"
                     "        tbnz    w9, #0, 3f\n"
                     "        svc     #0\n"
                     "2:\n"
                     "        .subsection 1\n"
                     "3:      mov     x0, %[cut]\n"
                     "        b       2b\n"
                     "        .previous\n"
                     "        .pushsection bo_windows, \"a\", %%progbits\n"
                     "        .balign 4\n"
                     "        .long   1b - ., 2b - ., 3b - .\n"
                     "        .popsection"
                     : "+r"(x0)
                     : [due] "r"(due), [cut] "i"(-BO_ECUT), "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "x9", "cc", "memory");
    return x0;
}

#endif

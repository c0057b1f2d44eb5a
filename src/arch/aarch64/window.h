/* SPDX-License-Identifier: MIT */
/*
 * The windows for aarch64. The contract and the argument for it are in arch/window.h.
 *
 *   x8 nr     x0 a, and the result     x1 b   x2 c   x3 d   x4 e   x5 f     x9 to x11 are scratch
 *
 *           atomic or of IN to *word; if it was set goto on_top
 *   set:    *frame = sp
 *   begin:  if (*due & 1) goto cancel            (an acquire, ordered after the release of the atomic or)
 *           svc
 *   end:    atomic and of ~IN to *word
 *   out:
 *   cancel: x0 = -BO_ECUT; goto end                          (out of line)
 *   on_top: x0 = -BO_EON_TOP; goto out
 *
 * The atomic operations are loops of exclusive loads and stores, which every version of the architecture supports.
 */
#ifndef BO_ARCH_AARCH64_WINDOW_H
#define BO_ARCH_AARCH64_WINDOW_H

static inline long bo_window(_Atomic uint64_t *word, const void *due, uintptr_t *frame, long nr, long a, long b, long c,
                             long d, long e, long f)
{
    register long x8 __asm__("x8") = nr;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile(
        "8:      ldaxr   x9, [%[word]]\n"
        "        orr     x10, x9, %[bit]\n"
        "        stlxr   w11, x10, [%[word]]\n"
        "5:      cbnz    w11, 8b\n"
        "        tbnz    x9, %[in], 4f\n"
        "        mov     x10, sp\n"
        "        str     x10, [%[frame]]\n"
        "1:      ldarb   w9, [%[due]]\n"
        "        tbnz    w9, #0, 3f\n"
        "        svc     #0\n"
        "2:      ldaxr   x9, [%[word]]\n"
        "        and     x10, x9, %[out]\n"
        "        stlxr   w11, x10, [%[word]]\n"
        "        cbnz    w11, 2b\n"
        "6:\n"
        "        .subsection 1\n"
        "3:      mov     x0, %[cut]\n"
        "        b       2b\n"
        "7:\n"
        "4:      mov     x0, %[on_top]\n"
        "        b       6b\n"
        "        .previous\n"
        "        .pushsection bo_windows, \"a\", %%progbits\n"
        "        .balign 4\n"
        "        .long   5b - ., 1b - ., 2b - ., 6b - ., 3b - ., 7b - .\n"
        "        .popsection"
        : "+r"(x0)
        : [word] "r"(word), [due] "r"(due), [frame] "r"(frame), [in] "i"(BO_ARCH_IN), [bit] "i"(1 << BO_ARCH_IN),
          [out] "i"(~(1L << BO_ARCH_IN)), [cut] "i"(-BO_ECUT), [on_top] "i"(-BO_EON_TOP), "r"(x8), "r"(x1), "r"(x2),
          "r"(x3), "r"(x4), "r"(x5)
        : "x9", "x10", "x11", "cc", "memory");
    return x0;
}

static inline long bo_window_on_top(const uint64_t *mask, uint64_t *before, const void *due,
                                    const struct bo_window_call *call)
{
    register long x0 __asm__("x0");
    __asm__ volatile("5:      mov     x8, #135\n"
                     "        mov     x0, #1\n"
                     "        mov     x1, %[mask]\n"
                     "        mov     x2, %[before]\n"
                     "        mov     x3, #8\n"
                     "        svc     #0\n"
                     "        ldp     x8, x0, [%[call]]\n"
                     "        ldp     x1, x2, [%[call], #16]\n"
                     "        ldp     x3, x4, [%[call], #32]\n"
                     "        ldr     x5, [%[call], #48]\n"
                     "1:      ldarb   w9, [%[due]]\n"
                     "        tbnz    w9, #0, 3f\n"
                     "        svc     #0\n"
                     "2:\n"
                     "        .subsection 1\n"
                     "3:      mov     x0, %[cut]\n"
                     "        b       2b\n"
                     "7:\n"
                     "        .previous\n"
                     "        .pushsection bo_windows, \"a\", %%progbits\n"
                     "        .balign 4\n"
                     "        .long   5b - ., 1b - ., 2b - ., 2b - ., 3b - ., 7b - .\n"
                     "        .popsection"
                     : "=&r"(x0)
                     : [mask] "r"(mask), [before] "r"(before), [due] "r"(due), [call] "r"(call), [cut] "i"(-BO_ECUT)
                     : "x1", "x2", "x3", "x4", "x5", "x8", "x9", "cc", "memory");
    return x0;
}

#endif

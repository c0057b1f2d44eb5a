/* SPDX-License-Identifier: MIT */
/*
 * The windows for riscv64. The contract and the argument for it are in arch/window.h.
 *
 *   a7 nr     a0 a, and the result     a1 b   a2 c   a3 d   a4 e   a5 f     t0 is scratch
 *
 *           t0 = atomic or of IN to *word; if it was set goto on_top
 *   set:    *frame = sp
 *   begin:  if (*due & 1) goto cancel            (ordered after the atomic or, which is aqrl)
 *           ecall
 *   end:    atomic and of ~IN to *word
 *   out:
 *   cancel: a0 = -BO_ECUT; goto end                          (out of line)
 *   on_top: a0 = -BO_EON_TOP; goto out
 *
 * The atomic operations are single instructions of the extension A. The assembler makes two instructions of a branch
 * that is too far; ecall has no compressed form, and nothing comes between it and `end`.
 */
#ifndef BO_ARCH_RISCV64_WINDOW_H
#define BO_ARCH_RISCV64_WINDOW_H

/* A system call keeps all registers except a0 and those of the vector unit. clang assumes that each asm changes vl and
 * vtype. */
#ifdef __riscv_vector
#define BO_VECTORS                                                                                               \
    BO_VL, "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", \
        "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31"
#ifdef __clang__
#define BO_VL
#else
#define BO_VL , "vl", "vtype"
#endif
#else
#define BO_VECTORS
#endif

static inline long bo_window(_Atomic uint64_t *word, const void *due, uintptr_t *frame, long nr, long a, long b, long c,
                             long d, long e, long f)
{
    register long a7 __asm__("a7") = nr;
    register long a0 __asm__("a0") = a;
    register long a1 __asm__("a1") = b;
    register long a2 __asm__("a2") = c;
    register long a3 __asm__("a3") = d;
    register long a4 __asm__("a4") = e;
    register long a5 __asm__("a5") = f;
    __asm__ volatile("        li      t0, %[bit]\n"
                     "        amoor.d.aqrl t0, t0, (%[word])\n"
                     "5:      andi    t0, t0, %[bit]\n"
                     "        bnez    t0, 4f\n"
                     "        sd      sp, 0(%[frame])\n"
                     "1:      lbu     t0, 0(%[due])\n"
                     "        andi    t0, t0, 1\n"
                     "        bnez    t0, 3f\n"
                     "        ecall\n"
                     "2:      li      t0, ~%[bit]\n"
                     "        amoand.d.aqrl zero, t0, (%[word])\n"
                     "6:\n"
                     "        .subsection 1\n"
                     "3:      li      a0, %[cut]\n"
                     "        j       2b\n"
                     "7:\n"
                     "4:      li      a0, %[on_top]\n"
                     "        j       6b\n"
                     "        .previous\n"
                     "        .pushsection bo_windows, \"a\", @progbits\n"
                     "        .balign 4\n"
                     "        .long   5b - ., 1b - ., 2b - ., 6b - ., 3b - ., 7b - .\n"
                     "        .popsection"
                     : "+r"(a0)
                     : [word] "r"(word), [due] "r"(due), [frame] "r"(frame), [bit] "i"(1 << BO_ARCH_IN),
                       [cut] "i"(-BO_ECUT), [on_top] "i"(-BO_EON_TOP), "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4),
                       "r"(a5)
                     : "t0", "memory" BO_VECTORS);
    return a0;
}

static inline long bo_window_on_top(const uint64_t *mask, uint64_t *before, const void *due,
                                    const struct bo_window_call *call)
{
    register long a0 __asm__("a0");
    __asm__ volatile("5:      li      a7, 135\n"
                     "        li      a0, 1\n"
                     "        mv      a1, %[mask]\n"
                     "        mv      a2, %[before]\n"
                     "        li      a3, 8\n"
                     "        ecall\n"
                     "        ld      a7, 0(%[call])\n"
                     "        ld      a0, 8(%[call])\n"
                     "        ld      a1, 16(%[call])\n"
                     "        ld      a2, 24(%[call])\n"
                     "        ld      a3, 32(%[call])\n"
                     "        ld      a4, 40(%[call])\n"
                     "        ld      a5, 48(%[call])\n"
                     "1:      lbu     t0, 0(%[due])\n"
                     "        andi    t0, t0, 1\n"
                     "        bnez    t0, 3f\n"
                     "        ecall\n"
                     "2:\n"
                     "        .subsection 1\n"
                     "3:      li      a0, %[cut]\n"
                     "        j       2b\n"
                     "7:\n"
                     "        .previous\n"
                     "        .pushsection bo_windows, \"a\", @progbits\n"
                     "        .balign 4\n"
                     "        .long   5b - ., 1b - ., 2b - ., 2b - ., 3b - ., 7b - .\n"
                     "        .popsection"
                     : "=&r"(a0)
                     : [mask] "r"(mask), [before] "r"(before), [due] "r"(due), [call] "r"(call), [cut] "i"(-BO_ECUT)
                     : "a1", "a2", "a3", "a4", "a5", "a7", "t0", "memory" BO_VECTORS);
    return a0;
}

#undef BO_VECTORS

#endif

/* SPDX-License-Identifier: MIT */
/*
 * bo_window() for aarch64. The contract and the argument for it are in arch/window.h.
 *
 *   in:   x0 word   x1 nr   x2 a   x3 b   x4 c   x5 d   x6 e   x7 f
 *   call: x8 nr     x0 a    x1 b   x2 c   x3 d   x4 e   x5 f
 *   kept across the move: x9 = word, until the test; w10 scratch
 *
 *   begin:  if (*(uint32_t *)word & 1) goto cancel
 *           svc
 *   end:    return x0
 *   cancel: return -ECANCELED
 */
        .text
        .globl  bo_window, bo_window_begin, bo_window_end, bo_window_cancel
        .hidden bo_window, bo_window_begin, bo_window_end, bo_window_cancel
        .type   bo_window, %function
        .p2align 4
bo_window:
        .cfi_startproc
        mov     x9, x0
        mov     x8, x1
        mov     x0, x2
        mov     x1, x3
        mov     x2, x4
        mov     x3, x5
        mov     x4, x6
        mov     x5, x7
bo_window_begin:
        ldr     w10, [x9]
        tbnz    w10, #0, bo_window_cancel
        svc     #0
bo_window_end:
        ret
bo_window_cancel:
        mov     x0, #-125
        ret
        .cfi_endproc
        .size   bo_window, .-bo_window
        .section .note.GNU-stack, "", %progbits

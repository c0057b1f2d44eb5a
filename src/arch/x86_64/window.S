/* SPDX-License-Identifier: MIT */
/*
 * bo_window() for x86-64. The contract and the argument for it are in arch/window.h.
 *
 *   in:   rdi word   rsi nr   rdx a   rcx b   r8 c   r9 d   8(rsp) e   16(rsp) f
 *   call: rax nr     rdi a    rsi b   rdx c   r10 d  r8 e   r9 f       (rcx and r11 are lost by it)
 *   kept across the move: r11 = word, until the test
 *
 *   begin:  if (*(uint32_t *)word & 1) goto cancel
 *           syscall
 *   end:    return rax
 *   cancel: return -ECANCELED
 */
        .text
        .globl  bo_window, bo_window_begin, bo_window_end, bo_window_cancel
        .hidden bo_window, bo_window_begin, bo_window_end, bo_window_cancel
        .type   bo_window, @function
        .p2align 4
bo_window:
        .cfi_startproc
        mov     %rdi, %r11
        mov     %rsi, %rax
        mov     %rdx, %rdi
        mov     %rcx, %rsi
        mov     %r8, %rdx
        mov     %r9, %r10
        mov     8(%rsp), %r8
        mov     16(%rsp), %r9
bo_window_begin:
        testl   $1, (%r11)
        jnz     bo_window_cancel
        syscall
bo_window_end:
        ret
bo_window_cancel:
        mov     $-125, %rax
        ret
        .cfi_endproc
        .size   bo_window, .-bo_window
        .section .note.GNU-stack, "", @progbits

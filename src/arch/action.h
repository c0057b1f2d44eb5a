/* SPDX-License-Identifier: MIT */
/*
 * The kernel's form of struct sigaction. libc's form can't be used for the signals that libc reserves, and under a
 * sanitizer libc's function would install the sanitizer's handler around the library's.
 *
 * A machine's kernel has the restorer if its <asm/signal.h> defines SA_RESTORER, which src/meson.build looks up: that
 * header and libc's <signal.h> exclude each other. The kernel writes its whole structure, and would overwrite other
 * memory if a field were missing here.
 */
#ifndef BO_ARCH_ACTION_H
#define BO_ARCH_ACTION_H

#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include "base/raw.h"

#if defined(__mips__) || defined(__alpha__) || defined(__sparc__)
#error "the kernel's sigaction has other fields, or its call other arguments, on this machine: describe it here"
#endif

struct bo_kernel_action {
    void (*handler)(int, siginfo_t *, void *);
    unsigned long flags;
#if BO_KERNEL_RESTORER
    void (*restorer)(void); /* the function of libc that a handler returns to */
#endif
    uint64_t mask;
    uint64_t spare; /* qemu-user 7.2 writes one more word on riscv64 */
};

static inline long bo_kernel_sigaction(int signo, const struct bo_kernel_action *new, struct bo_kernel_action *old)
{
    return bo_raw4(SYS_rt_sigaction, signo, (long)new, (long)old, sizeof new->mask);
}

/* Whether the handler is a function, and neither SIG_DFL nor SIG_IGN. */
static inline int bo_action_catches(const struct bo_kernel_action *action)
{
    uintptr_t handler = (uintptr_t)action->handler;
    return handler != (uintptr_t)SIG_DFL && handler != (uintptr_t)SIG_IGN;
}

static inline uintptr_t bo_action_restorer(const struct bo_kernel_action *action)
{
#if BO_KERNEL_RESTORER
    return (uintptr_t)action->restorer;
#else
    (void)action;
    return 0;
#endif
}

#endif

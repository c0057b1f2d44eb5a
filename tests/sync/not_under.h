/* SPDX-License-Identifier: MIT */
/* What the tools that a test may run under can't do. */
#ifndef TEST_NOT_UNDER_H
#define TEST_NOT_UNDER_H

#include "harness.h"

/* The kernel's name for the process is the emulator's. */
static inline int under_qemu(void)
{
    char name[32] = "";
    FILE *file = fopen("/proc/self/comm", "re");
    if (file && !fgets(name, sizeof name, file))
        name[0] = 0;
    if (file)
        fclose(file);
    return strncmp(name, "qemu-", 5) == 0;
}

static inline void needs_handlers_in_calls(void)
{
    if (T_TSAN)
        SKIP("the thread sanitizer holds handlers back while a thread is in a system call that it does not know");
}

static inline void needs_calls_of_libc(void)
{
    if (T_ASAN || T_TSAN)
        SKIP("read(), open() and others are the sanitizer's: bough leaves alone what somebody else stands in for");
}

/* Forking while there are other threads, and then starting threads in the child. */
static inline void needs_threads_after_fork(void)
{
    if (T_TSAN)
        SKIP("the thread sanitizer allows no new thread in a forked child");
    if (under_qemu())
        SKIP("qemu-user fails an assertion at a new thread in a forked child");
}

#endif

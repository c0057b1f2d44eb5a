/* SPDX-License-Identifier: MIT */
/* Skips tests under tools that can't execute them. */
#ifndef TEST_NOT_UNDER_H
#define TEST_NOT_UNDER_H

#include "harness.h"

/* The kernel shows the emulator's name for the process. */
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
        SKIP("the thread sanitizer delays handlers while a thread is in a system call that it does not know");
}

static inline void needs_calls_of_libc(void)
{
    if (T_ASAN || T_TSAN)
        SKIP("bough does not replace read(), open() and others, which the sanitizer has replaced");
}

/* Needs to fork while there are other threads, and then to start threads in the child. */
static inline void needs_threads_after_fork(void)
{
    if (T_TSAN)
        SKIP("the thread sanitizer allows no new thread in a forked child");
    if (under_qemu())
        SKIP("qemu-user fails an assertion at a new thread in a forked child");
}

#endif

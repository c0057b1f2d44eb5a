/* SPDX-License-Identifier: MIT */
/*
 * The limits of the child that reads other people's debug information. From confine_end() on the child can only read
 * open files, allocate a limited amount of memory and write its answers: all other system calls fail.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "symbols.h"

enum { SECONDS = 30, OUT = 3 };
#define MEMORY ((rlim_t)4 << 30)

/* A sanitizer must be able to report to the test. It queries the signal stack before a function that does not
 * return. */
#ifdef __SANITIZE_ADDRESS__
#define CONFINE_KEEPS_ERRORS 1
#else
#define CONFINE_KEEPS_ERRORS 0
#endif

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* Drops the parent's signal handlers and descriptors, also standard error: libc's message about a crash is not read. */
void confine_begin(int *out)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_DFL);
    int null = open("/dev/null", O_RDWR);
    for (int i = 0; null >= 0 && i < OUT; i++)
        if (!CONFINE_KEEPS_ERRORS || i != STDERR_FILENO)
            dup2(null, i);
    *out = *out == OUT ? OUT : dup2(*out, OUT);
    if (syscall(SYS_close_range, OUT + 1, ~0U, 0) != 0)
        for (int i = OUT + 1; i < 1024; i++)
            close(i);
}

static rlim_t memory_now(void)
{
    char text[64] = "";
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    rlim_t pages = 0;
    for (ssize_t i = 0; i < n && text[i] >= '0' && text[i] <= '9'; i++)
        pages = 10 * pages + (rlim_t)(text[i] - '0');
    if (fd >= 0)
        close(fd);
    return pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void limit(enum __rlimit_resource what, rlim_t most)
{
    struct rlimit l = {most, most};
    setrlimit(what, &l);
}

#if defined(__x86_64__)
#define MACHINE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define MACHINE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define MACHINE AUDIT_ARCH_RISCV64
#endif

#define ALLOW(name) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, name, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void allow_little(void)
{
#ifdef MACHINE
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(SYS_read),
        ALLOW(SYS_pread64),
        ALLOW(SYS_write),
        ALLOW(SYS_lseek),
        ALLOW(SYS_close),
        ALLOW(SYS_fstat),
        ALLOW(SYS_newfstatat),
        ALLOW(SYS_mmap),
        ALLOW(SYS_mremap),
        ALLOW(SYS_munmap),
        ALLOW(SYS_mprotect),
        ALLOW(SYS_madvise),
        ALLOW(SYS_brk),
        ALLOW(SYS_futex),
        ALLOW(SYS_getrandom),
        ALLOW(SYS_clock_gettime),
        ALLOW(SYS_rt_sigprocmask),
        ALLOW(SYS_rt_sigaction),
        ALLOW(SYS_rt_sigreturn),
        ALLOW(SYS_exit_group),
        ALLOW(SYS_exit),
#if CONFINE_KEEPS_ERRORS
        ALLOW(SYS_sigaltstack),
        ALLOW(SYS_gettid),
#endif
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
#endif
}

/* On a kernel without seccomp only the resource limits apply. */
void confine_end(void)
{
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, SECONDS);
    limit(RLIMIT_AS, memory_now() + MEMORY);
    limit(RLIMIT_NOFILE, 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        allow_little();
}

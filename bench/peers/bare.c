/* SPDX-License-Identifier: MIT */
/*
 * The floor: a load of a thread-local variable, and a system call with nothing around it.
 *
 * The variable is volatile, lives in another translation unit (bare_word.c) and has the TLS model
 * initial-exec, as bough's word has: the compiler can neither fold it nor know its value. It belongs to
 * the program, so the linker may use the cheaper local-exec access, which makes the floor lower.
 */
#include "../bench.h"

#include <sys/syscall.h>
#include <unistd.h>

extern __thread volatile uint32_t bench_word __attribute__((tls_model("initial-exec")));

static void check_load(struct batch *batch)
{
    int64_t start = bench_now();
    for (size_t i = 0; i < batch->n; i++) {
        (void)bench_word;
        bench_barrier();
    }
    bench_record(batch, bench_now() - start, batch->n);
}

/* The minimum cost of any test that ends with a branch. */
static void check_branch(struct batch *batch)
{
    int64_t start = bench_now();
    for (size_t i = 0; i < batch->n; i++) {
        if (__builtin_expect(bench_word != 0, 0))
            bench_die("bench_word is not 0");
        bench_barrier();
    }
    bench_record(batch, bench_now() - start, batch->n);
}

static void dense_load(struct batch *batch)
{
    int64_t start = bench_now();
    for (size_t i = 0; i < batch->n; i += 16) {
        BENCH_16((void)bench_word)
    }
    bench_record(batch, bench_now() - start, batch->n);
}

static void dense_branch(struct batch *batch)
{
    int64_t start = bench_now();
    for (size_t i = 0; i < batch->n; i += 16) {
        BENCH_16(if (__builtin_expect(bench_word != 0, 0)) bench_die("bench_word is not 0"))
    }
    bench_record(batch, bench_now() - start, batch->n);
}

/*
 * The bare system call, without errno. It is called in a function, because a library's call is one: a kernel that
 * protects its returns (spec_rstack_overflow: Safe RET) invalidates the processor's return stack at each system call.
 * The first return after it costs a third of a short call, each further one 3 %. Inlined into its loop, the call would
 * have no return at all, unlike the calls of real programs.
 */
static inline __attribute__((always_inline)) long bare_read(int fd, void *buffer, size_t size)
{
#if defined(__x86_64__)
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"((long)SYS_read), "D"((long)fd), "S"(buffer), "d"(size)
                     : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = SYS_read;
    register long x0 __asm__("x0") = fd;
    register long x1 __asm__("x1") = (long)buffer;
    register long x2 __asm__("x2") = (long)size;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
#elif defined(__riscv) && __riscv_xlen == 64
    register long a7 __asm__("a7") = SYS_read;
    register long a0 __asm__("a0") = fd;
    register long a1 __asm__("a1") = (long)buffer;
    register long a2 __asm__("a2") = (long)size;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2) : "memory");
    return a0;
#else
    return syscall(SYS_read, fd, buffer, size);
#endif
}

static __attribute__((noinline)) long bare_function(int fd, void *buffer, size_t size)
{
    return bare_read(fd, buffer, size);
}

static void read_bare(struct batch *batch)
{
    int fd = bench_zero();
    char byte;
    int64_t start = bench_now();
    for (size_t i = 0; i < batch->n; i++)
        if (bare_function(fd, &byte, 1) != 1)
            bench_die("read: no byte");
    bench_record(batch, bench_now() - start, batch->n);
}

static void read_inlined(struct batch *batch)
{
    int fd = bench_zero();
    char byte;
    int64_t start = bench_now();
    for (size_t i = 0; i < batch->n; i++)
        if (bare_read(fd, &byte, 1) != 1)
            bench_die("read: no byte");
    bench_record(batch, bench_now() - start, batch->n);
}

static void read_syscall(struct batch *batch)
{
    int fd = bench_zero();
    char byte;
    int64_t start = bench_now();
    for (size_t i = 0; i < batch->n; i++)
        if (syscall(SYS_read, fd, &byte, (size_t)1) != 1)
            bench_die("syscall: no byte");
    bench_record(batch, bench_now() - start, batch->n);
}

const struct contender bench_bare[] = {
    {BENCH_CHECK, "thread-local load", NULL, check_load, NULL},
    {BENCH_CHECK, "load and branch", NULL, check_branch, NULL},
    {BENCH_DENSE, "thread-local load", NULL, dense_load, NULL},
    {BENCH_DENSE, "load and branch", NULL, dense_branch, NULL},
    {BENCH_READ, "bare system call", NULL, read_bare, NULL},
    {BENCH_READ, "bare, again (control)", NULL, read_bare, NULL},
    {BENCH_READ, "bare, inlined", NULL, read_inlined, NULL},
    {BENCH_READ, "syscall()", NULL, read_syscall, NULL},
    {0, NULL, NULL, NULL, NULL},
};

/* SPDX-License-Identifier: MIT */
/* The common part of the interface: handles, time, attributes. */
#ifndef BOUGH_TYPES_H
#define BOUGH_TYPES_H

#include <stddef.h>
#include <stdint.h>

#if !defined(__GNUC__)
#error "bough needs a compiler with GNU attributes: gcc or clang"
#endif

/* Attributes of functions: exported by the library; with a format as printf() has; seldom called. */
#define BOUGH_API __attribute__((visibility("default")))
#define BOUGH_FORMAT(fmt, args) __attribute__((format(printf, fmt, args)))
#define BOUGH_COLD __attribute__((cold))

/* A distinct name for each line's block. */
#define BOUGH_PASTE2_(a, b) a##b
#define BOUGH_PASTE_(a, b) BOUGH_PASTE2_(a, b)

/* A field that C++20's designated initialisers may leave out without a warning. */
#if defined(__cplusplus) && __cplusplus > 201703L
#define BOUGH_ZERO_ = {}
#else
#define BOUGH_ZERO_
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A handle names one incarnation of a thread or a branch: it contains a generation, so a handle whose thread has
 * ended never reaches the next thread in its slot (rule 6). Handles compare with ==, may be copied and dropped
 * freely, and own nothing.
 */
typedef struct bough_thread bough_thread;
typedef struct bough_branch bough_branch;

/* The type of an argument that is either a thread's or a branch's handle. */
typedef const void *bough_target;

/* The root of the tree, whose subtree is every thread that bough knows. */
#define BOUGH_ROOT ((bough_target)bough_root())

/* A point in time: nanoseconds on the library's monotonic clock, which stands still while the whole
 * process is stopped (SIGSTOP, a debugger, a paused machine; rule 33). 0 stands for "no deadline". */
typedef int64_t bough_time;

/* Nanoseconds, microseconds, milliseconds and seconds as nanoseconds. */
#define BOUGH_NS(n) ((int64_t)(n))
#define BOUGH_US(n) ((int64_t)(n)*1000)
#define BOUGH_MS(n) ((int64_t)(n)*1000000)
#define BOUGH_SEC(n) ((int64_t)((n)*1000000000LL))

/* The time now. [signal] */
BOUGH_API bough_time bough_now(void);

/* The deadline `ns` from now, at least 1 and at most INT64_MAX, a time that never comes. [signal] */
static inline bough_time bough_after(int64_t ns)
{
    bough_time t;
    if (__builtin_add_overflow(bough_now(), ns, &t))
        return INT64_MAX;
    return t > 0 ? t : 1;
}

/* The root of the tree. [signal] */
BOUGH_API bough_branch *bough_root(void);

#ifdef __cplusplus
}
#endif
#endif

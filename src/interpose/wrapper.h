/* SPDX-License-Identifier: MIT */
/*
 * Stand-ins for libc's functions: one wrapper for each row of calls/calls.def, and for other names of the same
 * functions. In a thread that did not opt in, a wrapper calls libc's function directly.
 */
#ifndef BO_INTERPOSE_WRAPPER_H
#define BO_INTERPOSE_WRAPPER_H

#include <bough/interpose.h>
#include <stdint.h>

struct bo_wrapper {
    const char *symbol;
    bough_code *function;
    uintptr_t *real; /* libc's function, or a sanitizer's around it; 0: libc has none */
};

/* A stand-in that other stand-ins call. It is inline, so that the return address is that of the outer one's caller. */
#define BO_STAND_IN_FUNCTION __attribute__((always_inline)) static inline

/* A row: stand_in_NAME() for `symbol`, and real_NAME, which holds libc's function. */
#define BO_STAND_IN(symbol, name)                                       \
    {                                                                   \
#symbol, (bough_code *)(uintptr_t)stand_in_##name, &real_##name \
    }

/* Looks up libc's functions, once. 0; -1 with ENOTSUP: they were not found (a static program). */
int bo_wrappers_init(void);
/* The hash of a symbol (FNV-1a), for the next two functions. */
static inline uint32_t bo_symbol_hash(const char *symbol)
{
    uint32_t hash = 2166136261u;
    while (*symbol)
        hash = (hash ^ (unsigned char)*symbol++) * 16777619u;
    return hash;
}

/* NULL: not a function that bough stands in for. */
const struct bo_wrapper *bo_wrapper_of(const char *symbol, uint32_t hash);
/* The function of an object loaded before libc that has the same symbol: an unbound slot will hold it. 0: there is
 * none. */
uintptr_t bo_wrapper_taken(const char *symbol, uint32_t hash);

/* The rows that do not come from calls.def. Each list ends with a row without a symbol: children.c, inside.c, dlopen.c,
 * gethostby_wrappers.c, stream.c. */
extern const struct bo_wrapper bo_children_wrappers[], bo_inside_wrappers[], bo_other_wrappers[],
    bo_resolver_wrappers[], bo_stream_wrappers[];

#endif

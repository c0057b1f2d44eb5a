/* SPDX-License-Identifier: MIT */
/* The word of bare.c, in another file, so that the compiler can't see that it is never written. */
#include <stdint.h>

extern __thread volatile uint32_t bench_word __attribute__((tls_model("initial-exec")));
__thread volatile uint32_t bench_word;

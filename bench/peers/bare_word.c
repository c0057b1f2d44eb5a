/* SPDX-License-Identifier: MIT */
/* The word of bare.c, where its reader can't see that nobody writes it. */
#include <stdint.h>

extern __thread volatile uint32_t bench_word __attribute__((tls_model("initial-exec")));
__thread volatile uint32_t bench_word;

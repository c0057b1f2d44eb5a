/* SPDX-License-Identifier: MIT */
/* Atomics with their memory order in their names. If an order is not the obvious one, a comment at the call names the
 * operation that it pairs with. */
#ifndef BO_BASE_ATOMIC_H
#define BO_BASE_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/tsan_atomic.h"

#define bo_load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define bo_load_acquire(p) BO_TSAN_ATOMIC(atomic_load_explicit((p), memory_order_acquire))
#define bo_load_seq(p) BO_TSAN_ATOMIC(atomic_load_explicit((p), memory_order_seq_cst))
#define bo_store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define bo_store_release(p, v) BO_TSAN_ATOMIC_STORE(atomic_store_explicit((p), (v), memory_order_release))
#define bo_store_seq(p, v) BO_TSAN_ATOMIC_STORE(atomic_store_explicit((p), (v), memory_order_seq_cst))
#define bo_swap_seq(p, v) BO_TSAN_ATOMIC(atomic_exchange_explicit((p), (v), memory_order_seq_cst))
#define bo_swap_acq_rel(p, v) BO_TSAN_ATOMIC(atomic_exchange_explicit((p), (v), memory_order_acq_rel))
#define bo_add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define bo_add_seq(p, v) BO_TSAN_ATOMIC(atomic_fetch_add_explicit((p), (v), memory_order_seq_cst))
#define bo_sub_release(p, v) BO_TSAN_ATOMIC(atomic_fetch_sub_explicit((p), (v), memory_order_release))
#define bo_sub_seq(p, v) BO_TSAN_ATOMIC(atomic_fetch_sub_explicit((p), (v), memory_order_seq_cst))
#define bo_or_seq(p, v) BO_TSAN_ATOMIC(atomic_fetch_or_explicit((p), (v), memory_order_seq_cst))
#define bo_and_seq(p, v) BO_TSAN_ATOMIC(atomic_fetch_and_explicit((p), (v), memory_order_seq_cst))
#define bo_cas_seq(p, expected, desired)                                                                     \
    BO_TSAN_ATOMIC(atomic_compare_exchange_strong_explicit((p), (expected), (desired), memory_order_seq_cst, \
                                                           memory_order_seq_cst))
#define bo_cas_acquire(p, expected, desired)                                                                 \
    BO_TSAN_ATOMIC(atomic_compare_exchange_strong_explicit((p), (expected), (desired), memory_order_acquire, \
                                                           memory_order_relaxed))
/* Orders memory accesses between a thread's code and a signal handler that interrupts it. */
#define bo_signal_fence() atomic_signal_fence(memory_order_seq_cst)

#define bo_likely(x) __builtin_expect(!!(x), 1)
#define bo_unlikely(x) __builtin_expect(!!(x), 0)
#define BO_COLD __attribute__((cold, noinline))
/* Marks a function that the wake signal's handler runs. The handler may interrupt the thread sanitizer's code inside an
 * atomic operation, and would deadlock on a lock that the same thread holds. */
#define BO_BARE __attribute__((no_sanitize("thread")))
/* For a function that takes the frame address of its caller: it is inlined even at -O0, so that it has no frame. */
#define BO_IN_CALLER __attribute__((always_inline)) static inline
#define BO_TLS __thread __attribute__((tls_model("initial-exec")))

#endif

/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "state/current.h"
#include <bough/interrupt.h>
#include <sys/syscall.h>
#include "base/futex.h"
#include "base/raw.h"

/* The word of a thread that is not adopted: testing it takes the slow path, which adopts the thread. */
static const uint32_t stranger = BO_UNADOPTED;
__thread const volatile uint32_t *bough_word_ = &stranger;
BO_TLS struct bo_thread *bo_self;
_Atomic pid_t bo_pid;

_Static_assert(BO_DUE == BOUGH_WORD_DUE_ && BO_PENDING == BOUGH_WORD_PENDING_ && BO_UNADOPTED == BOUGH_WORD_SLOW_,
               "the public header's inline functions test these");

pid_t bo_tid(void)
{
    return bo_self ? bo_load_relaxed(&bo_self->tid) : (pid_t)bo_raw0(SYS_gettid);
}

void bo_bind(struct bo_thread *t)
{
    bo_store_relaxed(&t->tid, (pid_t)bo_raw0(SYS_gettid));
    t->call.due_byte = bo_word_byte(&t->t.word, 0);
    bo_self = t;
    bo_signal_fence(); /* a signal handler that runs between the stores finds the slot */
    bough_word_ = (const volatile uint32_t *)(const volatile void *)bo_low_half(&t->t.word);
}

void bo_turn_away(void)
{
    bough_word_ = &stranger;
    bo_signal_fence();
    bo_self = NULL;
}

void bo_unbind(struct bo_thread *t)
{
    bo_turn_away();
    bo_store_relaxed(&t->tid, 0);
    t->stack.low = t->stack.high = 0;
    bo_thread_free(t);
}

/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "state/current.h"
#include <bough/interrupt.h>
#include <sys/syscall.h>
#include "base/futex.h"
#include "base/hook.h"
#include "base/raw.h"
#include "trace/recorder.h"
#include "upcalls.h"

/* The word of a thread that is not adopted: its set bit makes calls take the slow path, which adopts the thread. */
static const uint32_t stranger = BO_UNADOPTED;
__thread const volatile uint32_t *bough_word_ = &stranger;
BO_TLS struct bo_thread *bo_self;
_Atomic pid_t bo_pid;

_Static_assert(BO_DUE == BOUGH_WORD_DUE_ && BO_PENDING == BOUGH_WORD_PENDING_ && BO_UNADOPTED == BOUGH_WORD_SLOW_,
               "the public header's inline functions test these bits");

pid_t bo_tid(void)
{
    return bo_self ? bo_load_relaxed(&bo_self->tid) : (pid_t)bo_raw0(SYS_gettid);
}

/* bo_trace_on is stored first, and then the flag of each slot: so this thread sees bo_trace_on, or its slot's flag is
 * set. The flag follows bo_trace_on, and not the caller's switch, which may be outdated: another thread may have begun
 * the next recording. */
static void record_calls(struct bo_thread *t)
{
    bo_store_seq(&t->call.recorded, 0);
    if (bo_load_seq(&bo_trace_on))
        bo_store_seq(&t->call.recorded, 1);
}

void bo_bind(struct bo_thread *t)
{
    record_calls(t);
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
    bo_trace_thread_gone();
    bo_turn_away();
    bo_store_relaxed(&t->tid, 0);
    t->stack.low = t->stack.high = 0;
    bo_thread_free(t);
}

/* ---- recordings ------------------------------------------------------------------------------------------------- */

/* Another thread may rename a slot that its thread has not used yet: then the name is a copy. */
BO_BARE static bool describe_slot(const struct bo_thread *t, uint64_t word, struct bo_trace_thread *as)
{
    uint32_t parent = bo_load_relaxed(&t->parent);
    const struct bo_branch *b = parent > BO_ROOT ? bo_branch_at(parent) : NULL;
    if (!(word & BO_LIVE))
        return false;
    *as = (struct bo_trace_thread){
        .handle = bo_handle_make(t->t.index, bo_word_generation(word), false),
        .branch = b ? bo_branch_handle(b) : 0,
        .tid = bo_load_relaxed(&t->tid),
        .name = t->t.name,
        .branch_name = b ? b->t.name : "",
    };
    return true;
}

void bo_trace_identify(struct bo_trace_thread *me)
{
    if (bo_self)
        describe_slot(bo_self, bo_load_relaxed(&bo_self->t.word), me);
}

static uint64_t branch_around(const struct bo_branch *b)
{
    uint32_t outer = bo_load_relaxed(&b->outer);
    return outer > BO_ROOT ? bo_branch_handle(bo_branch_at(outer)) : 0;
}

static void record_branches(void)
{
    uint32_t high = bo_branches_used();
    for (uint32_t i = BO_ROOT + 1; i < high; i++) {
        const struct bo_branch *b = bo_branch_at(i);
        uint64_t w = bo_load_seq(&b->t.word);
        uint32_t owner = bo_load_relaxed(&b->owner);
        if ((w & BO_LIVE) && owner != BO_NONE)
            bo_trace_branch_begin(bo_handle_make(i, bo_word_generation(w), true), branch_around(b),
                                  bo_thread_handle(bo_thread_at(owner)), b->t.name);
    }
}

void bo_switch_recording(bool on)
{
    struct bo_trace_thread as;
    BO_HOOK(trace_switches);
    if (on)
        record_branches();
    uint32_t high = bo_threads_used();
    for (uint32_t i = 1; i < high; i++) {
        struct bo_thread *t = bo_thread_at(i);
        record_calls(t);
        if (on && describe_slot(t, bo_load_seq(&t->t.word), &as))
            bo_trace_thread_begin(&as, true);
    }
}

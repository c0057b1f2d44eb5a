/* SPDX-License-Identifier: MIT */
/* Stops a thread at a hook of the library (src/base/hook.h) until the test has done its part. */
#ifndef TEST_HOOKS_H
#define TEST_HOOKS_H

#include "base/hook.h"
#include "state/arena.h"
#include "../semantics/target.h"

static inline uint64_t word_of(bough_thread *thread)
{
    return bo_load_seq(&bo_thread_of_handle(thread)->t.word);
}

#if BO_HOOKS

static pid_t hooked;         /* the thread to stop; 0: any */
static uint32_t hook_passed; /* the number of times that the hook was passed */
__attribute__((unused)) static struct t_gate hook_reached, hook_go;

/* Stops only the first pass of the hook. */
__attribute__((unused)) static void stop_here(void)
{
    if (hooked && t_tid() != hooked)
        return;
    if (__atomic_fetch_add(&hook_passed, 1, __ATOMIC_SEQ_CST) != 0)
        return;
    t_gate_open(&hook_reached);
    t_gate_wait(&hook_go);
}

#else
#define NO_HOOKS 1
#endif

/* Call this first in each test. */
#if BO_HOOKS
#define NEED_HOOKS() ((void)0)
#else
#define NEED_HOOKS() SKIP("built without -Dhooks=true")
#define bo_hook_call_entered no_hook
#define bo_hook_call_left no_hook
#define bo_hook_post_recorded no_hook
#define bo_hook_post_due no_hook
#define bo_hook_deliver_begins no_hook
#define bo_hook_record_changes no_hook
#define bo_hook_record_changed no_hook
#define bo_hook_post_repeats no_hook
#define bo_hook_clear_begins no_hook
#define bo_hook_record_sealed no_hook
#define bo_hook_post_promised no_hook
#define bo_hook_post_no_room no_hook
#define bo_hook_post_sent no_hook
#define bo_hook_add_published no_hook
#define bo_hook_child_ended no_hook
#define bo_hook_libc_entered no_hook
#define bo_hook_foreign_weighed no_hook
#define bo_hook_foreign_begins no_hook
#define bo_hook_foreign_ends no_hook
#define bo_hook_leave_begins no_hook
#define bo_hook_freeze_asks no_hook
#define bo_hook_freeze_late no_hook
#define bo_hook_call_out no_hook
#define bo_hook_pace_put_off no_hook
#define bo_hook_pace_next no_hook
#define bo_hook_pace_tick no_hook
#define bo_hook_adopts_itself no_hook
#define bo_hook_stranger_made no_hook
#define bo_hook_retired no_hook
#define bo_hook_worker_kept no_hook
#define bo_hook_look_is_due no_hook
#define bo_hook_ticker_looks no_hook
#define bo_hook_timer_late no_hook
#define bo_hook_work_half no_hook
#define bo_hook_libc_announced no_hook
#define bo_hook_link_followed no_hook
#define bo_hook_slot_looked_at no_hook
#define bo_hook_arena_lent no_hook
#define bo_hook_exit_waits no_hook
#define bo_hook_caps_scanned no_hook
#define bo_hook_timer_armed no_hook
#define bo_hook_dump_begins no_hook
#define bo_hook_exit_begins no_hook
#define bo_hook_event_half no_hook
#define bo_hook_progress_half no_hook
#define bo_hook_handler_chosen no_hook
#define bo_hook_tally_pinned no_hook
#define bo_hook_dump_has_room no_hook
#define bo_hook_ring_claims no_hook
#define bo_hook_record_half no_hook
#define bo_hook_record_shown no_hook
#define bo_hook_trace_stops no_hook
#define bo_hook_trace_half no_hook
#define bo_hook_trace_switches no_hook
#define bo_hook_chunk_chosen no_hook
#define bo_hook_section_overrun no_hook
#define bo_hook_holders_found no_hook
#define bo_hook_step_decided no_hook
#define bo_hook_silence_found no_hook
#define bo_hook_thread_shown no_hook
__attribute__((unused)) static void (*no_hook)(void);
__attribute__((unused)) static pid_t hooked;
__attribute__((unused)) static uint32_t hook_passed;
__attribute__((unused)) static struct t_gate hook_reached, hook_go;
__attribute__((unused)) static void stop_here(void)
{
}
#endif

#endif

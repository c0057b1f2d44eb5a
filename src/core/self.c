/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "core/self.h"
#include <bough/branch.h>
#include <bough/interrupt.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/futex.h"
#include "base/hook.h"
#include "base/mask.h"
#include "base/raw.h"
#include "core/above.h"
#include "core/call.h"
#include "core/deliver.h"
#include "core/fork.h"
#include "core/level.h"
#include "core/own.h"
#include "core/pace.h"
#include "core/region.h"
#include "core/report.h"
#include "core/stranger.h"
#include "core/ticker.h"

/* A stranger's word: whoever tests it takes the slow path and is adopted there. */
static const uint32_t stranger = BO_SLOW;
__thread const volatile uint32_t *bough_word_ = &stranger;
BO_TLS struct bo_thread *bo_self;
_Atomic pid_t bo_pid;

static pthread_key_t at_thread_end;
static int init_error;

_Static_assert(BO_DUE == BOUGH_WORD_DUE_ && BO_PENDING == BOUGH_WORD_PENDING_ && BO_SLOW == BOUGH_WORD_SLOW_,
               "the public header's inline functions test these");

pid_t bo_tid(void)
{
    return bo_self ? bo_load_relaxed(&bo_self->tid) : (pid_t)bo_raw0(SYS_gettid);
}

/* ---- binding ----------------------------------------------------------------------------------------- */

static const volatile uint32_t *low_half(const bo_word *word)
{
    const volatile uint32_t *half = (const volatile uint32_t *)(const volatile void *)word;
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? half : half + 1;
}

void bo_bind(struct bo_thread *t)
{
    bo_store_relaxed(&t->tid, (pid_t)bo_raw0(SYS_gettid));
    t->due_byte = bo_word_byte(&t->t.word, 0);
    bo_self = t;
    bo_signal_fence(); /* a handler that comes now finds the slot, and then the word */
    bough_word_ = low_half(&t->t.word);
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
    t->stack_low = t->stack_high = 0;
    bo_thread_free(t);
}

void bo_publish(struct bo_thread *t, uint32_t parent, uint32_t bits)
{
    bo_store_relaxed(&t->parent, parent);
    bo_store_relaxed(&t->top, BO_NONE);
    uint32_t generation = bo_word_generation(bo_load_relaxed(&t->t.word));
    bo_store_seq(&t->t.word, bo_word_make(generation, BO_LIVE | bits));
}

/* ---- the end of a generation (rule 6) ---------------------------------------------------------------- */

void bo_unpin(struct bo_target *t, uint32_t generation)
{
    if (bo_sub_seq(&t->pins, 1) == 1 && !bo_target_is(t, generation))
        bo_futex_wake(&t->pins, INT_MAX);
}

/* Asleep: a poster on the same processor may have a lower priority. */
static void wait_for_pins(struct bo_target *t)
{
    uint32_t pins;
    while ((pins = bo_load_seq(&t->pins)))
        bo_futex_sleep(&t->pins, pins, BO_FOREVER);
}

void bo_posts_end(struct bo_target *t)
{
    uint64_t w = bo_load_relaxed(&t->word);
    while (!bo_word_step(&t->word, &w, bo_word_make(bo_word_generation(w) + 1, (uint32_t)(w & BO_SENDERS))))
        ;
    wait_for_pins(t);
    bo_word_await_senders(&t->word);
}

void bo_records_close(struct bo_target *t, enum bough_post_status how)
{
    for (uint32_t due = bo_load_relaxed(&t->due); due; due &= due - 1)
        bo_record_close(bo_record_of(t, (enum bough_kind)__builtin_ctz(due)), how);
    bo_store_relaxed(&t->due, 0);
}

static void end_generation(struct bo_target *t, enum bough_post_status how)
{
    bo_posts_end(t);
    bo_records_close(t, how);
}

static void close_event(struct bo_thread *t)
{
    if (t->event_fd >= 0)
        close(t->event_fd);
    t->event_fd = -1;
}

static void forget_closers(struct bo_thread *t)
{
    if (t->closers)
        bo_ladder_forget_closers(t);
}

/* A thread that ends inside a call was ended by a handler on top of it, or by a cancellation. */
void bo_retire(struct bo_thread *t, enum bough_post_status how)
{
    uint64_t w = bo_load_seq(&t->t.word);
    if (t == bo_self && (w & BO_IN))
        bo_call_abandon(t);
    else if (t == bo_self && (w & BO_UNDER_WAY))
        bo_deliver_settle(t);
    forget_closers(t);
    end_generation(&t->t, how);
    close_event(t);
    bo_pace_done(t);
}

void bo_retire_lost(struct bo_thread *t)
{
    end_generation(&t->t, BOUGH_POST_LOST);
    close_event(t);
    bo_pace_done(t);
}

void bo_wake_joiners(struct bo_thread *t)
{
    if (bo_load_seq(&t->join_waiters))
        bo_futex_wake(bo_generation_of(t), INT_MAX);
}

void bo_retire_branch(struct bo_branch *b, enum bough_post_status how)
{
    end_generation(&b->t, how);
}

/* ---- adoption ---------------------------------------------------------------------------------------- */

void bo_set_name(struct bo_target *t, const char *name)
{
    size_t n = name ? strnlen(name, BO_NAME - 1) : 0;
    if (n)
        memcpy(t->name, name, n);
    t->name[n] = '\0';
}

void bo_self_find_stack(struct bo_thread *t)
{
    pthread_attr_t attributes;
    void *low;
    size_t size;
    if (t->stack_high || pthread_getattr_np(pthread_self(), &attributes) != 0)
        return;
    if (pthread_attr_getstack(&attributes, &low, &size) == 0) {
        t->stack_low = (uintptr_t)low;
        t->stack_high = (uintptr_t)low + size;
    }
    pthread_attr_destroy(&attributes);
}

/*
 * Who can be woken needs the ticker: it finds another road to a thread that blocks the wake signal later on, and
 * repeats the wake where there is no window (rule 13). Where signals are blocked this may be a signal handler, which
 * must not start a thread; the next thread that is adopted will. Without a window nothing works without it.
 */
static void start_ticker(uint64_t blocked)
{
    int saved = errno;
    if (!blocked || !BO_ARCH_WINDOW)
        bo_ticker_need(); /* it failed: all else works */
    errno = saved;
}

static bool is_main(const struct bo_thread *t)
{
    return bo_load_relaxed(&t->tid) == bo_load_relaxed(&bo_pid);
}

void bo_begin_adopted(struct bo_thread *t)
{
    t->worker = NULL;
    t->child = NULL;
    bo_level_reset(t, false, false);
}

static struct bo_thread *adopt(const char *name)
{
    struct bo_thread *made = bo_stranger_take(), *t = made ? made : bo_thread_new();
    if (!t)
        return NULL;
    bo_bind(t);
    if (!made || name)
        bo_set_name(&t->t, name);
    if (!made)
        bo_begin_adopted(t);
    pthread_setspecific(at_thread_end, t);
    if (!made) {
        BO_HOOK(adopts_itself);
        bo_publish(t, BO_ROOT, 0);
        bo_stranger_merge(t);
    }
    if (is_main(t))
        bo_own_main_known(true);
    return t;
}

/* With all signals blocked: a call that a handler makes in the middle would adopt the thread a second time. */
struct bo_thread *bo_adopt(const char *name)
{
    if (bo_self)
        return bo_self;
    if (bo_init() != 0)
        return NULL;
    uint64_t mask = bo_signals_off();
    bool known = bo_self != NULL;
    struct bo_thread *t = known ? bo_self : adopt(name);
    bo_signals_on(mask);
    if (known || !t)
        return t;
    bo_deliver_open();
    start_ticker(mask); /* it can be posted to already, while this waits for the new thread */
    bo_level_settle(t); /* the root may be marked */
    return t;
}

static void release(struct bo_thread *t)
{
    bo_branches_end(t);
    bo_level_end(t);
    bo_retire(t, BOUGH_POST_ENDED);
    bo_wake_joiners(t);
    bo_unbind(t);
}

/* An adopted thread dies. A worker ends by itself; it never sets the key. */
static void thread_ends(void *slot)
{
    if (slot != bo_self)
        return;
    bool left = is_main(slot);
    release(slot);
    if (left)
        bo_own_main_left();
    else
        bo_own_thread_ends();
}

bough_thread *bough_adopt(const char *name)
{
    struct bo_thread *t = bo_self;
    if (t)
        bo_set_name(&t->t, name);
    else
        t = bo_adopt(name);
    if (!t)
        return NULL;
    bo_self_find_stack(t);
    return (bough_thread *)(uintptr_t)bo_thread_handle(t);
}

bough_thread *bough_adopt_with(const struct bough_child_options *options)
{
    static const struct bough_child_options plain;
    const struct bough_child_options *o = options ? options : &plain;
    if (bo_self)
        return errno = EEXIST, NULL;
    if (o->stack || o->fresh)
        return errno = EINVAL, NULL;
    struct bo_thread *t = bo_adopt(o->name);
    if (!t)
        return NULL;
    bo_self_find_stack(t);
    t->disabled = o->disabled != 0;
    t->foreign_depth = t->foreign_from_start = o->foreign != 0;
    bo_level_set(t);
    return (bough_thread *)(uintptr_t)bo_thread_handle(t);
}

bough_thread *bough_self(void)
{
    struct bo_thread *t = bo_self_or_adopt();
    return t ? (bough_thread *)(uintptr_t)bo_thread_handle(t) : NULL;
}

int bough_release(void)
{
    struct bo_thread *t = bo_self;
    if (!t)
        return errno = ENOENT, -1;
    if (t->child)
        return errno = EPERM, -1;
    if (bo_load_relaxed(&t->top) != BO_NONE || t->regions)
        return errno = EBUSY, -1;
    pthread_setspecific(at_thread_end, NULL);
    if (is_main(t))
        bo_own_main_known(false);
    release(t);
    return 0;
}

int bough_set_name(const char *name)
{
    struct bo_thread *t = bo_self_or_adopt();
    if (!t)
        return -1;
    char kernel[16];
    bo_set_name(&t->t, name);
    snprintf(kernel, sizeof kernel, "%.15s", t->t.name);
    pthread_setname_np(pthread_self(), kernel);
    return 0;
}

/* ---- init -------------------------------------------------------------------------------------------- */

static int init(void)
{
    bo_store_relaxed(&bo_pid, getpid());
    if (bo_arena_init() != 0 || bo_deliver_init() != 0)
        return errno;
    int error = pthread_key_create(&at_thread_end, thread_ends);
    return error ? error : bo_fork_init();
}

/* At load: later may be in a signal handler. */
__attribute__((constructor)) static void at_load(void)
{
    if (!bo_arena.thread)
        init_error = init();
}

int bo_init(void)
{
    at_load();
    return init_error ? (errno = init_error, -1) : 0;
}

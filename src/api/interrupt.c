/* SPDX-License-Identifier: MIT */
/* Implements <bough/interrupt.h>: posting, the state of a post, and the target's side. */
#define _GNU_SOURCE
#include "api/interrupt.h"
#include <bough/interrupt.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/futex.h"
#include "base/raw.h"
#include "state/arena.h"
#include "state/current.h"
#include "state/tree.h"
#include "thread/adopt.h"
#include "thread/call.h"
#include "thread/level.h"
#include "wake/post.h"

static uint64_t handle_of(bough_target target)
{
    return (uint64_t)(uintptr_t)target;
}

/* ---- posting ----------------------------------------------------------------------------------------- */

bough_branch *bough_root(void)
{
    return (bough_branch *)(uintptr_t)bo_handle_make(BO_ROOT, 1, true);
}

int bough_interrupt(bough_target target, const char *reason)
{
    struct bough_event event = {.kind = BOUGH_STOP, .reason = reason};
    return bo_post(handle_of(target), &event, NULL);
}

bough_post bough_post_event(bough_target target, const struct bough_event *event)
{
    bough_post post = {0, 0};
    bo_post(handle_of(target), event, &post);
    return post;
}

/* Posts to each thread, and not to the branches that it has open, because the caller may be in one of them (rule 7). */
int bough_interrupt_all(const char *reason)
{
    struct bough_event event = {.kind = BOUGH_STOP, .reason = reason, .flags = BOUGH_ALONE};
    int posted = 0;
    uint32_t high = bo_threads_used();
    for (uint32_t i = 1; i < high; i++) {
        struct bo_thread *t = bo_thread_at(i);
        uint64_t w = bo_load_seq(&t->t.word);
        if (t != bo_self && (w & BO_LIVE) &&
            bo_post(bo_handle_make(i, bo_word_generation(w), false), &event, NULL) == 0)
            posted++;
    }
    return posted;
}

/* ---- the state of a post --------------------------------------------------------------------------------- */

/* A post handle consists of the target's handle, and of the record's serial and kind in one number. */
struct bo_record *bo_record_of_post(bough_post post)
{
    int saved = errno;
    struct bo_target *target = bo_target_of(post.record);
    errno = saved;
    unsigned kind = post.serial & 15;
    return target && post.serial >> 4 && kind < BOUGH_KINDS ? bo_record_of(target, (enum bough_kind)kind) : NULL;
}

static enum bough_post_status status_of(const struct bo_record *r, bough_post post)
{
    uint64_t state = bo_load_seq(&r->state);
    uint32_t serial = post.serial >> 4, last = bo_load_seq(&r->last);
    if (state >> 32 == bo_handle_generation(post.record) && bo_record_serial(state) == serial)
        switch (bo_record_status(state)) {
        case BO_EMPTY:
            return BOUGH_POST_GONE;
        case BO_WRITING:
        case BO_RECORD_PENDING:
            return BOUGH_POST_PENDING;
        case BO_DELIVERED:
            return BOUGH_POST_DELIVERED;
        }
    return last >> 4 == serial ? (enum bough_post_status)(last & 15) : BOUGH_POST_GONE;
}

enum bough_post_status bough_post_status(bough_post post)
{
    const struct bo_record *r = bo_record_of_post(post);
    return r ? status_of(r, post) : BOUGH_POST_GONE;
}

static bool over(const struct bo_record *r, bough_post post)
{
    return status_of(r, post) > BOUGH_POST_DELIVERED;
}

/* The futex word is the half of the record's state that has its serial: it changes when the serial ends. */
static long wait_for_post_end(struct bo_record *r, bough_post post, int64_t deadline)
{
    const _Atomic uint32_t *word = bo_low_half(&r->state);
    long result = 0;
    bo_add_seq(&r->waiters, 1);
    while ((result == 0 || result == -EAGAIN || result == -EINTR) && !over(r, post)) {
        uint32_t seen = (uint32_t)bo_load_seq(&r->state);
        result = over(r, post) ? 0 : bo_futex_wait(word, seen, deadline);
    }
    bo_sub_seq(&r->waiters, 1);
    return over(r, post) ? 0 : result;
}

/* The check for an interrupt comes first, so that the result does not depend on whether the post has ended already
 * (rule 2). */
int bough_post_wait(bough_post post, bough_time deadline)
{
    struct bo_record *r = bo_record_of_post(post);
    bool ended = !r || over(r, post);
    if (!ended && bo_self && post.record == bo_thread_handle(bo_self))
        return errno = EDEADLK, -1;
    if (bough_check() != 0)
        return -1;
    return ended ? 0 : (int)bo_result(wait_for_post_end(r, post, deadline ? deadline : BO_FOREVER));
}

/* ---- on the target --------------------------------------------------------------------------------------- */

/* The walk reads only memory of the arena, which stays mapped. Its result is valid only if the thread still lives after
 * the walk. */
int bough_reason_of(const bough_thread *thread, struct bough_record *record)
{
    const struct bo_thread *t = bo_thread_of_handle(thread);
    struct bough_record found;
    if (!t)
        return -1;
    if (!record)
        return errno = EINVAL, -1;
    bool is = bo_pending_describe(t, &found);
    if (!bo_thread_of_handle(thread))
        return -1;
    if (!is)
        return errno = ENOENT, -1;
    *record = found;
    return 0;
}

static void make_due_again(struct bo_target *t, uint32_t bit)
{
    bo_or_seq(&t->due, bit);
    bo_wake_subtree(t, false);
}

/* Clears the bit first, then the record, if it is still of the post that it was of in `state`. A post in between sets
 * the bit again. Such a post finds either the record that is being cleared, and is cleared with it unless it is final,
 * or no record, and writes a new one. That one may have lost its bit here: it gets the bit back, as a record that is
 * kept does. A record that is being written stays: its poster sets the bit afterwards. */
static enum bo_clearing clear_record(struct bo_target *t, struct bo_record *r, uint64_t state)
{
    uint32_t bit = 1u << bo_load_relaxed(&r->kind);
    if (bo_record_is_of(r, state) && (bo_record_flags(r) & BOUGH_FINAL))
        return BO_KEPT_FINAL;
    bo_busy_begin(); /* no freeze here: without its bit a record interrupts no thread */
    bo_and_seq(&t->due, ~bit);
    enum bo_clearing how = bo_record_clear(r, state);
    if (how != BO_CLEARED && bo_record_stands(r))
        make_due_again(t, bit);
    bo_busy_end();
    return how;
}

static int clear_records(struct bo_target *t, uint32_t kinds)
{
    int cleared = 0;
    bool final = false;
    for (uint32_t due = bo_load_seq(&t->due) & kinds; due; due &= due - 1) {
        enum bough_kind kind = (enum bough_kind)__builtin_ctz(due);
        struct bo_record *r = bo_record_of(t, kind);
        enum bo_clearing how = clear_record(t, r, bo_load_seq(&r->state));
        final |= how == BO_KEPT_FINAL;
        cleared += how == BO_CLEARED;
    }
    return final ? (errno = EBUSY, -1) : cleared;
}

/* A thread may clear its records, an owner those of its branch, and main and adopted threads those of the root. */
static bool may_clear(const struct bo_thread *t, const struct bo_target *target)
{
    if (!bo_is_branch(target))
        return target == &t->t;
    uint32_t owner = bo_load_relaxed(&((const struct bo_branch *)target)->owner);
    if (target->index == BO_ROOT)
        return bo_load_relaxed(&t->parent) == BO_ROOT;
    return owner == t->t.index; /* no thread may clear the records of an orphan */
}

bool bo_may_clear(const struct bo_thread *t, const struct bo_record *r)
{
    uint64_t target = bo_load_relaxed(&r->target);
    const struct bo_target *slot = bo_target_of(target);
    return slot && bo_target_is(slot, bo_handle_generation(target)) && may_clear(t, slot);
}

enum bo_clearing bo_clear_post(struct bo_thread *t, struct bo_record *r, uint64_t state)
{
    struct bo_target *slot = bo_target_of(bo_load_relaxed(&r->target));
    enum bo_clearing how = slot ? clear_record(slot, r, state) : BO_ENDED_BEFORE;
    bo_level_recompute(t);
    return how;
}

static int clear_target(bough_target target, uint32_t kinds)
{
    struct bo_thread *t = bo_self_or_adopt();
    if (!t)
        return -1;
    uint64_t handle = target ? handle_of(target) : bo_thread_handle(t);
    struct bo_target *slot = bo_target_of(handle);
    if (!slot)
        return -1;
    if (!bo_target_is(slot, bo_handle_generation(handle)))
        return errno = ESRCH, -1;
    if (!may_clear(t, slot))
        return errno = EPERM, -1;
    int cleared = clear_records(slot, kinds);
    int saved = errno;
    bo_level_recompute(t);
    if (cleared > 0 && !(bo_load_seq(&t->t.word) & BO_PENDING))
        t->call.last_was_cut = 0; /* the interrupt was handled: a later error has another cause (rule 47) */
    errno = saved;
    return cleared;
}

int bough_clear(bough_target target)
{
    return clear_target(target, UINT32_MAX);
}

int bough_clear_kind(bough_target target, enum bough_kind kind)
{
    if ((unsigned)kind >= BOUGH_KINDS)
        return errno = EINVAL, -1;
    return clear_target(target, 1u << kind);
}

/* ---- threads ------------------------------------------------------------------------------------------------ */

bough_thread *bough_thread_of(pid_t tid)
{
    uint32_t high = bo_threads_used();
    for (uint32_t i = 1; i < high && tid > 0; i++) { /* the tid of a child that has not begun yet is 0 */
        const struct bo_thread *t = bo_thread_at(i);
        if (bo_load_relaxed(&t->tid) == tid && (bo_load_seq(&t->t.word) & BO_LIVE))
            return (bough_thread *)(uintptr_t)bo_thread_handle(t);
    }
    return errno = ESRCH, NULL;
}

int bough_alive(const bough_thread *thread)
{
    return bo_thread_of_handle(thread) ? 0 : -1;
}

int bough_get_name(bough_target target, char *buffer, size_t size)
{
    uint64_t handle = handle_of(target);
    struct bo_target *t = buffer && size ? bo_target_of(handle) : NULL;
    if (!t)
        return errno = EINVAL, -1;
    if (!bo_target_is(t, bo_handle_generation(handle)))
        return errno = ESRCH, -1;
    char name[BO_NAME];
    size_t n = strlen(bo_name_of(t, name)), copied = n < size ? n : size - 1;
    memcpy(buffer, name, copied);
    buffer[copied] = '\0';
    return (int)n;
}

int bough_event_fd(void)
{
    static const uint64_t one = 1;
    struct bo_thread *t = bo_self_or_adopt();
    if (!t)
        return -1;
    if (t->event_fd >= 0)
        return t->event_fd;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return -1;
    t->event_fd = fd;
    /* From this step on posters write to the eventfd. If an interrupt was due already, this thread writes. */
    if (bo_word_set(&t->t.word, BO_EVENT, BO_BY_EVENT) & BO_DUE)
        bo_raw3(SYS_write, fd, (long)&one, sizeof one);
    return fd;
}

/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "thread/stranger.h"
#include <bough/interrupt.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include "base/futex.h"
#include "base/hook.h"
#include "base/proc_status.h"
#include "base/raw.h"
#include "state/arena.h"
#include "state/current.h"
#include "state/generation.h"
#include "thread/adopt.h"
#include "thread/retire.h"
#include "wake/post.h"

static _Atomic uint32_t strangers; /* how many slots are UNADOPTED, or are about to be: 0 in most programs */
struct bo_lock bo_strangers_lock;

/* ---- identifying a thread ------------------------------------------------------------------------------------ */

bool bo_stranger_exists(pid_t tid)
{
    return tid > 0 && bo_raw3(SYS_tgkill, bo_load_relaxed(&bo_pid), tid, 0) == 0;
}

/* When the thread was started, in kernel ticks: an id may be reused, but not with the same time. 0: there is no
 * /proc. */
uintptr_t bo_stranger_born(pid_t tid)
{
    enum { FIELDS_BETWEEN = 20 }; /* the state is field 3, the time 22; the name may contain any character */
    char text[512];
    bo_read_task(tid, "stat", text, sizeof text);
    const char *at = strrchr(text, ')');
    for (int i = 0; at && i < FIELDS_BETWEEN; i++)
        at = strchr(at + 1, ' ');
    int saved = errno;
    uintptr_t when = at ? (uintptr_t)strtoull(at, NULL, 10) : 0;
    errno = saved;
    return when;
}

/* ---- one step on the word ------------------------------------------------------------------------------------ */

bool bo_stranger_claim(struct bo_thread *t, uint32_t generation)
{
    uint64_t w = bo_load_seq(&t->t.word);
    do
        if (bo_word_generation(w) != generation || !(w & BO_LIVE) || !bo_is_strange(w))
            return false;
    while (!bo_word_step(&t->t.word, &w, w & ~(uint64_t)BO_UNADOPTED, BO_BY_CLAIM));
    bo_sub_seq(&strangers, 1);
    return true;
}

void bo_stranger_begin(void)
{
    bo_add_seq(&strangers, 1);
}

static void give_slot_back(struct bo_thread *t)
{
    bo_wake_joiners(t);
    bo_store_relaxed(&t->tid, 0);
    t->stack.low = 0;
    bo_thread_free(t);
}

void bo_stranger_release(struct bo_thread *t)
{
    bo_retire(t, BOUGH_POST_ENDED);
    give_slot_back(t);
}

/* The next slot of this thread from *i on, except the slot `except`. NULL: there is no more. */
struct bo_thread *bo_stranger_next_of(pid_t tid, const struct bo_thread *except, uint32_t *i, uint64_t *word)
{
    uint32_t high = bo_threads_used();
    for (; *i < high; (*i)++) {
        struct bo_thread *t = bo_thread_at(*i);
        *word = bo_load_seq(&t->t.word);
        if (t == except || !(*word & BO_LIVE) || bo_load_relaxed(&t->tid) != tid)
            continue;
        (*i)++;
        return t;
    }
    return NULL;
}

/* ---- on the thread itself -------------------------------------------------------------------------------------- */

static struct bo_thread *claim_of(pid_t tid, const struct bo_thread *except)
{
    struct bo_thread *t;
    uintptr_t mine = bo_stranger_born(tid);
    uint64_t w;
    for (uint32_t i = 1; (t = bo_stranger_next_of(tid, except, &i, &w));)
        if (t->stack.low == mine && bo_stranger_claim(t, bo_word_generation(w)))
            return t;
    return NULL;
}

struct bo_thread *bo_stranger_take(void)
{
    if (bo_likely(bo_load_seq(&strangers) == 0))
        return NULL;
    struct bo_thread *t = claim_of((pid_t)bo_raw0(SYS_gettid), NULL);
    if (t)
        t->stack.low = 0;
    return t;
}

static void move_posts(const struct bo_target *from, uint64_t heir)
{
    for (uint32_t due = bo_load_seq(&from->due); due; due &= due - 1) {
        enum bough_kind kind = (enum bough_kind)__builtin_ctz(due);
        const struct bo_record *r = bo_record_of(from, kind);
        struct bough_record posted;
        if (!bo_record_stands(r))
            continue;
        bo_record_describe(r, &posted);
        struct bough_event event = {
            .kind = kind, .reason = posted.reason, .signo = posted.signo, .flags = bo_record_flags(r)};
        bo_post(heir, &event, NULL);
    }
}

/* Posts the slot's records again to the slot that the thread has made itself. No poster is still writing when they are
 * read. */
void bo_stranger_move_to(struct bo_thread *t, uint64_t own)
{
    bo_posts_end(&t->t);
    move_posts(&t->t, own);
    bo_records_close(&t->t, BOUGH_POST_ENDED);
    give_slot_back(t);
}

/* This thread publishes its slot, then searches for a slot that another thread has made for it; the other thread
 * publishes that slot, then searches for this thread's slot. So one of the two finds the other's slot. */
void bo_stranger_merge(const struct bo_thread *own)
{
    if (bo_likely(bo_load_seq(&strangers) == 0))
        return;
    struct bo_thread *t = claim_of(bo_load_relaxed(&own->tid), own);
    if (t)
        bo_stranger_move_to(t, bo_thread_handle(own));
}

/* ---- on another thread ------------------------------------------------------------------------------------------- */

bool bo_stranger_is_gone(struct bo_thread *t, uint64_t word)
{
    pid_t tid = bo_load_relaxed(&t->tid);
    uintptr_t of_slot = t->stack.low;
    if (bo_stranger_exists(tid) && bo_stranger_born(tid) == of_slot)
        return false;
    if (bo_stranger_claim(t, bo_word_generation(word)))
        bo_stranger_release(t);
    return true;
}

void bo_strangers_after_fork(void)
{
    bo_store_seq(&strangers, 0);
    bo_store_relaxed(&bo_strangers_lock.state, 0);
}

/* SPDX-License-Identifier: MIT */
/*
 * Most threads that delay an incident are victims: they wait for a lock, for their children, or at the exit for all
 * others. The most likely cause is a thread that computes, and may hold a lock meanwhile; next, one that is blocked in
 * something other than a lock.
 */
#include "ladder/holders.h"
#include <string.h>
#include <sys/syscall.h>
#include "base/plain.h"
#include "inspect/blocked_at.h"
#include "inspect/safe_write.h"
#include "inspect/task.h"
#include "ladder/target_threads.h"
#include "state/current.h"
#include "upcalls.h"

enum rank {
    COMPUTES,
    STAYS_IN_KERNEL, /* uninterruptibly, or stopped */
    BLOCKS,          /* in foreign code, in another call than futex() */
    IN_A_CALL,       /* of the library, which the interrupt ends */
    WAITS_FOR_LOCK,  /* or for another thread: futex(), a join */
    WAITS_FOR_CHILDREN,
    STANDS_STILL, /* frozen, not begun, or not to be seen */
    ASKS,         /* the calling thread */
    WAITS_AT_EXIT
};

enum { MOST_LOOKS = 256, TAIL = 56 };

static bool waits_for_lock(const struct bo_thread *t, const struct bo_task *task)
{
#ifdef SYS_futex
    return bo_load_relaxed(&t->join.thread) || task->nr == SYS_futex;
#else
    return bo_load_relaxed(&t->join.thread);
#endif
}

static enum rank by_task(const struct bo_thread *t, uint64_t w, const struct bo_task *task)
{
    if (task->state == 'D' || task->state == 'T' || task->state == 't')
        return STAYS_IN_KERNEL;
    if (task->state == '?' || task->state == 'Z' || task->state == 'X')
        return STANDS_STILL;
    if (!task->blocked)
        return w & BO_IN ? IN_A_CALL : COMPUTES;
    if (bo_load_relaxed(&t->join.branch) != BO_NONE)
        return WAITS_FOR_CHILDREN;
    if (w & BO_IN)
        return IN_A_CALL;
    return waits_for_lock(t, task) ? WAITS_FOR_LOCK : BLOCKS;
}

/* Each look reads files, so only a limited number of threads is examined. */
static enum rank rank_of(struct bo_holders *h, const struct bo_thread *t, uint64_t w)
{
    struct bo_task task;
    if (bo_load_relaxed(&t->join.branch) == BO_ROOT)
        return WAITS_AT_EXIT;
    if (t == bo_self)
        return ASKS;
    if (bo_load_relaxed(&t->tid) == 0 || bo_stands_still(t))
        return STANDS_STILL;
    if (h->looks++ >= MOST_LOOKS)
        return WAITS_FOR_LOCK;
    bo_task_look(&task, bo_load_relaxed(&t->tid));
    return by_task(t, w, &task);
}

void bo_holders_add(struct bo_holders *h, const struct bo_thread *t, uint64_t w)
{
    struct bo_holder one = {t->t.index, bo_word_generation(w), (int)rank_of(h, t, w)};
    unsigned at = h->count < BO_HOLDERS_NAMED ? h->count : BO_HOLDERS_NAMED;
    h->count++;
    while (at && h->first[at - 1].rank > one.rank) {
        if (at < BO_HOLDERS_NAMED)
            h->first[at] = h->first[at - 1];
        at--;
    }
    if (at < BO_HOLDERS_NAMED)
        h->first[at] = one;
}

static void put_holder(struct bo_out *o, const struct bo_thread *t)
{
    char name[BO_NAME];
    bo_put(o, "%d (", (int)bo_load_relaxed(&t->tid));
    if (*bo_name_of(&t->t, name))
        bo_put_name(o, name);
    else
        bo_put(o, "%s", bo_is_main_thread(t) ? "main" : "unnamed");
    bo_put(o, ")");
}

/* Names as many of the other threads as fit: a name that would be cut is left out. */
static void put_others(const struct bo_holders *h, char *text, size_t size)
{
    enum { ENDING = 6 }; /* ", ..." */
    struct bo_out o;
    bo_out_memory(&o, text, size);
    bo_put(&o, "; and %u more", h->count - 1);
    for (unsigned i = 1; i < h->count; i++) {
        char one[BO_ESCAPE * BO_NAME + 24];
        struct bo_out name;
        bo_out_memory(&name, one, sizeof one);
        if (i < BO_HOLDERS_NAMED)
            put_holder(&name, bo_thread_at(h->first[i].index));
        if (!name.used || o.used + name.used + ENDING + 2 >= size) {
            bo_put(&o, "%s", i == 1 ? "" : ", ...");
            return;
        }
        bo_put(&o, "%s%s", i == 1 ? ": " : ", ", one);
    }
}

void bo_holders_put(const struct bo_holders *h, char *text, size_t size)
{
    struct bo_out o;
    *text = '\0';
    if (!h->count)
        return;
    const struct bo_thread *t = bo_thread_at(h->first[0].index);
    size_t room = h->count > 1 && size > (size_t)2 * TAIL ? size - TAIL : size;
    bo_out_memory(&o, text, room);
    bo_put(&o, "thread ");
    put_holder(&o, t);
    bo_put(&o, " is ");
    bo_where(t, h->first[0].generation, text + o.used, room - o.used);
    if (room < size)
        put_others(h, text + strlen(text), size - strlen(text));
}

void bo_find_place(const struct bo_target *target, const struct bo_record *r, char *text, size_t size)
{
    struct bo_holders holders = {0};
    struct bo_scan scan;
    const struct bo_thread *t;
    uint64_t w;
    bo_scan_concerned(&scan, target, r);
    while ((t = bo_scan_next(&scan, &w)))
        bo_holders_add(&holders, t, w);
    bo_holders_put(&holders, text, size);
}

unsigned bo_ladder_name(bool (*is_one)(const struct bo_thread *t, uint64_t word), char *text, size_t size)
{
    struct bo_holders h = {0};
    uint32_t high = bo_load_seq(&bo_arena.head->thread_high);
    for (uint32_t i = 1; i < high; i++) {
        const struct bo_thread *t = bo_thread_at(i);
        uint64_t w = bo_load_seq(&t->t.word);
        if ((w & BO_LIVE) && is_one(t, w))
            bo_holders_add(&h, t, w);
    }
    bo_holders_put(&h, text, size);
    return h.count;
}

/* SPDX-License-Identifier: MIT */
/*
 * Most threads that delay an incident are victims: they wait for a lock, for their children, or at the exit for all
 * others. The most likely cause is a thread that computes, and may hold a lock meanwhile; next, one that is blocked in
 * something other than a lock.
 */
#include "ladder/holders.h"
#include <string.h>
#include <sys/syscall.h>
#include "base/hook.h"
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

static bool note_holder(struct bo_holder *one, struct bo_holders *h, const struct bo_thread *t, uint64_t w)
{
    one->index = t->t.index;
    one->generation = bo_word_generation(w);
    one->rank = (int)rank_of(h, t, w);
    one->tid = bo_load_relaxed(&t->tid);
    bo_name_of(&t->t, one->name);
    return bo_target_is(&t->t, one->generation);
}

void bo_holders_add(struct bo_holders *h, const struct bo_thread *t, uint64_t w)
{
    struct bo_holder one;
    unsigned at = h->count < BO_HOLDERS_NAMED ? h->count : BO_HOLDERS_NAMED;
    if (!note_holder(&one, h, t, w))
        return;
    h->count++;
    while (at && h->first[at - 1].rank > one.rank) {
        if (at < BO_HOLDERS_NAMED)
            h->first[at] = h->first[at - 1];
        at--;
    }
    if (at < BO_HOLDERS_NAMED)
        h->first[at] = one;
}

static void put_holder(struct bo_out *o, const struct bo_holder *one)
{
    bo_put(o, "%d (", (int)one->tid);
    if (one->name[0])
        bo_put_name(o, one->name);
    else
        bo_put(o, "%s", one->tid == bo_load_relaxed(&bo_pid) ? "main" : "unnamed");
    bo_put(o, ")");
}

/* Names as many of the threads after this one as fit: a name that would be truncated is left out. */
static void put_others(const struct bo_holders *h, unsigned after, char *text, size_t size)
{
    enum { ENDING = 6 }; /* ", ..." */
    struct bo_out o;
    bo_out_memory(&o, text, size);
    bo_put(&o, "; and %u more", h->count - 1 - after);
    for (unsigned i = after + 1; i < h->count; i++) {
        char one[BO_ESCAPE * BO_NAME + 24];
        struct bo_out name;
        bo_out_memory(&name, one, sizeof one);
        if (i < BO_HOLDERS_NAMED)
            put_holder(&name, &h->first[i]);
        if (!name.used || o.used + name.used + ENDING + 2 >= size) {
            bo_put(&o, "%s", i == after + 1 ? "" : ", ...");
            return;
        }
        bo_put(&o, "%s%s", i == after + 1 ? ": " : ", ", one);
    }
}

/* False: the thread has ended. */
static bool put_first(const struct bo_holder *one, char *text, size_t size)
{
    struct bo_out o;
    bo_out_memory(&o, text, size);
    bo_put(&o, "thread ");
    put_holder(&o, one);
    bo_put(&o, " is ");
    return bo_where(bo_thread_at(one->index), one->generation, text + o.used, size - o.used) > 0;
}

unsigned bo_holders_put(const struct bo_holders *h, char *text, size_t size)
{
    BO_HOOK(holders_found);
    for (unsigned i = 0; i < h->count && i < BO_HOLDERS_NAMED; i++) {
        bool more = i + 1 < h->count && size > (size_t)2 * TAIL;
        if (!put_first(&h->first[i], text, more ? size - TAIL : size))
            continue;
        if (more)
            put_others(h, i, text + strlen(text), size - strlen(text));
        return h->count - i;
    }
    *text = '\0';
    return 0;
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
    uint32_t high = bo_threads_used();
    for (uint32_t i = 1; i < high; i++) {
        const struct bo_thread *t = bo_thread_at(i);
        uint64_t w = bo_load_seq(&t->t.word);
        if ((w & BO_LIVE) && is_one(t, w))
            bo_holders_add(&h, t, w);
    }
    return bo_holders_put(&h, text, size);
}

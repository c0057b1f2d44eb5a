/* SPDX-License-Identifier: MIT */
#include "core/arena.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

struct bo_arena bo_arena;

/* Address space only: pages are taken as slots are used for the first time. */
static void *reserve(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void make_root(void)
{
    struct bo_branch *root = bo_branch_at(BO_ROOT);
    root->t.index = BO_ROOT;
    strcpy(root->t.name, "root");
    bo_store_relaxed(&root->deadline, BO_FOREVER);
    bo_store_release(&root->t.word, bo_word_make(1, BO_LIVE));
}

int bo_arena_init(void)
{
    size_t threads = BO_THREADS * sizeof(struct bo_thread);
    size_t branches = BO_BRANCHES * sizeof(struct bo_branch);
    size_t records = (size_t)(BO_THREADS + BO_BRANCHES) * BO_KIND_COUNT * sizeof(struct bo_record);
    char *p = reserve(threads + branches + records);
    if (!p)
        return errno = ENOMEM, -1;
    struct bo_arena *a = &bo_arena;
    memcpy(a->magic, "bough arena", 12);
    a->version = 1;
    a->thread_size = sizeof(struct bo_thread);
    a->branch_size = sizeof(struct bo_branch);
    a->record_size = sizeof(struct bo_record);
    a->threads = BO_THREADS;
    a->branches = BO_BRANCHES;
    a->thread = (void *)p;
    a->branch = (void *)(p + threads);
    a->record = (void *)(p + threads + branches);
    bo_store_relaxed(&a->thread_high, 1);
    bo_store_relaxed(&a->branch_high, BO_ROOT + 1);
    make_root();
    return 0;
}

/* ---- free slots: a stack of indices; its head counts changes, so that a pop that was overtaken by a pop and a
 *      push of the same slot fails ------------------------------------------------------------------- */

static struct bo_target *slot(bool branch, uint32_t index)
{
    return branch ? &bo_branch_at(index)->t : &bo_thread_at(index)->t;
}

static _Atomic uint64_t *free_head(bool branch)
{
    return branch ? &bo_arena.branch_free : &bo_arena.thread_free;
}

static uint32_t pop_free(bool branch)
{
    uint64_t head = bo_load_acquire(free_head(branch)), next;
    do {
        if ((uint32_t)head == BO_NONE)
            return BO_NONE;
        next = ((head >> 32) + 1) << 32 | *(volatile uint32_t *)&slot(branch, (uint32_t)head)->free_next;
    } while (!bo_cas_seq(free_head(branch), &head, next));
    return (uint32_t)head;
}

static void push_free(bool branch, uint32_t index)
{
    uint64_t head = bo_load_acquire(free_head(branch));
    do
        *(volatile uint32_t *)&slot(branch, index)->free_next = (uint32_t)head;
    while (!bo_cas_seq(free_head(branch), &head, ((head >> 32) + 1) << 32 | index));
}

static uint32_t grow(_Atomic uint32_t *high, uint32_t limit)
{
    uint32_t index = bo_load_relaxed(high);
    do
        if (index >= limit)
            return BO_NONE;
    while (!bo_cas_seq(high, &index, index + 1));
    return index;
}

static struct bo_target *take(bool branch)
{
    uint32_t index = pop_free(branch);
    if (index == BO_NONE)
        index = branch ? grow(&bo_arena.branch_high, BO_BRANCHES) : grow(&bo_arena.thread_high, BO_THREADS);
    if (index == BO_NONE)
        return errno = EAGAIN, NULL;
    struct bo_target *t = slot(branch, index);
    if (t->index != index)
        t->index = index; /* once and for all: the ticker may still look at the slot for its last user */
    if (bo_word_generation(bo_load_relaxed(&t->word)) == 0)
        bo_store_relaxed(&t->word, bo_word_make(1, 0));
    t->name[0] = '\0';
    bo_store_relaxed(&t->ladder.set, 0);
    return t;
}

struct bo_thread *bo_thread_new(void)
{
    struct bo_thread *t = (struct bo_thread *)take(false);
    if (t)
        t->event_fd = -1; /* not when it is bound: a child that is withdrawn ends before that, and 0 is a descriptor */
    return t;
}

struct bo_branch *bo_branch_new(void)
{
    return (struct bo_branch *)take(true);
}

void bo_thread_free(struct bo_thread *t)
{
    push_free(false, t->t.index);
}

void bo_branch_free(struct bo_branch *b)
{
    push_free(true, b->t.index);
}

__attribute__((no_sanitize("thread"))) const char *bo_name_of(const struct bo_target *t, char name[BO_NAME])
{
    const volatile char *from = t->name;
    for (size_t i = 0; i < BO_NAME; i++)
        name[i] = from[i];
    name[BO_NAME - 1] = '\0';
    return name;
}

/* The threads of the parent are not here, and no poster was caught in the middle but in memory only: every
 * pin and wake under way belonged to a thread that does not exist. */
void bo_arena_after_fork(struct bo_thread *self)
{
    uint32_t high = bo_load_relaxed(&bo_arena.thread_high);
    for (uint32_t i = 1; i < high; i++) {
        struct bo_thread *t = bo_thread_at(i);
        bo_store_relaxed(&t->t.pins, 0);
        bo_store_relaxed(&t->t.work_here, 0);
        uint64_t w = bo_load_relaxed(&t->t.word);
        if (t == self || !(w & BO_LIVE))
            continue;
        bo_store_relaxed(&t->t.word, bo_word_make(bo_word_generation(w) + 1, 0));
        bo_store_relaxed(&t->t.due, 0);
    }
    high = bo_load_relaxed(&bo_arena.branch_high);
    for (uint32_t i = BO_ROOT; i < high; i++) {
        struct bo_branch *b = bo_branch_at(i);
        bo_store_relaxed(&b->t.pins, 0);
        bo_store_relaxed(&b->t.work_here, 0);
        uint32_t owner = bo_load_relaxed(&b->owner);
        if (i != BO_ROOT && !(self && owner == self->t.index))
            bo_store_relaxed(&b->t.word, bo_word_make(bo_word_generation(bo_load_relaxed(&b->t.word)) + 1, 0));
    }
}

/* ---- handles ------------------------------------------------------------------------------------ */

uint64_t bo_thread_handle(const struct bo_thread *t)
{
    return bo_handle_make(t->t.index, bo_word_generation(bo_load_relaxed(&t->t.word)), false);
}

uint64_t bo_branch_handle(const struct bo_branch *b)
{
    return bo_handle_make(b->t.index, bo_word_generation(bo_load_relaxed(&b->t.word)), true);
}

struct bo_target *bo_target_of(uint64_t handle)
{
    uint32_t index = bo_handle_index(handle);
    bool branch = bo_handle_is_branch(handle);
    if ((handle & BO_HANDLE_TAG_MASK) != BO_HANDLE_TAG || index == BO_NONE || !bo_arena.thread ||
        index >= bo_load_acquire(branch ? &bo_arena.branch_high : &bo_arena.thread_high))
        return errno = EINVAL, NULL;
    return slot(branch, index);
}

static struct bo_target *alive(const void *handle, bool branch)
{
    uint64_t h = (uint64_t)(uintptr_t)handle;
    struct bo_target *t = bo_target_of(h);
    if (!t)
        return NULL;
    if (bo_handle_is_branch(h) != branch)
        return errno = EINVAL, NULL;
    return bo_target_is(t, bo_handle_generation(h)) ? t : (errno = ESRCH, NULL);
}

struct bo_thread *bo_thread_of_handle(const void *handle)
{
    return (struct bo_thread *)alive(handle, false);
}

struct bo_branch *bo_branch_of_handle(const void *handle)
{
    return (struct bo_branch *)alive(handle, true);
}

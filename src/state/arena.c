/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "state/arena.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/futex.h"
#include "base/plain.h"
#include "state/arena_map.h"
#include "state/mailbox_layout.h"

struct bo_arena bo_arena;

/* The highest indices that this process or, before the fork, its parent has used: a handle with such an index may be
 * stale, but is not invalid. */
static uint32_t threads_known, branches_known;

/* ---- the mapping: header, threads, branches, records -------------------------------------------------- */

enum { HEADER_ROOM = 4096 };
#define THREAD_AT ((size_t)HEADER_ROOM)
#define BRANCH_AT (THREAD_AT + BO_THREADS * sizeof(struct bo_thread))
#define RECORD_AT (BRANCH_AT + BO_BRANCHES * sizeof(struct bo_branch))
#define SIZE (RECORD_AT + (size_t)(BO_THREADS + BO_BRANCHES) * BO_KIND_COUNT * sizeof(struct bo_record))

_Static_assert(sizeof(struct bo_header) <= HEADER_ROOM, "the header fits in its page");

static void make_header(struct bo_header *h, uint32_t first_generation)
{
    h->version = BO_ARENA_VERSION;
    h->layout = bo_arena_layout();
    h->header_size = sizeof *h;
    h->thread_size = sizeof(struct bo_thread);
    h->branch_size = sizeof(struct bo_branch);
    h->record_size = sizeof(struct bo_record);
    h->threads = BO_THREADS;
    h->branches = BO_BRANCHES;
    h->kinds = BO_KIND_COUNT;
    h->first_generation = first_generation;
    h->thread_at = THREAD_AT;
    h->branch_at = BRANCH_AT;
    h->record_at = RECORD_AT;
    h->size = SIZE;
    h->started = bo_clock();
    h->pid = getpid();
    strcpy(h->library, BO_VERSION);
    bo_store_relaxed(&h->thread_next, 1);
    bo_store_relaxed(&h->branch_next, BO_ROOT + 1);
    bo_store_relaxed(&h->marks, 1);
    bo_store_relaxed(&h->thread_high, 1);
    bo_store_relaxed(&h->branch_high, BO_ROOT + 1);
}

static void make_root(void)
{
    struct bo_branch *root = bo_branch_at(BO_ROOT);
    root->t.index = BO_ROOT;
    bo_store_relaxed(&root->jump, BO_ROOT);
    strcpy(root->t.name, "root");
    bo_store_relaxed(&root->deadline, BO_FOREVER);
    bo_word_put(&root->t.word, bo_word_make(1, BO_LIVE), BO_BY_ROOT);
}

/* By default the kernel writes all of a shared mapping into a core file, here 100 MB of zeros. Only this many slots of
 * each table are included. */
enum { IN_CORES = 256 };

static void not_in_cores(const void *from, const void *end)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
    uintptr_t begin = ((uintptr_t)from + page) & ~page;
    madvise((void *)begin, ((uintptr_t)end & ~page) - begin, MADV_DONTDUMP);
}

static void trim_cores(const struct bo_arena *a)
{
    const struct bo_record *of_branches = a->record + (size_t)BO_THREADS * BO_KIND_COUNT;
    not_in_cores(a->thread + IN_CORES, a->branch);
    not_in_cores(a->branch + IN_CORES, a->record);
    not_in_cores(a->record + (size_t)IN_CORES * BO_KIND_COUNT, of_branches);
    not_in_cores(of_branches + (size_t)IN_CORES * BO_KIND_COUNT, (char *)a->head + SIZE);
}

/* The magic is written last: if a reader finds it, the rest is complete. */
static void make_tables(char *p, uint32_t first_generation)
{
    struct bo_arena *a = &bo_arena;
    a->thread = (void *)(p + THREAD_AT);
    a->branch = (void *)(p + BRANCH_AT);
    a->record = (void *)(p + RECORD_AT);
    make_header((void *)p, first_generation);
    make_root();
    bo_signal_fence(); /* if a thread finds the header, the rest is complete */
    a->head = (void *)p;
    trim_cores(a);
    atomic_thread_fence(memory_order_release);
    memcpy(a->head->magic, BO_ARENA_MAGIC, sizeof BO_ARENA_MAGIC);
}

static void make_mailbox(void)
{
    struct bo_mailbox *m = bo_map_mail(sizeof *m);
    bo_arena.mail = m;
    if (!m)
        return;
    m->size = sizeof *m;
    memcpy(m->magic, BO_MAIL_MAGIC, sizeof BO_MAIL_MAGIC);
}

/* The first generation of a child's slots: not 1, which the root's handle has in every process; very probably not a
 * generation that the parent has used; and far from the maximum, after which a slot's generations start again. */
static uint32_t another_generation(void)
{
    uint64_t mixed = ((uint64_t)bo_clock() ^ (uint64_t)getpid() << 32) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(mixed >> 34) | 1u << 24;
}

int bo_arena_init(void)
{
    void *p = bo_map_new(NULL, SIZE);
    if (!p)
        return errno = ENOMEM, -1;
    make_tables(p, threads_known ? another_generation() : 1);
    make_mailbox();
    return 0;
}

/* ---- free slots: a stack of indices, whose head counts changes, against ABA ------------------------- */

static struct bo_target *slot(bool branch, uint32_t index)
{
    return branch ? &bo_branch_at(index)->t : &bo_thread_at(index)->t;
}

static _Atomic uint64_t *free_head(bool branch)
{
    return branch ? &bo_arena.head->branch_free : &bo_arena.head->thread_free;
}

static uint32_t pop_free(bool branch)
{
    uint64_t head = bo_load_acquire(free_head(branch)), next;
    do {
        if ((uint32_t)head == BO_NONE)
            return BO_NONE;
        next = ((head >> 32) + 1) << 32 | bo_load_relaxed(&slot(branch, (uint32_t)head)->free_next);
    } while (!bo_cas_seq(free_head(branch), &head, next));
    return (uint32_t)head;
}

static void push_free(bool branch, uint32_t index)
{
    uint64_t head = bo_load_acquire(free_head(branch));
    do
        bo_store_relaxed(&slot(branch, index)->free_next, (uint32_t)head);
    while (!bo_cas_seq(free_head(branch), &head, ((head >> 32) + 1) << 32 | index));
}

static void raise_to(_Atomic uint32_t *high, uint32_t above)
{
    uint32_t now = bo_load_relaxed(high);
    while (now < above && !bo_cas_seq(high, &now, above))
        ;
}

static bool never_used(bool branch, uint32_t index)
{
    return bo_load_relaxed(&slot(branch, index)->word) == 0;
}

static uint32_t take_next_slot(bool branch)
{
    _Atomic uint32_t *counter = branch ? &bo_arena.head->branch_next : &bo_arena.head->thread_next;
    uint32_t index = bo_load_relaxed(counter), limit = branch ? BO_BRANCHES : BO_THREADS;
    do
        if (index >= limit)
            return BO_NONE;
    while (!bo_cas_seq(counter, &index, index + 1));
    return index;
}

/* Takes a slot that was never used. In a forked child it skips slots that the child has kept. */
static uint32_t take_unused_slot(bool branch)
{
    uint32_t index;
    do
        index = take_next_slot(branch);
    while (index != BO_NONE && !never_used(branch, index));
    if (index != BO_NONE)
        raise_to(branch ? &bo_arena.head->branch_high : &bo_arena.head->thread_high, index + 1);
    return index;
}

static struct bo_target *take_slot(bool branch)
{
    uint32_t index = pop_free(branch);
    if (index == BO_NONE)
        index = take_unused_slot(branch);
    if (index == BO_NONE)
        return errno = EAGAIN, NULL;
    struct bo_target *t = slot(branch, index);
    if (t->index != index)
        t->index = index; /* never changed later: the ticker may still examine the slot for its previous user */
    if (bo_word_generation(bo_load_relaxed(&t->word)) == 0)
        bo_word_put(&t->word, bo_word_make(bo_arena.head->first_generation, 0), BO_BY_SLOT);
    t->name[0] = '\0';
    bo_store_relaxed(&t->ladder.set, 0);
    return t;
}

struct bo_thread *bo_thread_new(void)
{
    struct bo_thread *t = (struct bo_thread *)take_slot(false);
    if (!t)
        return NULL;
    t->event_fd = -1; /* set here because a withdrawn child never reaches bo_bind(); 0 is a valid descriptor */
    bo_futex_room(t->t.index);
    return t;
}

struct bo_branch *bo_branch_new(void)
{
    return (struct bo_branch *)take_slot(true);
}

void bo_thread_free(struct bo_thread *t)
{
    push_free(false, t->t.index);
}

void bo_branch_free(struct bo_branch *b)
{
    push_free(true, b->t.index);
}

void bo_set_name(struct bo_target *t, const char *name)
{
    size_t n = name ? bo_cut(name, BO_NAME - 1) : 0;
    if (n)
        memcpy(t->name, name, n);
    t->name[n] = '\0';
}

__attribute__((no_sanitize("thread"))) const char *bo_name_of(const struct bo_target *t, char name[BO_NAME])
{
    const volatile char *from = t->name;
    for (size_t i = 0; i < BO_NAME; i++)
        name[i] = from[i];
    name[BO_NAME - 1] = '\0';
    return name;
}

/* ---- a fork ------------------------------------------------------------------------------------------ */

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* Called when slots are used. The numbers are kept outside the arena, because a child can't read its parent's arena. */
static void note_used(uint32_t threads, uint32_t branches)
{
    threads_known = larger(threads_known, threads);
    branches_known = larger(branches_known, branches);
}

void bo_arena_lend(bool begin)
{
    (begin ? bo_map_lend : bo_map_take_back)(bo_arena.head, SIZE);
}

void bo_arena_drop(uint32_t threads, uint32_t branches)
{
    note_used(threads, branches);
    bo_futex_after_fork();
    bo_map_lent();
    if (bo_arena.head)
        munmap(bo_arena.head, SIZE);
    bo_map_forget();
    bo_arena = (struct bo_arena){0};
}

int bo_arena_renew(uint32_t threads, uint32_t branches)
{
    note_used(threads, branches);
    bo_futex_after_fork();
    bo_map_lent();
    void *p = bo_map_new(bo_arena.head, SIZE);
    if (!p)
        return bo_arena_drop(threads, branches), -1;
    make_tables(p, another_generation());
    make_mailbox();
    return 0;
}

void bo_arena_occupy(const struct bo_target *t)
{
    struct bo_header *h = bo_arena.head;
    raise_to(bo_is_branch(t) ? &h->branch_high : &h->thread_high, t->index + 1);
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

static bool is_known_slot(bool branch, uint32_t index)
{
    return index < (branch ? bo_branches_used() : bo_threads_used()) ||
           index < (branch ? branches_known : threads_known);
}

struct bo_target *bo_target_of(uint64_t handle)
{
    uint32_t index = bo_handle_index(handle);
    bool branch = bo_handle_is_branch(handle);
    if ((handle & BO_HANDLE_TAG_MASK) != BO_HANDLE_TAG || index == BO_NONE || !is_known_slot(branch, index))
        return errno = EINVAL, NULL;
    if (!bo_arena.head)
        return errno = ESRCH, NULL; /* the slot's thread or branch stayed in the parent */
    return slot(branch, index);
}

static struct bo_target *target_alive(const void *handle, bool branch)
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
    return (struct bo_thread *)target_alive(handle, false);
}

struct bo_branch *bo_branch_of_handle(const void *handle)
{
    return (struct bo_branch *)target_alive(handle, true);
}

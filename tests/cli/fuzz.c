/* SPDX-License-Identifier: MIT */
/* A damaged or hostile arena makes the reader neither crash nor hang. */
#include <bough.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "harness.h"
#include "json.h"
#include "view.h"

enum { SECONDS = 8, SLOTS = 12 };

static struct t_gate through;

static int blocks(void *unused)
{
    (void)unused;
    BOUGH_CRITICAL(BOUGH_SEC(100))
        BOUGH_BRANCH(inner, .timeout = BOUGH_SEC(100))
            t_gate_wait(&through);
    return 0;
}

/* ---- a copy ------------------------------------------------------------------------------------------------------ */

/* The parts in use: the beginnings of the header and of the four tables. */
struct extent {
    uint64_t at, size;
};

static void find_extents(const struct bo_header *h, struct extent e[5])
{
    uint64_t records = SLOTS * BO_KIND_COUNT * sizeof(struct bo_record);
    uint64_t of_branches = h->record_at + (uint64_t)BO_THREADS * BO_KIND_COUNT * sizeof(struct bo_record);
    e[0] = (struct extent){0, sizeof *h};
    e[1] = (struct extent){h->thread_at, SLOTS * sizeof(struct bo_thread)};
    e[2] = (struct extent){h->branch_at, SLOTS * sizeof(struct bo_branch)};
    e[3] = (struct extent){h->record_at, records};
    e[4] = (struct extent){of_branches, records};
}

static void copy(int from, int to, const struct extent *e)
{
    char *bytes = malloc(e->size);
    CHECK_EQ(pread(from, bytes, e->size, (off_t)e->at), (ssize_t)e->size);
    CHECK_EQ(pwrite(to, bytes, e->size, (off_t)e->at), (ssize_t)e->size);
    free(bytes);
}

static void restore(int from, int to, uint64_t size, const struct extent e[5])
{
    CHECK_EQ(ftruncate(to, (off_t)size), 0);
    for (int i = 0; i < 5; i++)
        copy(from, to, &e[i]);
}

/* ---- damage ------------------------------------------------------------------------------------------------------ */

static uint64_t state = 88172645463325252u;

static uint64_t dice(uint64_t sides)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % sides;
}

/* Flipped bits; small numbers, which are valid indices; and extremes. */
static void damage_word(int fd, uint64_t at)
{
    static const uint32_t odd[] = {0, 1, 2, 3, 0x7fffffff, 0x80000000, 0xffffffff, BO_THREADS, BO_THREADS - 1};
    uint32_t word = odd[dice(sizeof odd / sizeof *odd)];
    unsigned char byte = (unsigned char)dice(256);
    if (dice(2))
        CHECK_EQ(pwrite(fd, &word, sizeof word, (off_t)(at & ~3ull)), 4);
    else
        CHECK_EQ(pwrite(fd, &byte, 1, (off_t)at), 1);
}

static void damage(int fd, uint64_t size, const struct extent e[5])
{
    for (uint64_t n = 1 + dice(40); n; n--) {
        const struct extent *in = &e[dice(20) ? 1 + dice(4) : 0];
        damage_word(fd, in->at + dice(in->size));
    }
    if (dice(20) == 0)
        CHECK_EQ(ftruncate(fd, (off_t)dice(size)), 0);
}

static bool show(const char *path, FILE *out)
{
    static struct json json;
    struct arena a;
    json = (struct json){.out = out};
    if (attach_file(&a, path) != ATTACHED)
        return false;
    struct view *v = view_new(&a);
    CHECK(v);
    tree_as_text(out, v, NULL);
    tree_as_json(&json, NULL, v, NULL);
    v->now = bo_clock(); /* as in a live process */
    tree_as_text(out, v, NULL);
    view_free(v);
    detach(&a);
    return true;
}

/* Root, branch and four inner ones. */
static bool all_are_there(const struct arena *a)
{
    struct view *v = view_new(a);
    CHECK(v);
    bool there = v->branches == 6;
    view_free(v);
    return there;
}

TEST_LIMIT(damaged_arenas_are_shown_or_refused, 60)
{
    struct arena a;
    struct extent e[5];
    char path[64];
    unsigned long shown = 0, tried = 0;
    FILE *out = fopen("/dev/null", "we");
    BOUGH_BRANCH(b) {
        for (int i = 0; i < 4; i++)
            bough_add(b, blocks, bough_arg(NULL));
        CHECK_EQ(attach_process(&a, getpid()), ATTACHED);
        while (!all_are_there(&a))
            nanosleep(&(struct timespec){0, 1000000}, NULL);
        bough_interrupt(bough_self(), "reason");
        find_extents(&a.head, e);
        int pristine = memfd_create("pristine", MFD_CLOEXEC), fd = memfd_create("damaged", MFD_CLOEXEC);
        restore(a.fd, pristine, a.head.size, e);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        for (int64_t end = t_now() + SECONDS * 1000000000LL; t_now() < end; tried++) {
            restore(pristine, fd, a.head.size, e);
            damage(fd, a.head.size, e);
            shown += show(path, out);
        }
        close(pristine);
        close(fd);
        detach(&a);
        bough_clear(NULL);
        t_gate_open(&through);
    }
    fclose(out);
    t_note("%lu damaged arenas, %lu of them shown", tried, shown);
    CHECK(shown > 10);
}

/* ---- how long it takes ------------------------------------------------------------------------------------------- */

static void *table_of(int fd, uint64_t at, size_t size)
{
    void *table = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)at);
    CHECK(table != MAP_FAILED);
    return table;
}

/* All slots are live. Each is the child of the previous one, as far as the reader can see; or all are children of the
 * last, which is part of a circle. */
static void link_all(int fd, const struct bo_header *h, bool in_a_fan)
{
    const uint32_t last = BO_BRANCHES - 1, no_thread = BO_THREADS;
    const size_t threads = BO_THREADS * sizeof(struct bo_thread), branches = BO_BRANCHES * sizeof(struct bo_branch);
    struct bo_thread *thread = table_of(fd, h->thread_at & ~4095ull, threads + 4096);
    struct bo_branch *branch = table_of(fd, h->branch_at & ~4095ull, branches + 4096);
    struct bo_thread *t = (struct bo_thread *)((char *)thread + h->thread_at % 4096);
    struct bo_branch *b = (struct bo_branch *)((char *)branch + h->branch_at % 4096);
    for (uint32_t i = 2; i <= last; i++) {
        t[i].t.word = b[i].t.word = BO_LIVE;
        t[i].parent = b[i].outer = !in_a_fan ? i - 1 : i < last ? last : last - 1;
        b[i].owner = no_thread;
    }
    munmap(thread, threads + 4096);
    munmap(branch, branches + 4096);
    CHECK_EQ(pwrite(fd, &(uint32_t){BO_THREADS}, 4, offsetof(struct bo_header, thread_high)), 4);
    CHECK_EQ(pwrite(fd, &(uint32_t){BO_BRANCHES}, 4, offsetof(struct bo_header, branch_high)), 4);
}

/* The time to link the slots, in ns of processor time. */
static int64_t time_to_link(int fd, const struct bo_header *h, bool in_a_fan)
{
    struct timespec begun, ended;
    struct arena a;
    char path[64];
    link_all(fd, h, in_a_fan);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CHECK_EQ(attach_file(&a, path), ATTACHED);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begun);
    struct view *v = view_new(&a);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ended);
    CHECK(v && v->threads > BO_THREADS - 9 && v->branches > BO_BRANCHES - 9);
    view_free(v);
    detach(&a);
    return (ended.tv_sec - begun.tv_sec) * 1000000000LL + ended.tv_nsec - begun.tv_nsec;
}

/* Fixed bug: the reader searched for each slot without a way to the root among all its siblings, which took minutes. */
TEST_LIMIT(a_full_arena_whose_slots_have_one_parent_takes_no_longer, 120)
{
    struct arena a;
    struct extent e[5];
    bough_self();
    CHECK_EQ(attach_process(&a, getpid()), ATTACHED);
    find_extents(&a.head, e);
    int fd = memfd_create("full", MFD_CLOEXEC);
    restore(a.fd, fd, a.head.size, e);
    int64_t chain = time_to_link(fd, &a.head, false), fan = time_to_link(fd, &a.head, true);
    t_note("a chain %.2f s, a fan %.2f s", (double)chain / 1e9, (double)fan / 1e9);
    CHECK(fan < 5 * chain);
    detach(&a);
    close(fd);
}

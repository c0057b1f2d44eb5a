/* SPDX-License-Identifier: MIT */
/* Random trees: branches in branches to a depth of four, with failures, interrupts, deadlines, supervisors, thread
 * exits and resources at random. In each tree the counts add up, each resource is destroyed once, and no thread or
 * interrupt is left over. */
#include "semantics/children.h"

enum { DEPTH = 4, WIDTH = 4 };

/* A child's plan and its resource. */
struct node {
    _Atomic int destroyed;
    int depth;
    uint64_t chance;
    bough_branch *above;
};

static _Atomic long made, destroyed, started, branches;

static unsigned draw(uint64_t *chance, unsigned below)
{
    return (unsigned)(t_random(chance) >> 33) % below;
}

static void destroy_node(void *value)
{
    struct node *node = value;
    CHECK_EQ(node->destroyed++, 0);
    destroyed++;
    free(node);
}

static int live(void *value);

static bough_thread *grow(bough_branch *b, int depth, uint64_t *chance)
{
    struct node *node = calloc(1, sizeof *node);
    node->depth = depth;
    node->chance = t_random(chance) | 1;
    node->above = b;
    made++;
    struct bough_child_options o = {.fresh = draw(chance, 20) == 0, .disabled = draw(chance, 20) == 0};
    return bough_add_with(b, live, bough_resource_of(node, destroy_node), &o);
}

static void disturb(bough_branch *b, bough_thread *child, uint64_t *chance)
{
    switch (draw(chance, 24)) {
    case 0:
        bough_interrupt(b, "at random");
        break;
    case 1:
        bough_fail(b, EIO, "the body fails");
        break;
    case 2:
        if (child)
            bough_interrupt(child, "this one");
        break;
    case 3:
        bough_clear(b);
        break;
    case 4:
        if (child)
            bough_join(child);
        break;
    case 5:
        bough_set_deadline(b, bough_after(BOUGH_US(draw(chance, 2000))));
        break;
    default:
        break;
    }
}

static void check_counts(void)
{
    const struct bough_ending *last = bough_last();
    size_t sum = 0;
    for (int i = 0; i < BOUGH_OUTCOMES; i++)
        sum += last->tally.count[i];
    CHECK_EQ(sum, last->tally.added);
    CHECK_EQ(last->tally.count[BOUGH_RUNNING], 0);
    CHECK_EQ(last->tally.count[BOUGH_LOST], 0);
    CHECK(!last->children || last->count == last->tally.added - last->tally.count[BOUGH_NOT_STARTED]);
    CHECK(last->result == 0 || last->result == ECANCELED || last->result == ETIMEDOUT || last->error);
    branches++;
}

static int open_branch(int depth, uint64_t *chance)
{
    struct bough_branch_options o = {.supervisor = draw(chance, 4) == 0, .collect = draw(chance, 3) == 0};
    if (draw(chance, 4) == 0)
        o.timeout = BOUGH_US(draw(chance, 3000));
    bough_branch *b = bough_branch_open(&o);
    CHECK(b);
    for (unsigned n = 1 + draw(chance, WIDTH); n > 0; n--)
        disturb(b, grow(b, depth, chance), chance);
    if (draw(chance, 3) == 0 && depth > 1)
        open_branch(depth - 1, chance); /* nested on the same thread */
    int result = bough_branch_end(b);
    CHECK_EQ(result, draw(chance, 4) ? bough_last_result() : result); /* sometimes the result is not read */
    if (draw(chance, 2))
        check_counts();
    return result;
}

static int wait_at_most(int64_t ns)
{
    bough_event_flag never = {0};
    return bough_event_wait(&never, bough_after(ns)) == 0 ? 0 : errno;
}

static int live(void *value)
{
    struct node *node = value;
    uint64_t chance = node->chance;
    char byte;
    started++;
    if (node->depth > 0 && draw(&chance, 3))
        return open_branch(node->depth - 1, &chance);
    switch (draw(&chance, 12)) {
    case 0:
        return EIO;
    case 1:
        return bough_fail(BOUGH_SELF, EDOM, "by chance");
    case 2:
        pthread_exit(NULL);
    case 3:
        BOUGH_DEADLINE(BOUGH_US(1 + draw(&chance, 1000)))
            wait_at_most(BOUGH_MS(20)); /* the thread may be disabled */
        return bough_last_result();
    case 4:
        BOUGH_CRITICAL(BOUGH_MS(1))
            usleep(draw(&chance, 300));
        return bough_check() == 0 ? 0 : errno;
    case 5:
        grow(node->above, 0, &chance); /* a sibling */
        return 0;
    case 6:
        bough_set_name("renamed");
        return bough_read(-1, &byte, 1) == 0 ? 0 : errno;
    case 7:
        return wait_at_most(BOUGH_US(draw(&chance, 2000)));
    default:
        return 0;
    }
}

static void *interrupt_at_random(void *stop)
{
    uint64_t chance = t_seed() ^ 0x9e3779b97f4a7c15u;
    while (!__atomic_load_n((int *)stop, __ATOMIC_RELAXED)) {
        usleep(draw(&chance, 3000));
        if (draw(&chance, 2))
            bough_interrupt_all("at random");
    }
    return NULL;
}

static void grow_trees(double seconds, uint64_t *chance)
{
    int64_t end = t_now() + (int64_t)(seconds * 1e9);
    while (t_now() < end) {
        open_branch(DEPTH, chance);
        bough_last();
        CHECK_EQ(destroyed, made);
        bough_clear(NULL);
        CHECK_EQ(bough_check(), 0);
    }
}

static void report(void)
{
    t_note("%ld children, %ld of them started; %ld branches checked", (long)made, (long)started, (long)branches);
    CHECK_EQ(destroyed, made);
}

TEST_LIMIT(random_trees_add_up, 60)
{
    uint64_t chance = t_seed() | 1;
    listen_to_reports();
    grow_trees(4, &chance);
    report();
}

TEST_LIMIT(random_trees_add_up_under_interrupts_from_outside, 60)
{
    struct t_thread other;
    int stop = 0;
    uint64_t chance = t_seed() | 1;
    listen_to_reports();
    bough_self();
    t_spawn(&other, interrupt_at_random, &stop);
    int64_t end = t_now() + 4000000000;
    while (t_now() < end) {
        open_branch(DEPTH, &chance);
        CHECK_EQ(destroyed, made);
        bough_clear(NULL);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    t_join(&other);
    bough_clear(NULL);
    report();
}

static void *grow_in_thread(void *seed)
{
    uint64_t chance = (uint64_t)(uintptr_t)seed;
    for (int i = 0; i < 60; i++)
        open_branch(DEPTH - 1, &chance);
    return NULL;
}

TEST_LIMIT(random_trees_on_several_threads_add_up, 60)
{
    struct t_thread threads[4];
    uint64_t chance = t_seed() | 1;
    listen_to_reports();
    for (int i = 0; i < 4; i++)
        t_spawn(&threads[i], grow_in_thread, (void *)(uintptr_t)(t_random(&chance) | 1));
    for (int i = 0; i < 4; i++)
        t_join(&threads[i]);
    report();
}

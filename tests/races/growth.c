/* SPDX-License-Identifier: MIT */
/* Counts the work for many threads: links that walks from inner to outer branches follow, and slots of threads that
 * are examined. Fixed bugs: a post to the root of a chain, and the walks of all threads below it, were quadratic in its
 * length; each incident examined all slots. */
#include "hooks.h"
#include <sys/prctl.h>
#include "api/signals.h"
#include "base/clock.h"
#include "wake/ticker.h"
#include "state/tree.h"
#include "simulated.h"

static _Atomic uint64_t links, slots;

static _Atomic bool counting;

static void count_link(void)
{
    if (counting)
        bo_add_relaxed(&links, 1);
}

static void count_slot(void)
{
    if (counting)
        bo_add_relaxed(&slots, 1);
}

/* Called once, before the ticker runs. */
static void set_hooks(void)
{
    bo_hook_link_followed = count_link;
    bo_hook_slot_looked_at = count_slot;
}

static void count_from_here(void)
{
    links = slots = 0;
    counting = true;
}

static void count_no_more(void)
{
    counting = false;
}

static bool is_due(const struct bo_thread *t)
{
    return bo_load_seq(&t->t.word) & BO_DUE;
}

static struct bo_record *seen_by(struct bo_thread *t)
{
    struct bo_thread *self = bo_self;
    bo_self = t;
    struct bo_record *r = bo_pending_record(t, true);
    bo_self = self;
    return r;
}

/* ---- chains ------------------------------------------------------------------------------------------------------ */

enum { SHORT = 500, LONG = 8000, STEPS = 40 /* of one walk from the innermost of 32,768 branches to the root */ };

static void check_chain(size_t count)
{
    struct sim_chain c;
    count_from_here();
    CHECK_EQ(sim_chain_grow(&c, count), count);
    uint64_t to_grow = links;
    count_from_here();
    CHECK_EQ(bough_interrupt(sim_target(c.thread[0]), "all of it"), 0);
    uint64_t to_post = links;
    CHECK(slots <= count + 8);
    count_from_here();
    /* 4099 is prime, so the loop visits all in a mixed order */
    for (size_t i = 0, at = 0; i < count; i++, at = (at + 4099) % count) {
        CHECK(is_due(c.thread[at]));
        CHECK_EQ(seen_by(c.thread[at]), bo_record_of(&c.thread[0]->t, BOUGH_STOP));
    }
    t_note("%zu branches: %.1f links to add one, %.1f to post to it, %.1f to find the record", count,
           (double)to_grow / (double)count, (double)to_post / (double)count, (double)links / (double)count);
    CHECK(to_grow <= 260 * count); /* two walks to the root for each of 128 bits */
    CHECK(to_post <= (uint64_t)STEPS * count);
    CHECK(links <= 4 * count);
    count_no_more();
    sim_chain_end(&c);
}

TEST_LIMIT(a_post_to_the_root_of_a_chain_and_the_walks_to_it_are_linear, 60)
{
    NEED_HOOKS();
    set_hooks();
    check_chain(SHORT);
    check_chain(LONG);
}

/* As above, but one thread has all branches open, and ends them one by one. */
TEST_LIMIT(a_thread_that_ends_thousands_of_branches_under_an_interrupt_walks_each_of_them_once, 60)
{
    static struct bo_branch *b[LONG];
    NEED_HOOKS();
    set_hooks();
    struct bo_thread *t = sim_thread(NULL);
    for (size_t i = 0; i < LONG; i++)
        CHECK((b[i] = sim_open(t)));
    CHECK_EQ(bough_interrupt(sim_target(t), "all of it"), 0);
    count_from_here();
    for (size_t i = LONG; i-- > 0;)
        sim_end(t, b[i]);
    t_note("%.1f links for each", (double)links / LONG);
    CHECK(links <= 16 * LONG);
    count_no_more();
    sim_gone(t);
}

/* ---- the notes of a walk become outdated ------------------------------------------------------------------------- */

TEST(a_post_to_the_middle_of_a_chain_is_found_by_a_thread_that_has_walked_it_before)
{
    struct sim_chain c;
    CHECK_EQ(sim_chain_grow(&c, 9), 9);
    for (size_t middle = 1; middle < 8; middle++) {
        CHECK_EQ(seen_by(c.thread[8]), NULL);
        CHECK_EQ(bough_interrupt(sim_target(c.thread[middle]), "from here on"), 0);
        struct bo_record *r = bo_record_of(&c.thread[middle]->t, BOUGH_STOP);
        CHECK_EQ(seen_by(c.thread[8]), r);
        bo_and_seq(&c.thread[middle]->t.due, 0);
        bo_record_close(r, BOUGH_POST_CLEARED);
        CHECK_EQ(seen_by(c.thread[8]), NULL);
        bough_target branch = (bough_target)(uintptr_t)bo_branch_handle(c.branch[middle]);
        CHECK_EQ(bough_interrupt(branch, "from here on"), 0);
        r = bo_record_of(&c.branch[middle]->t, BOUGH_STOP);
        CHECK_EQ(seen_by(c.thread[8]), r);
        bo_and_seq(&c.branch[middle]->t.due, 0);
        bo_record_close(r, BOUGH_POST_CLEARED);
    }
    sim_chain_end(&c);
}

/* Posts to a branch without threads do not count; a thread that is added later walks for the first time. */
TEST(a_post_to_an_empty_branch_is_found_by_a_thread_that_is_added_to_it_later)
{
    struct sim_chain c;
    CHECK_EQ(sim_chain_grow(&c, 4), 4);
    CHECK_EQ(seen_by(c.thread[3]), NULL);
    CHECK_EQ(bough_interrupt(sim_target(c.thread[3]), "the last one"), 0);
    struct bo_branch *b = sim_open(c.thread[3]), *inner;
    struct bo_thread *t = sim_thread(b);
    struct bo_record *r = bo_record_of(&c.thread[3]->t, BOUGH_STOP);
    CHECK_EQ(seen_by(t), r);
    inner = sim_open(t);
    CHECK_EQ(bo_marked(inner), r);
    sim_end(t, inner);
    sim_gone(t);
    sim_end(c.thread[3], b);
    sim_chain_end(&c);
}

/* ---- many incidents ---------------------------------------------------------------------------------------------- */

enum { INCIDENTS = 1500 };

/* The threads are at the root. With `branches` each has a branch open with a child in it. */
static struct bo_thread *of[INCIDENTS], *child[INCIDENTS];
static struct bo_branch *branch[INCIDENTS];

static bough_target target_of(size_t i)
{
    return branch[i] ? (bough_target)(uintptr_t)bo_branch_handle(branch[i]) : sim_target(of[i]);
}

static bool is_overdue(size_t i)
{
    const struct bo_target *t = branch[i] ? &branch[i]->t : &of[i]->t;
    return bo_load_seq(&bo_record_of(t, BOUGH_STOP)->overdue);
}

static void end_incident(size_t i)
{
    if (branch[i]) {
        sim_gone(child[i]);
        sim_end(of[i], branch[i]);
        branch[i] = NULL;
    }
    sim_gone(of[i]);
}

static void check_incidents(bool branches)
{
    const struct bough_ladder soon = {.time = {[BOUGH_RUNG_FLAG] = BOUGH_MS(1)},
                                      .ceiling = {[BOUGH_STOP] = BOUGH_RUNG_FLAG}};
    CHECK_EQ(bough_ladder_set(bough_root(), &soon), 0);
    CHECK_EQ(bo_ticker_need(), 0);
    for (size_t i = 0; i < INCIDENTS; i++) {
        of[i] = sim_thread(NULL);
        branch[i] = branches ? sim_open(of[i]) : NULL;
        child[i] = branches ? sim_thread(branch[i]) : NULL;
    }
    count_from_here();
    for (size_t i = 0; i < INCIDENTS; i++)
        CHECK_EQ(bough_interrupt(target_of(i), "soon"), 0);
    uint64_t to_post = slots;
    for (size_t i = 0; i < INCIDENTS; i++)
        t_until(is_overdue(i));
    t_note("%.1f slots for a post, %.1f more until it is overdue", (double)to_post / INCIDENTS,
           (double)(slots - to_post) / INCIDENTS);
    CHECK(slots <= 100 * INCIDENTS);
    count_no_more();
    for (size_t i = 0; i < INCIDENTS; i++)
        end_incident(i);
}

TEST_LIMIT(an_incident_of_a_thread_examines_only_that_thread, 60)
{
    NEED_HOOKS();
    set_hooks();
    check_incidents(false);
}

TEST_LIMIT(an_incident_of_a_branch_examines_only_the_threads_in_it, 60)
{
    NEED_HOOKS();
    set_hooks();
    check_incidents(true);
}

/* ---- the end of a process with many threads ---------------------------------------------------------------------- */

/* Ends the thread that is being waited for, one after the other. */
static void *end_those_waited_for(void *unused)
{
    for (size_t i = 0; i < INCIDENTS; i++) {
        t_until(bo_load_seq(&of[i]->t.join_waiters));
        bo_retire(of[i], BOUGH_POST_ENDED);
        bo_wake_joiners(of[i]);
    }
    return unused;
}

TEST_LIMIT(a_wait_for_all_threads_examines_each_of_them_once, 60)
{
    struct t_thread other;
    NEED_HOOKS();
    set_hooks();
    CHECK(bough_self());
    for (size_t i = 0; i < INCIDENTS; i++)
        of[i] = sim_thread(NULL);
    t_spawn(&other, end_those_waited_for, NULL);
    count_from_here();
    bo_await_others(BO_FOREVER, NULL);
    t_note("%.1f slots for each", (double)slots / INCIDENTS);
    CHECK(slots <= 8 * INCIDENTS);
    count_no_more();
    t_join(&other);
}

/* ---- two adders -------------------------------------------------------------------------------------------------- */

/* The first adder has set the bit for its child's slot in the inner branch, but not yet in the outer one. The second
 * adder, whose child is in the next slot, must not rely on that bit: a post to the outer branch would not examine the
 * slot. */
static struct bo_branch *inner;

static void stop_at_the_second(void)
{
    if (t_tid() == hooked && ++hook_passed == 2) {
        t_gate_open(&hook_reached);
        t_gate_wait(&hook_go);
    }
}

static void *add_first(void *unused)
{
    hooked = t_tid();
    bo_hook_link_followed = stop_at_the_second;
    bo_reach_add(inner, 800);
    return unused;
}

TEST(an_adder_does_not_rely_on_another_adder_that_has_not_finished)
{
    struct t_thread first;
    NEED_HOOKS();
    struct bo_thread *t = sim_thread(NULL);
    struct bo_branch *outer = sim_open(t);
    inner = sim_open(t);
    t_spawn(&first, add_first, NULL);
    t_gate_wait(&hook_reached);
    CHECK(inner->reach.groups && !outer->reach.groups);
    bo_reach_add(inner, 801);
    CHECK_EQ(outer->reach.groups, inner->reach.groups);
    CHECK_EQ(outer->reach.parts, inner->reach.parts);
    t_gate_open(&hook_go);
    t_join(&first);
    bo_hook_link_followed = NULL;
    sim_end(t, inner);
    sim_end(t, outer);
    sim_gone(t);
}

/* ---- the kernel's lists of waiting threads ----------------------------------------------------------------------- */

enum { FUTEX_HASH = 78, SET_SLOTS = 1, GET_SLOTS = 2, THREADS = 600 };

/* The default number of lists, by the number of processors, is too low for thousands of threads that wait for each
 * other. */
TEST(a_process_with_many_threads_has_more_lists_of_waiting_threads_than_one_with_few)
{
    if (prctl(FUTEX_HASH, GET_SLOTS, 0, 0, 0) < 0)
        SKIP("the kernel is older than Linux 6.17");
    for (size_t i = 0; i < THREADS; i++)
        of[i] = sim_thread(NULL);
    CHECK(prctl(FUTEX_HASH, GET_SLOTS, 0, 0, 0) >= THREADS / 4);
    CHECK_EQ(prctl(FUTEX_HASH, SET_SLOTS, 2048, 0, 0), 0);
    for (size_t i = THREADS; i < INCIDENTS; i++)
        of[i] = sim_thread(NULL);
    /* the library does not reduce the number that the program has asked for */
    CHECK_EQ(prctl(FUTEX_HASH, GET_SLOTS, 0, 0, 0), 2048);
    for (size_t i = 0; i < INCIDENTS; i++)
        sim_gone(of[i]);
}

/* ---- workers for which the pool has no room ---------------------------------------------------------------------- */

enum { CHILDREN = 200, POOL = 64 };
static struct t_gate ends[CHILDREN];
static _Atomic uint32_t kept;

static int waits_for_its_end(void *gate)
{
    t_gate_wait(gate);
    return 0;
}

static void count_kept(void)
{
    kept++;
}

/* It takes five system calls to find out whether another child can run on a thread. If the pool is full, the thread
 * ends in any case. */
TEST(a_worker_for_which_the_pool_has_no_room_is_not_examined)
{
    static bough_thread *t[CHILDREN];
    NEED_HOOKS();
    if (T_ASAN || T_TSAN)
        SKIP("the sanitizer sets a key in each thread, whose destructor has to run: no thread can be reused");
    bo_hook_worker_kept = count_kept;
    BOUGH_BRANCH(b) {
        for (size_t i = 0; i < CHILDREN; i++)
            CHECK((t[i] = bough_add(b, waits_for_its_end, bough_arg(&ends[i]))));
        for (size_t i = 0; i < CHILDREN; i++) {
            t_gate_open(&ends[i]);
            CHECK_EQ(bough_join(t[i]), 0);
        }
    }
    CHECK(kept >= POOL && kept < CHILDREN); /* threads in the pool end after 10 s */
    bo_hook_worker_kept = NULL;
}

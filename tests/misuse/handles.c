/* SPDX-License-Identifier: MIT */
/* Handles that are closed, another thread's, stale, of the wrong type, or no handles at all: a clear error, and no
 * effect. */
#include "semantics/children.h"

static struct thing thing;

TEST(null_is_refused_everywhere)
{
    char byte;
    struct bough_child_options o = {0};
    check_cant_add(NULL, work, EINVAL);
    CHECK_ERR(bough_add_with(NULL, NULL, bough_arg(NULL), &o), EINVAL);
    CHECK_EQ(bough_branch_end(NULL), EINVAL);
    CHECK_ERR(bough_join(NULL), EINVAL);
    CHECK_ERR(bough_outcome(NULL, NULL), EINVAL);
    CHECK_ERR(bough_branch_tally(NULL, NULL), EINVAL);
    CHECK_ERR(bough_set_deadline(NULL, 0), EINVAL);
    CHECK_ERR(bough_error_print(NULL, 1), EINVAL);
    CHECK_ERR(bough_interrupt(NULL, NULL), EINVAL);
    CHECK_ERR(bough_reason(NULL), EINVAL);
    CHECK_ERR(bough_alive(NULL), EINVAL);
    CHECK_ERR(bough_get_name(NULL, &byte, 1), EINVAL);
    CHECK_EQ(bough_post_event(NULL, NULL).record, 0);
    CHECK_EQ(bough_post_status((bough_post){0, 0}), BOUGH_POST_GONE);
    CHECK_EQ(bough_post_wait((bough_post){0, 0}, 0), 0);
    CHECK_ERR(bough_bounded_new(NULL, 1), EINVAL);
    BOUGH_BRANCH(b) {
        check_cant_add(b, NULL, EINVAL);
        CHECK_EQ(bough_fail_at_(b, __FILE__, __LINE__, __func__, EIO, NULL), EIO);
    }
    CHECK_STR(bough_last()->error->message, "");
    bough_branch *b = bough_branch_open(NULL);
    CHECK_EQ(bough_branch_end(b), 0);
    CHECK_STR(bough_last()->label, "branch");
}

TEST(an_ended_branch_is_refused)
{
    bough_branch *ended = NULL;
    struct bough_tally tally;
    char name[8];
    BOUGH_BRANCH(b)
        ended = b;
    check_cant_add(ended, work, ESRCH);
    CHECK_EQ(bough_branch_end(ended), ESRCH);
    CHECK_EQ(bough_fail(ended, EIO, "test"), ESRCH);
    CHECK_ERR(bough_interrupt(ended, "test"), ESRCH);
    CHECK_ERR(bough_clear(ended), ESRCH);
    CHECK_ERR(bough_set_deadline(ended, 0), ESRCH);
    CHECK_ERR(bough_branch_tally(ended, &tally), ESRCH);
    CHECK_ERR(bough_get_name(ended, name, sizeof name), ESRCH);
    BOUGH_BRANCH(b) /* probably in the same slot */
        check_cant_add(ended, work, ESRCH);
    CHECK_EQ(bough_last()->tally.added, 0);
}

TEST(a_branch_that_is_ended_inside_its_own_block)
{
    BOUGH_BRANCH(b) {
        add(b, fail_with, number(EIO));
        CHECK_EQ(bough_branch_end(b), EIO);
        check_cant_add(b, work, ESRCH);
    }
    CHECK_EQ(bough_last_result(), EIO);
}

static bough_branch *parents;

static int meddle(void *unused)
{
    (void)unused;
    CHECK_EQ(bough_branch_end(parents), EPERM);
    CHECK_EQ(bough_fail(parents, EIO, "test"), EPERM);
    CHECK_ERR(bough_clear(parents), EPERM);
    CHECK_ERR(bough_set_deadline(parents, 1), EPERM);
    add(parents, work, bough_arg(NULL)); /* a child may add */
    BOUGH_BRANCH(inner)
        CHECK_EQ(bough_branch_end(parents), EPERM);
    return 0;
}

TEST(a_child_may_add_to_its_parents_branch_and_nothing_else)
{
    BOUGH_BRANCH(b) {
        parents = b;
        add(b, meddle, bough_arg(NULL));
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_last()->tally.count[BOUGH_OK], 2);
}

static void *meddle_from_outside(void *unused)
{
    (void)unused;
    check_cant_add(parents, work, EPERM);
    CHECK_EQ(bough_branch_end(parents), EPERM);
    CHECK_EQ(bough_fail(parents, EIO, "test"), EPERM);
    BOUGH_BRANCH(own) {
        add(own, work, bough_arg(NULL));
        check_cant_add(parents, work, EPERM);
    }
    CHECK_EQ(bough_last_result(), 0);
    return NULL;
}

TEST(another_threads_branch_is_refused)
{
    struct t_thread stranger;
    BOUGH_BRANCH(b) {
        parents = b;
        t_spawn(&stranger, meddle_from_outside, NULL);
        t_join(&stranger);
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_last()->tally.added, 0);
}

/* A cousin is not inside the branch. */
static int add_to_cousins(void *branch)
{
    check_cant_add(branch, work, EPERM);
    return 0;
}

static int open_cousin(void *unused)
{
    (void)unused;
    BOUGH_BRANCH(inner) {
        __atomic_store_n(&parents, inner, __ATOMIC_RELEASE);
        until_stopped(NULL);
    }
    return 0;
}

TEST(a_cousins_branch_is_refused)
{
    BOUGH_BRANCH(b) {
        bough_thread *child = bough_add(b, open_cousin, bough_arg(NULL));
        t_until(__atomic_load_n(&parents, __ATOMIC_ACQUIRE));
        bough_join(bough_add(b, add_to_cousins, bough_arg(parents)));
        bough_interrupt(child, "test");
    }
    CHECK_EQ(bough_last()->tally.count[BOUGH_ERROR], 0);
}

TEST(the_root_is_refused_as_a_branch)
{
    check_cant_add(bough_root(), work, EPERM);
    CHECK_EQ(bough_branch_end(bough_root()), EPERM);
    CHECK_EQ(bough_fail(bough_root(), EIO, "test"), EPERM);
    CHECK_ERR(bough_set_deadline(bough_root(), 1), EPERM);
}

TEST(a_handle_of_the_wrong_type_is_refused)
{
    bough_thread *self = bough_self();
    check_cant_add((bough_branch *)(uintptr_t)self, work, EINVAL);
    CHECK_EQ(bough_branch_end((bough_branch *)(uintptr_t)self), EINVAL);
    CHECK_ERR(bough_join((bough_thread *)bough_root()), EINVAL);
    CHECK_ERR(bough_alive((bough_thread *)bough_root()), EINVAL);
    CHECK_ERR(bough_outcome((bough_thread *)bough_root(), NULL), EINVAL);
}

TEST(stray_pointers_and_numbers_are_refused)
{
    uint64_t state = t_seed() | 1;
    int on_stack;
    check_cant_add((bough_branch *)&on_stack, work, EINVAL);
    check_cant_add((bough_branch *)-1, work, EINVAL);
    for (int i = 0; i < 100000; i++) {
        bough_branch *b = (bough_branch *)(uintptr_t)t_random(&state);
        CHECK(bough_branch_end(b) != 0);
        CHECK(bough_fail(b, EIO, "test") != EIO);
        CHECK_EQ(bough_branch_tally(b, &(struct bough_tally){0}), -1);
    }
}

TEST(the_end_of_an_outer_branch_ends_the_inner_ones)
{
    listen_to_reports();
    bough_branch *outer = bough_branch_open(&(struct bough_branch_options){.label = "outer"});
    bough_branch *inner = bough_branch_open(&(struct bough_branch_options){.label = "inner"});
    add(inner, until_stopped, thing_of(&thing));
    CHECK_EQ(bough_branch_end(outer), 0);
    CHECK_EQ(thing.destroyed, 1);
    CHECK(reported("inner") && reported("bough_branch_end()"));
    CHECK_EQ(bough_branch_end(inner), ESRCH);
}

static _Atomic int go;

static int wait_for_go(void *unused)
{
    (void)unused;
    t_until(go);
    return 0;
}

TEST(a_stale_childs_handle_reaches_no_thread)
{
    bough_thread *stale = NULL;
    BOUGH_BRANCH(b)
        stale = bough_add(b, work, bough_arg(NULL));
    BOUGH_BRANCH(b) {
        add(b, wait_for_go, bough_arg(NULL)); /* probably on the same thread */
        CHECK_ERR(bough_interrupt(stale, "test"), ESRCH);
        CHECK_ERR(bough_alive(stale), ESRCH);
        CHECK_EQ(bough_join(stale), 0);
        go = 1;
    }
    CHECK_EQ(bough_last_result(), 0);
}

static bough_thread *children[8];
static _Atomic int stop_posting;

static void *post_to_them(void *unused)
{
    (void)unused;
    while (!stop_posting)
        for (int i = 0; i < 8; i++)
            if (bough_interrupt(__atomic_load_n(&children[i], __ATOMIC_RELAXED), "race") != 0)
                CHECK(errno == ESRCH || errno == EINVAL);
    return NULL;
}

/* Posts before children start, while they run, at their end and after it: each child ends, and no post reaches another
 * child. */
TEST(posts_race_with_starts_and_ends)
{
    struct t_thread poster;
    t_spawn(&poster, post_to_them, NULL);
    for (int round = 0; round < 300; round++) {
        BOUGH_BRANCH(b)
            for (int i = 0; i < 8; i++) {
                bough_thread *child = bough_add(b, i % 2 ? until_stopped : work, bough_arg(NULL));
                CHECK(child);
                __atomic_store_n(&children[i], child, __ATOMIC_RELAXED);
            }
        CHECK_EQ(bough_last_result(), 0);
        CHECK_EQ(bough_last()->tally.count[BOUGH_OK], 4);
        CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 4);
    }
    stop_posting = 1;
    t_join(&poster);
    CHECK_EQ(bough_check(), 0);
}

static bough_branch *_Atomic present;

static void *post_to_branch(void *unused)
{
    (void)unused;
    while (!stop_posting)
        bough_interrupt(present, "race");
    return NULL;
}

TEST(posts_race_with_the_branchs_end)
{
    struct t_thread poster;
    t_spawn(&poster, post_to_branch, NULL);
    for (int round = 0; round < 20000; round++) {
        BOUGH_BRANCH(b)
            present = b;
        CHECK_EQ(bough_last_result(), 0);
        CHECK_EQ(bough_check(), 0); /* no record is left behind */
    }
    stop_posting = 1;
    t_join(&poster);
}

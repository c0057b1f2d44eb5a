/* SPDX-License-Identifier: MIT */
/* Rule 26: errors form a tree: the first failure is primary, the others attached, none dropped. */
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include "semantics/children.h"

static struct t_gate gate;

/* Fails in its cleanup, after it was interrupted. */
static int fail_in_cleanup(void *unused)
{
    (void)unused;
    t_gate_open(&gate);
    CHECK_EQ(until_stopped(NULL), ECANCELED);
    return bough_fail(BOUGH_SELF, EPIPE, "flush");
}

static int fail_first(void *unused)
{
    (void)unused;
    t_gate_wait(&gate);
    return bough_fail(BOUGH_SELF, EIO, "first");
}

/* Fixed bug: a sibling that failed because of the first failure could be counted as the first. */
TEST(the_first_failure_is_primary_and_others_are_attached)
{
    for (int i = 0; i < 300; i++) {
        gate.open = 0;
        BOUGH_BRANCH(b) {
            add(b, fail_in_cleanup, bough_arg(NULL));
            add(b, fail_first, bough_arg(NULL));
        }
        const bough_error *e = bough_last()->error;
        CHECK_EQ(bough_last_result(), EIO);
        CHECK_STR(e->message, "first");
        CHECK_EQ(e->count, 1);
        CHECK_STR(e->attached[0]->message, "flush");
    }
}

TEST(no_failure_is_dropped)
{
    unsigned seen = 0;
    BOUGH_BRANCH(b) {
        for (int i = 1; i <= 20; i++)
            CHECK(bough_add(b, fail_in_cleanup, bough_arg(NULL)));
        t_gate_wait(&gate);
        bough_fail(b, EIO, "body");
        bough_fail(b, EDOM, "body again");
    }
    const bough_error *e = bough_last()->error;
    CHECK_EQ(e->code, EIO);
    for (size_t i = 0; i < e->count; i++)
        seen += e->attached[i]->code == EPIPE || e->attached[i]->code == EDOM;
    CHECK_EQ(e->count, bough_last()->tally.count[BOUGH_ERROR] + 1);
    CHECK_EQ(seen, e->count);
}

TEST(a_second_failure_of_a_child_is_attached_to_its_first)
{
    BOUGH_BRANCH(b)
        add(b, fail_twice, bough_arg(NULL));
    CHECK_EQ(bough_last_result(), EIO);
    CHECK_EQ(bough_last()->error->count, 1);
    CHECK_STR(bough_last()->error->attached[0]->message, "two");
}

/* ---- nested branches --------------------------------------------------------------------------------------------- */

static int inner_fails(void)
{
    BOUGH_BRANCH(inner)
        add(inner, fail_with, number(EIO));
    return 0;
}

static int ignore_inner(void *result)
{
    inner_fails();
    return (int)(intptr_t)result;
}

static int hand_on(void *unused)
{
    inner_fails();
    (void)unused;
    return bough_last_result();
}

static int hand_on_with_a_word(void *unused)
{
    inner_fails();
    (void)unused;
    const bough_error *e = bough_last()->error;
    bough_fail(BOUGH_SELF, bough_last_result(), "the inner one");
    CHECK(bough_last()->error == e && e->code == EIO); /* valid until the next branch ends */
    return 0;
}

static int handle_inner(void *unused)
{
    inner_fails();
    (void)unused;
    return bough_last_result() == EIO ? 0 : EINVAL;
}

static const bough_error *error_of(bough_fn *fn, int argument)
{
    BOUGH_BRANCH(outer)
        add(outer, fn, number(argument));
    return bough_last()->error;
}

TEST(an_unread_failure_becomes_the_enclosing_childs)
{
    const bough_error *e = error_of(ignore_inner, 0);
    CHECK_EQ(bough_last_result(), EIO);
    CHECK_STR(e->who, "a child in inner");
    e = error_of(ignore_inner, EDOM);
    CHECK_EQ(bough_last_result(), EDOM);
    CHECK_EQ(e->count, 1);
    CHECK_EQ(e->attached[0]->code, EIO);
    e = error_of(handle_inner, 0);
    CHECK(!e);
    CHECK_EQ(bough_last_result(), 0);
}

TEST(a_child_can_attach_a_nested_branchs_tree_to_its_failure)
{
    const bough_error *e = error_of(hand_on, 0);
    CHECK_STR(e->who, "a child in inner");
    e = error_of(hand_on_with_a_word, 0);
    CHECK_STR(e->message, "the inner one");
    CHECK_EQ(e->count, 1);
    CHECK_STR(e->attached[0]->who, "a child in inner");
}

/* Fixed bugs: a second branch reported the failure of the first one, and a supervisor lost it. */
static int two_branches(void *unused)
{
    (void)unused;
    inner_fails();
    BOUGH_BRANCH(good, .supervisor = 1)
        add(good, work, bough_arg(NULL));
    CHECK(!bough_last()->error);
    CHECK_EQ(bough_last_result(), 0);
    return 0;
}

TEST(an_unread_failure_is_not_lost_when_another_branch_follows)
{
    const bough_error *e = error_of(two_branches, 0);
    CHECK_EQ(bough_last_result(), EIO);
    CHECK_STR(e->who, "a child in inner");
}

/* Fixed bug: a child that was interrupted dropped its unread failures. */
static int interrupted_with_unread(void *unused)
{
    (void)unused;
    inner_fails();
    t_gate_open(&gate);
    return until_stopped(NULL);
}

TEST(an_interrupted_childs_unread_failure_is_not_lost)
{
    BOUGH_BRANCH(b) {
        bough_thread *child = bough_add(b, interrupted_with_unread, bough_arg(NULL));
        t_gate_wait(&gate);
        bough_interrupt(child, "test");
    }
    CHECK_EQ(bough_last_result(), EIO);
}

TEST(failures_nested_in_the_body_are_attached_if_the_branch_fails)
{
    inner_fails(); /* a failure before the branch is no part of the branch's failure */
    BOUGH_BRANCH(outer) {
        inner_fails();
        bough_fail(outer, EDOM, "outer");
    }
    const bough_error *e = bough_last()->error;
    CHECK_EQ(e->code, EDOM);
    CHECK_EQ(e->count, 1);
    CHECK_STR(e->attached[0]->who, "a child in inner");
    BOUGH_BRANCH(outer) {
        inner_fails();
        bough_fail(outer, bough_last_result(), "read and handed on");
    }
    CHECK_EQ(bough_last()->error->count, 1);
}

/* Fixed bug: an ending before the branch was attached to the branch's failure if their numbers were equal. */
TEST(an_ending_before_the_branch_is_not_attached_to_its_failure)
{
    inner_fails();
    CHECK_EQ(bough_last_result(), EIO);
    BOUGH_BRANCH(second)
        bough_fail(second, EIO, "the same number");
    CHECK_EQ(bough_last()->error->count, 0);
    inner_fails();
    BOUGH_BRANCH(third)
        bough_fail(third, bough_last_result(), "of one before it");
    CHECK_EQ(bough_last()->error->count, 0);
}

enum { KEPT = 64 };

static int fail_again_and_again(void *branch)
{
    for (int i = 0; i < 10 * KEPT; i++)
        CHECK_EQ(bough_fail((bough_target)branch, i ? EDOM : EIO, "%d", i), i ? EDOM : EIO);
    return 0;
}

TEST(of_a_child_that_fails_again_and_again_the_first_64_failures_are_kept)
{
    listen_to_reports();
    BOUGH_BRANCH(of_child)
        add(of_child, fail_again_and_again, bough_arg(NULL));
    CHECK_EQ(bough_last_result(), EIO);
    CHECK_EQ(bough_last()->error->count, KEPT - 1);
    CHECK_EQ(reports_count_, 1);
    CHECK(reported("only the first 64 failures are kept"));
    BOUGH_BRANCH(of_body)
        fail_again_and_again(of_body);
    CHECK_EQ(bough_last_result(), EIO);
    CHECK_EQ(bough_last()->error->count, KEPT - 1);
    CHECK_STR(bough_last()->error->attached[KEPT - 2]->message, "63");
    CHECK_EQ(reports_count_, 2);
}

static int destroyed_branch(void *unused)
{
    (void)unused;
    return hand_on(NULL);
}

static void branch_in_destructor(void *unused)
{
    (void)unused;
    BOUGH_BRANCH(cleanup)
        add(cleanup, fail_with, number(EPIPE));
}

/* Fixed bug: a branch in the destructor replaced the tree that the child returned. */
TEST(an_error_in_cleanup_is_attached_and_replaces_none)
{
    BOUGH_BRANCH(b)
        add(b, destroyed_branch, bough_resource_of(&gate, branch_in_destructor));
    const bough_error *e = bough_last()->error;
    CHECK_EQ(bough_last_result(), EIO);
    CHECK_STR(e->who, "a child in inner");
    CHECK_EQ(e->count, 1);
    CHECK_EQ(e->attached[0]->code, EPIPE);
}

/* ---- a tree, and reading it -------------------------------------------------------------------------------------- */

static int grow(void *depth)
{
    intptr_t left = (intptr_t)depth;
    if (left == 0)
        return bough_fail(BOUGH_SELF, EIO, "leaf");
    BOUGH_BRANCH(inner)
        add(inner, grow, bough_arg((void *)(left - 1)));
    return bough_fail(BOUGH_SELF, bough_last_result(), "level %d", (int)left);
}

TEST(errors_form_a_tree)
{
    const bough_error *e = error_of(grow, 3);
    for (int level = 3; level > 0; level--) {
        char text[16];
        snprintf(text, sizeof text, "level %d", level);
        CHECK_STR(e->message, text);
        CHECK_EQ(e->count, 1);
        e = e->attached[0];
    }
    CHECK_STR(e->message, "leaf");
    CHECK_EQ(e->count, 0);
}

TEST(the_last_ending_is_kept_until_the_next)
{
    CHECK_EQ(bough_last_result(), 0);
    CHECK(!bough_last()->label);
    CHECK_EQ(inner_fails(), 0);
    const struct bough_ending *last = bough_last();
    CHECK_STR(last->label, "inner");
    CHECK_EQ(last->result, EIO);
    CHECK_EQ(last->error->code, EIO);
    CHECK(!last->children);
    BOUGH_BRANCH(open)
        CHECK_EQ(bough_last()->result, EIO);
    CHECK_EQ(bough_last_result(), 0);
    CHECK(!bough_last()->error);
}

TEST(the_interrupts_of_the_branch_are_no_errors)
{
    BOUGH_BRANCH(b) {
        for (int i = 0; i < 5; i++)
            add(b, until_stopped, bough_arg(NULL));
        add(b, fail_with, number(EIO));
        if (until_stopped(NULL))
            bough_fail(b, ECANCELED, "body");
    }
    CHECK_EQ(bough_last_result(), EIO);
    CHECK_EQ(bough_last()->error->count, 0);
}

/* As deep as branches can be nested, and deeper than a recursion can go on a small stack. */
enum { DEEP = 6000, SMALL_STACK = 128 * 1024 };

static void *nest(void *unused)
{
    static bough_branch *branch[DEEP];
    int null = open("/dev/null", O_WRONLY);
    for (int i = 0; i < DEEP; i++)
        CHECK(branch[i] = bough_branch_open(NULL));
    for (int i = DEEP - 1; i >= 0; i--) {
        bough_fail(branch[i], EIO, "level %d", i);
        CHECK_EQ(bough_branch_end(branch[i]), EIO);
    }
    CHECK_STR(bough_last()->error->message, "level 0");
    CHECK_STR(bough_last()->error->attached[0]->attached[0]->message, "level 2");
    CHECK_EQ(bough_error_print(bough_last()->error, null), 0);
    close(null);
    return unused; /* the thread's end frees the tree */
}

/* Fixed bug: a tree was freed and printed by recursion. */
TEST_LIMIT(a_deep_tree_needs_no_deep_stack, 60)
{
    pthread_attr_t attributes;
    pthread_t thread;
    if (T_ASAN || T_TSAN)
        SKIP("a sanitizer's frames are too large for such a stack");
    CHECK_EQ(pthread_attr_init(&attributes), 0);
    CHECK_EQ(pthread_attr_setstacksize(&attributes, SMALL_STACK), 0);
    CHECK_EQ(pthread_create(&thread, &attributes, nest, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
}

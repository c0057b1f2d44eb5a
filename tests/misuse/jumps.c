/* SPDX-License-Identifier: MIT */
/* longjmp(), which the library does not see: the jump is detected later and reported, and the regions and branches that
 * were left open are ended. Also bough_longjmp(), which the library does see. child_exit.c has pthread_exit() and
 * pthread_cancel(). */
#include <setjmp.h>
#include <stdbool.h>
#include "semantics/children.h"

static jmp_buf plain;
static struct thing thing;
static bough_branch *left;

/* ---- longjmp() over a critical region ---------------------------------------------------------------------------- */

__attribute__((noinline)) static void jump_out_of_a_section(void)
{
    BOUGH_CRITICAL(0)
        longjmp(plain, 1);
}

TEST(a_jump_over_a_section_is_detected_by_a_branch)
{
    listen_to_reports();
    if (setjmp(plain) == 0)
        jump_out_of_a_section();
    bough_interrupt(bough_self(), "now");
    BOUGH_BRANCH(b)
        CHECK_ERR(bough_check(), ECANCELED); /* the section no longer protects */
    CHECK(reported("longjmp()") && reported("jumps.c") && reported("bough_longjmp()"));
    CHECK_EQ(bough_level(), BOUGH_DEFERRED);
    CHECK_EQ(bough_clear(NULL), 1);
}

/* Leaves a region open in a frame that no longer exists. */
__attribute__((noinline)) static void forget_a_region(int depth)
{
    struct bough_region region;
    CHECK_EQ(bough_critical_begin(&region, 0, __FILE__, __LINE__), 0);
    if (depth > 1)
        forget_a_region(depth - 1);
}

static int child_forgets(void *depth)
{
    forget_a_region((int)(intptr_t)depth);
    return 0;
}

static int child_jumps(void *unused)
{
    (void)unused;
    if (setjmp(plain) == 0)
        jump_out_of_a_section();
    return 0;
}

/* The section ends with its child at the latest. */
TEST(a_section_that_a_child_jumped_over_ends_with_the_child)
{
    BOUGH_BRANCH(b) {
        bough_join(bough_add(b, child_jumps, number(0)));
        add(b, level_is_deferred, number(0));
    }
    CHECK_EQ(bough_last_result(), 0);
}

static void *thread_forgets(void *depth)
{
    child_forgets(depth);
    return NULL;
}

TEST(regions_that_were_left_open_end_with_their_thread)
{
    struct t_thread thread;
    listen_to_reports();
    for (int depth = 1; depth < 8; depth++) {
        BOUGH_BRANCH(b) {
            bough_join(bough_add(b, child_forgets, number(depth)));
            add(b, level_is_deferred, number(0));
        }
        CHECK_EQ(bough_last_result(), 0);
        t_spawn(&thread, thread_forgets, (void *)(intptr_t)depth);
        t_join(&thread);
    }
}

/* ---- longjmp() over a branch ------------------------------------------------------------------------------------- */

__attribute__((noinline)) static void jump_out_of_a_branch(void)
{
    BOUGH_BRANCH(lost) {
        left = lost;
        add(lost, until_stopped, thing_of(&thing));
        longjmp(plain, 1);
    }
}

/* The branch is still open, its child runs. */
static void jump(void)
{
    listen_to_reports();
    thing.destroyed = 0;
    if (setjmp(plain) == 0)
        jump_out_of_a_branch();
}

static void was_found_out(void)
{
    CHECK(reported("branch lost") && reported("jumps.c"));
    CHECK_EQ(thing.destroyed, 1);
    CHECK_EQ(bough_branch_end(left), ESRCH);
    CHECK_ERR(bough_interrupt(left, "test"), ESRCH);
    CHECK_EQ(bough_check(), 0);
}

TEST(a_jump_over_a_branch_is_detected_by_the_next_branch)
{
    jump();
    BOUGH_BRANCH(next) {
        was_found_out();
        CHECK(bough_add(next, work, number(0)));
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_last()->tally.added, 1);
}

TEST(a_jump_over_a_branch_is_detected_by_the_end_of_the_outer_one)
{
    BOUGH_BRANCH(around) {
        jump();
        CHECK_EQ(thing.destroyed, 0);
    }
    was_found_out();
    CHECK_EQ(bough_last_result(), 0);
    CHECK_STR(bough_last()->label, "around");
}

TEST(a_jump_over_a_branch_is_detected_by_the_branchs_end)
{
    jump();
    CHECK_EQ(bough_branch_end(left), ESRCH);
    was_found_out();
}

/* Fixed bug: the abandoned branch was the one to add to, and was used nevertheless. */
TEST(a_jump_over_a_branch_is_detected_by_adding_to_it)
{
    struct thing second = {0};
    jump();
    CHECK_ERR(bough_add(left, work, thing_of(&second)), ESRCH);
    CHECK_EQ(second.destroyed, 1);
    was_found_out();
}

TEST(a_jump_over_a_branch_is_detected_by_adding_to_the_outer_one)
{
    BOUGH_BRANCH(around) {
        jump();
        CHECK(bough_add(around, work, number(0)));
        was_found_out();
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_last()->tally.count[BOUGH_OK], 1);
}

__attribute__((noinline)) static void jump_out_of_three(int depth)
{
    BOUGH_BRANCH(deep) {
        add(deep, until_stopped, number(0));
        if (depth > 1)
            jump_out_of_three(depth - 1);
        longjmp(plain, 1);
    }
}

TEST(a_jump_over_several_branches_ends_them_all)
{
    listen_to_reports();
    if (setjmp(plain) == 0)
        jump_out_of_three(3);
    BOUGH_BRANCH(next)
        CHECK_EQ(reports_count_, 3);
    CHECK_EQ(bough_last_result(), 0);
}

static void *jumps_and_ends(void *unused)
{
    jump();
    return unused;
}

TEST(a_jump_over_a_branch_is_detected_at_the_end_of_the_thread)
{
    struct t_thread thread;
    t_spawn(&thread, jumps_and_ends, NULL);
    t_join(&thread);
    was_found_out();
}

static int jumps_in_a_child(void *unused)
{
    (void)unused;
    jump();
    return 0;
}

TEST(a_jump_over_a_branch_is_detected_at_the_end_of_the_child)
{
    BOUGH_BRANCH(b)
        add(b, jumps_in_a_child, number(0));
    CHECK_EQ(bough_last_result(), 0);
    was_found_out();
}

/* A jump inside the block leaves no branch: the branch stays open. */
TEST(a_jump_within_a_block_leaves_no_branch)
{
    listen_to_reports();
    BOUGH_BRANCH(b) {
        if (setjmp(plain) == 0) {
            BOUGH_BRANCH(inner)
                add(inner, work, number(0));
            longjmp(plain, 1);
        }
        add(b, work, number(0));
        BOUGH_BRANCH(second) {
        }
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_last()->tally.count[BOUGH_OK], 1);
    CHECK_EQ(reports_count_, 0);
}

/* ---- bough_longjmp() --------------------------------------------------------------------------------------------- */

static struct bough_jmp back;

static void jump_properly(int depth)
{
    BOUGH_BRANCH(b) {
        if (depth == 3)
            left = b;
        add(b, until_stopped, depth == 3 ? thing_of(&thing) : number(0));
        BOUGH_CRITICAL(0) {
            if (depth > 1)
                jump_properly(depth - 1);
            bough_longjmp(&back, 7);
        }
    }
}

TEST(bough_longjmp_ends_regions_and_branches)
{
    listen_to_reports();
    int value = bough_setjmp(&back);
    if (value == 0)
        jump_properly(3);
    CHECK_EQ(value, 7);
    CHECK_EQ(thing.destroyed, 1);
    CHECK_EQ(bough_level(), BOUGH_DEFERRED);
    CHECK_EQ(bough_branch_end(left), ESRCH);
    CHECK_EQ(bough_check(), 0);
    CHECK_EQ(reports_count_, 0);
}

static int jumps_far(void *unused)
{
    (void)unused;
    bough_longjmp(&back, 1);
}

/* The regions and branches that a plain longjmp() has left are no longer on the stack, and must not be read. */
__attribute__((noinline)) static void spoil_the_stack(void)
{
    volatile char space[4096];
    for (size_t i = 0; i < sizeof space; i++)
        space[i] = 0x5a;
}

static void jump_plainly_over_a_section(void)
{
    if (setjmp(plain) == 0)
        jump_out_of_a_section();
    spoil_the_stack();
}

TEST(bough_longjmp_after_a_plain_longjmp_ends_regions_and_branches)
{
    listen_to_reports();
    if (bough_setjmp(&back) == 0) {
        jump_plainly_over_a_section();
        bough_longjmp(&back, 1);
    }
    CHECK(reported("longjmp()"));
    CHECK_EQ(bough_level(), BOUGH_DEFERRED);
}

TEST(bough_setjmp_after_a_plain_longjmp_keeps_outer_regions)
{
    listen_to_reports();
    BOUGH_CRITICAL(0) {
        jump_plainly_over_a_section();
        if (bough_setjmp(&back) == 0) {
            BOUGH_CRITICAL(0)
                bough_longjmp(&back, 1);
        }
        CHECK_EQ(bough_level(), BOUGH_DISABLED);
    }
    CHECK(reported("longjmp()"));
    CHECK_EQ(bough_level(), BOUGH_DEFERRED);
}

TEST(bough_setjmp_after_a_plain_longjmp_keeps_the_outer_branch)
{
    BOUGH_BRANCH(around) {
        add(around, work, number(0));
        jump();
        if (bough_setjmp(&back) == 0) {
            BOUGH_BRANCH(inner)
                bough_longjmp(&back, 1);
        }
        CHECK_EQ(bough_check(), 0);
        CHECK(bough_add(around, work, number(0)));
    }
    was_found_out();
    CHECK_EQ(reports_count_, 1); /* no other branch was left open */
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_last()->tally.count[BOUGH_OK], 2);
}

/* A jump to another thread's bough_jmp is undefined behaviour in C; the library reports it first. */
static void jump_to_another(void *unused)
{
    (void)unused;
    if (bough_setjmp(&back) != 0)
        _exit(5);
    BOUGH_BRANCH(b)
        add(b, jumps_far, number(0));
}

TEST(bough_longjmp_with_another_threads_bough_jmp_is_reported)
{
    char text[2048];
    t_run_output(jump_to_another, NULL, text, sizeof text);
    CHECK(strstr(text, "bough_jmp of another thread"));
}

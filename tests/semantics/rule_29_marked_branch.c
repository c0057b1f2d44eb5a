/* SPDX-License-Identifier: MIT */
/* Rule 29: adding to a marked branch starts nothing, runs the destructor and fails with ECANCELED. */
#include "semantics/children.h"

static struct thing things[3];

static int never(void *unused)
{
    (void)unused;
    FAIL("it was started");
    return 0;
}

static void check_refused(bough_branch *b, struct thing *thing)
{
    CHECK_ERR(bough_add(b, never, thing_of(thing)), ECANCELED);
    CHECK_EQ(thing->destroyed, 1);
}

TEST(a_marked_branch_starts_nothing)
{
    BOUGH_BRANCH(b) {
        bough_interrupt(b, "test");
        check_refused(b, &things[0]);
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_last()->interrupted, 1); /* the refused add counts as an effect of the interrupt */
    CHECK_EQ(bough_last()->tally.added, 1);
    CHECK_EQ(bough_last()->tally.count[BOUGH_NOT_STARTED], 1);
}

TEST(a_failed_branch_starts_nothing)
{
    BOUGH_BRANCH(b) {
        bough_fail(b, EIO, "test");
        check_refused(b, &things[0]);
    }
    CHECK_EQ(bough_last_result(), EIO);
}

TEST(a_mark_of_an_outer_branch_counts)
{
    BOUGH_BRANCH(outer)
        BOUGH_BRANCH(inner) {
            bough_interrupt(outer, "test");
            check_refused(inner, &things[0]);
            check_refused(outer, &things[1]);
        }
    CHECK_EQ(bough_last()->interrupted, 1);
    bough_interrupt(bough_self(), "the thread");
    BOUGH_BRANCH(b)
        check_refused(b, &things[2]);
    CHECK_EQ(bough_last_result(), ECANCELED);
    CHECK_EQ(bough_clear(NULL), 1);
}

TEST(a_cleared_branch_starts_children_again)
{
    BOUGH_BRANCH(b) {
        bough_interrupt(b, "test");
        check_refused(b, &things[0]);
        CHECK_EQ(bough_clear(b), 1);
        add(b, work, thing_of(&things[1]));
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_last()->interrupted, 0);
    CHECK_EQ(bough_last()->tally.count[BOUGH_OK], 1);
    CHECK_EQ(things[1].destroyed, 1);
}

TEST(children_may_be_added_in_a_cleanup_region)
{
    bough_interrupt(bough_self(), "test");
    CHECK_ERR(bough_check(), ECANCELED);
    BOUGH_CLEANUP(0)
        BOUGH_BRANCH(b)
            add(b, work, thing_of(&things[0]));
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(things[0].destroyed, 1);
    bough_clear(NULL);
}

/* The mark comes while children are being added: each is started and interrupted, or not started; its resource is
 * destroyed once. */
static bough_branch *target;
static _Atomic int started;

static int count_and_wait(void *unused)
{
    (void)unused;
    started++;
    return until_stopped(NULL);
}

static void *mark(void *round)
{
    usleep((unsigned)(intptr_t)round % 300);
    CHECK_EQ(bough_interrupt(target, "test"), 0);
    return NULL;
}

TEST(a_mark_while_children_are_being_added)
{
    static struct thing many[1000];
    for (int round = 0; round < 200; round++) {
        struct t_thread marker;
        size_t tried = 0;
        started = 0;
        BOUGH_BRANCH(b) {
            target = b;
            memset(many, 0, sizeof many);
            t_spawn(&marker, mark, (void *)(intptr_t)(round * 7));
            while (tried < 1000 && bough_add(b, count_and_wait, thing_of(&many[tried++])))
                ;
            t_join(&marker);
        }
        const struct bough_tally *t = &bough_last()->tally;
        CHECK_EQ(t->added, tried);
        CHECK_EQ(t->count[BOUGH_INTERRUPTED] + t->count[BOUGH_NOT_STARTED], tried);
        CHECK_EQ(t->count[BOUGH_INTERRUPTED], started);
        for (size_t i = 0; i < tried; i++)
            CHECK_EQ(many[i].destroyed, 1);
    }
}

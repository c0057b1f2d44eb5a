/* SPDX-License-Identifier: MIT */
/* As many branches as possible. */
#include "semantics/children.h"

enum { TABLE = 32768, INSIDE = 1000 };
static bough_branch *opened[TABLE];

static int open_all(void)
{
    int count = 0;
    while (count < TABLE && (opened[count] = bough_branch_open(NULL)))
        count++;
    CHECK_EQ(errno, EAGAIN);
    return count;
}

TEST_LIMIT(a_full_table_refuses_further_branches, 120)
{
    int count = open_all();
    CHECK(count > TABLE - 10 && count < TABLE);
    CHECK_ERR(bough_branch_open(NULL), EAGAIN);
    struct thing thing = {0};
    add(opened[count - 1], work, thing_of(&thing));
    CHECK_EQ(bough_interrupt(opened[0], "enough"), 0);
    CHECK_ERR(bough_check(), ECANCELED);
    CHECK_EQ(bough_clear(opened[0]), 1);
    CHECK_EQ(bough_check(), 0);
    while (count > 0)
        CHECK_EQ(bough_branch_end(opened[--count]), 0);
    CHECK_EQ(thing.destroyed, 1);
    CHECK_ERR(bough_interrupt(opened[0], "late"), ESRCH);
    BOUGH_BRANCH(again)
        add(again, work, number(0));
    CHECK_EQ(bough_last_result(), 0);
}

/* No slot was lost: as many branches can be opened as the first time. */
TEST_LIMIT(a_table_that_was_full_is_as_large_as_before, 120)
{
    int first = open_all();
    CHECK_EQ(bough_clear(NULL), 0);
    for (int i = first; i > 0; i--)
        CHECK_EQ(bough_branch_end(opened[i - 1]), 0);
    CHECK_EQ(open_all(), first);
    listen_to_reports();
    /* ends all branches inside, too, each of which checks all branches around it */
    CHECK_EQ(bough_branch_end(opened[first - INSIDE]), 0);
    CHECK(reported("left open"));
    for (int i = first - INSIDE; i > 0; i--)
        CHECK_EQ(bough_branch_end(opened[i - 1]), 0);
    CHECK_EQ(open_all(), first);
    for (int i = first; i > 0; i--)
        CHECK_EQ(bough_branch_end(opened[i - 1]), 0);
}

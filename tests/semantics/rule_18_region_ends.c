/* SPDX-License-Identifier: MIT */
/* Rule 18: a region's end is not an interruption point; there is a form that checks. */
#include "target.h"

TEST(the_end_of_a_region_is_no_point)
{
    bough_post post = post_stop(bough_self());
    struct bough_region region;
    BOUGH_CRITICAL(0) {
    }
    BOUGH_ALLOW
    {
    }
    BOUGH_CLEANUP(0) {
    }
    CHECK_EQ(bough_critical_begin(&region, 0, "here", 1), 0);
    CHECK_EQ(bough_region_end(&region), 0);
    CHECK_EQ(bough_post_status(post), BOUGH_POST_PENDING);
    CHECK_EQ(bough_clear(NULL), 1);
}

TEST(the_end_of_a_branch_is_no_point)
{
    bough_post post = post_stop(bough_self());
    BOUGH_BRANCH(b) {
    }
    CHECK_EQ(bough_post_status(post), BOUGH_POST_PENDING);
    CHECK_EQ(bough_clear(NULL), 1);
}

TEST(bough_region_end_check_delivers)
{
    struct bough_region region;
    CHECK_EQ(bough_critical_begin(&region, 0, "here", 1), 0);
    CHECK_EQ(bough_region_end_check(&region), 0);
    CHECK_EQ(bough_critical_begin(&region, 0, "here", 1), 0);
    bough_post post = post_stop(bough_self());
    CHECK_EQ(bough_check(), 0);
    CHECK_ERR(bough_region_end_check(&region), ECANCELED);
    CHECK_EQ(bough_level(), BOUGH_DEFERRED);
    CHECK_EQ(bough_post_status(post), BOUGH_POST_DELIVERED);
    CHECK_ERR(bough_region_end_check(&region), EPERM); /* the region has ended */
    CHECK_EQ(bough_clear(NULL), 1);
}

/* The inner section ends inside the outer one, which admits nothing. */
TEST(bough_region_end_check_delivers_nothing_in_an_outer_section)
{
    struct bough_region outer, inner;
    CHECK_EQ(bough_critical_begin(&outer, 0, "here", 1), 0);
    CHECK_EQ(bough_critical_begin(&inner, 0, "here", 2), 0);
    post_stop(bough_self());
    CHECK_EQ(bough_region_end_check(&inner), 0);
    CHECK_ERR(bough_region_end_check(&outer), ECANCELED);
    CHECK_EQ(bough_clear(NULL), 1);
}

static int fails_in(int kind)
{
    post_stop(bough_self());
    switch (kind) {
    case 0:
        BOUGH_CRITICAL(0) {
            errno = ENOTTY;
            return -1;
        }
        break;
    case 1:
        BOUGH_ALLOW
        {
            errno = ENOTTY;
            return -1;
        }
        break;
    case 2:
        BOUGH_CLEANUP(0) {
            errno = ENOTTY;
            return -1;
        }
        break;
    default:
        BOUGH_BRANCH(b) {
            errno = ENOTTY;
            return -1;
        }
    }
    return 0;
}

TEST(an_error_that_is_being_returned_is_not_replaced)
{
    for (int kind = 0; kind < 4; kind++) {
        CHECK_ERR(fails_in(kind), ENOTTY);
        CHECK_EQ(bough_clear(NULL), 1);
    }
}

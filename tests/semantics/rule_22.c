/* SPDX-License-Identifier: MIT */
/* Rule 22, as far as it goes without an interposer: an interrupt leaves foreign code alone, and what asks for it is
 * told the truth all the while. */
#include <bough.h>
#include <poll.h>
#include "harness.h"

TEST(foreign_code_is_left_alone_and_the_query_stays_true)
{
    CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
    CHECK_ERR(bough_check(), ECANCELED);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(poll(NULL, 0, 1), 0); /* not one of ours: it ends by its own timeout */
        CHECK_EQ(bough_interrupted(), 1);
        CHECK_ERR(bough_check(), ECANCELED);
    }
    CHECK_EQ(bough_clear(NULL), 1);
    CHECK_EQ(bough_interrupted(), 0);
}

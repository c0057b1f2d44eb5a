/* SPDX-License-Identifier: MIT */
/* Text to a descriptor: only the time in writes is limited. Fixed bug: a large dump on a busy machine was truncated. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "../harness.h"
#include "base/clock.h"
#include "inspect/safe_write.h"

static int fds[2];

static void fill(void)
{
    static const char page[4096];
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(fcntl(fds[1], F_SETPIPE_SZ, sizeof page), sizeof page);
    CHECK_EQ(write(fds[1], page, sizeof page), sizeof page);
}

static void *drains(void *writer)
{
    char page[4096];
    t_until_blocked(*(int *)writer);
    CHECK_EQ(read(fds[0], page, sizeof page), sizeof page);
    return NULL;
}

/* The first flush comes late, and the time since bo_out_open() does not count. */
TEST(the_time_between_two_writes_does_not_count)
{
    int writer = t_tid();
    struct t_thread reader;
    struct bo_out o;
    char buffer[64], text[8] = "";
    fill();
    bo_out_open(&o, fds[1], buffer, sizeof buffer);
    o.left = BO_SEC(100) * (int64_t)t_scale();
    bo_put(&o, "text");
    usleep(2100000); /* longer than a write waits */
    t_spawn(&reader, drains, &writer);
    CHECK_EQ(bo_out_close(&o), 0);
    t_join(&reader);
    CHECK_EQ(read(fds[0], text, sizeof text), 4);
    CHECK(strcmp(text, "text") == 0);
    close(fds[0]);
    close(fds[1]);
}

TEST(the_writes_together_have_a_limit)
{
    struct bo_out o;
    char buffer[64];
    fill();
    bo_out_open(&o, fds[1], buffer, sizeof buffer);
    o.left = BO_SEC(1) / 10;
    bo_put(&o, "text");
    int64_t begun = bo_clock();
    CHECK_ERR(bo_out_close(&o), EAGAIN);
    CHECK(bo_clock() - begun >= BO_SEC(1) / 10);
    CHECK(o.left <= 0);
    close(fds[0]);
    close(fds[1]);
}

TEST(nothing_is_written_after_its_time)
{
    struct bo_out o;
    char buffer[64];
    fill();
    bo_out_open(&o, fds[1], buffer, sizeof buffer);
    o.until = bo_clock() - 1;
    bo_put(&o, "text");
    CHECK_ERR(bo_out_close(&o), EAGAIN);
    close(fds[0]);
    close(fds[1]);
}

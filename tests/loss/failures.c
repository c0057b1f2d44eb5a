/* SPDX-License-Identifier: MIT */
/* A long-lived thread ends one failing branch after the other. The memory for that does not grow: the library's
 * allocations are counted (the linker replaces them by the functions below), not the time, nor the memory of the
 * process. Fixed bug: each failure was attached to the previous one, and none was ever freed. */
#include <bough.h>
#include "harness.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __wrap_free(void *p);

static _Atomic long taken, freed;

void *__wrap_malloc(size_t size)
{
    taken++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    taken++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    taken += !p;
    return __real_realloc(p, size);
}

void __wrap_free(void *p)
{
    freed += p != NULL;
    __real_free(p);
}

/* 10 million in `make check`, which asks for 100,000. */
static long rounds(void)
{
    return t_loss() < 100000 ? t_loss() : 100 * t_loss();
}

static void say_nothing(const char *line)
{
    (void)line;
}

/* The number of kept allocations, and that of allocations for one branch, is the same after a thousand branches and at
 * the end. */
static void soak(void (*branch)(long round), long count)
{
    enum { FULL = 1000, ONE = 100 };
    long kept = 0, each = 0, before = 0;
    if (count < ONE)
        count = ONE;
    bough_set_report(say_nothing);
    for (long i = 0; i < count + FULL + ONE; i++) {
        if (i == FULL || i == count + FULL)
            before = taken;
        branch(i);
        if (i == FULL + ONE - 1) {
            kept = taken - freed;
            each = taken - before;
        }
    }
    t_note("%ld branches, %ld allocations kept, %ld for %d branches", count, taken - freed, taken - before, ONE);
    CHECK_EQ(taken - freed, kept);
    CHECK_EQ(taken - before, each);
}

static void read_it(long round)
{
    BOUGH_BRANCH(request)
        bough_fail(request, EIO, "request %ld failed", round);
    CHECK_EQ(bough_last_result(), EIO);
    CHECK_EQ(bough_last()->error->count, 0);
}

TEST_LIMIT(failures_that_are_read, 120)
{
    soak(read_it, rounds());
}

static void leave_it(long round)
{
    BOUGH_BRANCH(request)
        bough_fail(request, EIO, "request %ld failed", round);
}

TEST_LIMIT(failures_that_are_not_read, 120)
{
    soak(leave_it, rounds());
}

static int fail(void *unused)
{
    (void)unused;
    return EIO;
}

/* The worker is reused, so all its allocations are made in the first rounds. */
static void end_it(long round)
{
    (void)round;
    bough_branch *request = bough_branch_open(NULL);
    CHECK(bough_add(request, fail, bough_arg(NULL)));
    CHECK_EQ(bough_branch_end(request), EIO);
}

TEST_LIMIT(failures_of_children_of_which_only_the_number_is_used, 120)
{
    soak(end_it, rounds() / 10);
}

static bough_branch *server;

static void fail_in_server(long round)
{
    leave_it(round);
    bough_fail(server, bough_last_result(), "round %ld", round);
}

TEST_LIMIT(failures_of_one_body, 120)
{
    server = bough_branch_open(NULL);
    soak(fail_in_server, rounds() / 10);
    CHECK_EQ(bough_branch_end(server), EIO);
    CHECK(bough_last()->error->count < 200);
}

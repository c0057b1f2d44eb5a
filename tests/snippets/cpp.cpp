/* SPDX-License-Identifier: MIT */
/* The parts of docs/cpp.md, run. */
#include <bough.h>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <unistd.h>

struct interrupted {
};
using job = std::function<void()>;

static int served;

static int serve(void *)
{
    served++;
    return 0;
}

static int open_connection()
{
    int ends[2];
    if (pipe(ends) != 0)
        throw std::runtime_error("pipe");
    close(ends[1]);
    return ends[0];
}

static void fail()
{
    int connection = open_connection();
#include "1.inc"
}

#include "2.inc"

static void with_options()
{
    int connection = open_connection();
#include "3.inc"
}

static void with_a_variable()
{
    int connection = open_connection();
#include "4.inc"
}

static std::mutex lock_;
static std::condition_variable changed;
static bool ordered;

static void wait_for_order()
{
    std::unique_lock<std::mutex> lock(lock_);
#include "5.inc"
}

#include "6.inc"

#define CHECK(condition)                                                      \
    do {                                                                      \
        if (!(condition))                                                     \
            return fprintf(stderr, "line %d: " #condition "\n", __LINE__), 1; \
    } while (0)

int main()
{
    fail();
    CHECK(bough_last_result() == EPROTO);
    with_options();
    CHECK(bough_last_result() == 0);
    with_a_variable();
    CHECK(bough_last_result() == 0 && served >= 2);

    CHECK(bough_interpose(nullptr, 0) > 0);
    job waits = [] { BOUGH_FOREIGN wait_for_order(); }, fails = [] { throw std::runtime_error("broken"); };
    BOUGH_BRANCH(b, .collect = 1) {
        bough_thread *child = bough_add(b, run, bough_arg(&waits));
        bough_interrupt(child, "now");
        CHECK(bough_join(child) == 0 && bough_outcome(child, nullptr) == BOUGH_INTERRUPTED);
        child = bough_add(b, run, bough_arg(&fails));
    }
    CHECK(bough_last_result() == EPROTO);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* The table of docs/cpp.md: the waits of the C++ standard library that end when their thread is interrupted. */
#include <bough.h>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <future>
#include <iostream>
#include <mutex>
#include <thread>
#if __cplusplus > 201703L
#include <barrier>
#include <latch>
#include <semaphore>
#include <shared_mutex>
#endif
#include "harness.h"

using work = std::function<void()>;

static const std::chrono::hours hours(10);

/* A child that has opted in makes one wait. */
static std::atomic<pid_t> tid;
static std::atomic<bool> returned;

static int run(void *wait)
{
    tid = t_tid();
    (*static_cast<work *>(wait))();
    returned = true;
    CHECK_EQ(bough_interrupted(), 1); /* the interrupt stays, whether the wait has ended or not */
    CHECK_ERR(bough_check(), ECANCELED);
    return ECANCELED;
}

static bough_thread *start(bough_branch *b, work &wait)
{
    bough_child_options options = {};
    options.foreign = 1;
    tid = 0;
    returned = false;
    bough_thread *child = bough_add_with(b, run, bough_arg(&wait), &options);
    CHECK(child);
    t_until(tid != 0);
    t_until_blocked(tid);
    return child;
}

static void need_interposition()
{
    if (T_TSAN || T_ASAN)
        SKIP("the sanitizer has replaced these functions of libc");
    if (bough_interpose(nullptr, 0) < 0)
        SKIP("nothing can be interposed here");
}

static void ends(work wait)
{
    BOUGH_BRANCH(b)
        CHECK_EQ(bough_interrupt(start(b, wait), "enough"), 0);
    CHECK(returned);
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 1);
}

/* `finish` makes the wait's condition true. */
static void does_not_end(work wait, work finish)
{
    BOUGH_BRANCH(b) {
        CHECK_EQ(bough_interrupt(start(b, wait), "enough"), 0);
        t_until_blocked(tid);
        CHECK(!returned);
        finish();
    }
    CHECK(returned);
}

/* ---- pauses ------------------------------------------------------------------------------------------------------ */

TEST(a_sleep_ends)
{
    need_interposition();
    ends([] { std::this_thread::sleep_for(hours); });
    ends([] { std::this_thread::sleep_until(std::chrono::steady_clock::now() + hours); });
}

/* ---- condition variables ----------------------------------------------------------------------------------------- */

static std::mutex mutex;
static std::condition_variable changed;
static std::condition_variable_any changed_any;
static bool ready;

static void set_ready()
{
    std::lock_guard<std::mutex> guard(mutex);
    ready = true;
    changed.notify_all();
    changed_any.notify_all();
}

TEST(a_condition_wait_ends_as_by_a_spurious_wakeup)
{
    need_interposition();
    ends([] {
        std::unique_lock<std::mutex> lock(mutex);
        changed.wait(lock);
        CHECK(lock.owns_lock());
    });
    ends([] {
        std::unique_lock<std::mutex> lock(mutex);
        CHECK(changed.wait_for(lock, hours) == std::cv_status::no_timeout);
    });
    ends([] {
        std::unique_lock<std::mutex> lock(mutex);
        changed_any.wait(lock);
    });
}

TEST(a_condition_wait_ends_if_its_predicate_checks_for_the_interrupt)
{
    need_interposition();
    ends([] {
        std::unique_lock<std::mutex> lock(mutex);
        changed.wait(lock, [] { return ready || bough_interrupted(); });
    });
    ends([] {
        std::unique_lock<std::mutex> lock(mutex);
        changed.wait_for(lock, hours, [] { return ready || bough_interrupted(); });
    });
}

TEST(a_condition_wait_with_another_predicate_does_not_end)
{
    need_interposition();
    does_not_end(
        [] {
            std::unique_lock<std::mutex> lock(mutex);
            changed.wait(lock, [] { return ready; });
        },
        set_ready);
}

/* ---- threads and futures ----------------------------------------------------------------------------------------- */

static void *open_when_told(void *gate)
{
    t_gate_wait(static_cast<t_gate *>(gate));
    return nullptr;
}

TEST(a_join_does_not_end)
{
    need_interposition();
    t_gate gate = {0};
    auto open = [&gate] { t_gate_open(&gate); };
    does_not_end([&gate] { std::thread(open_when_told, &gate).join(); }, open);
    gate = {0};
    does_not_end([&gate] { std::async(std::launch::async, open_when_told, &gate).wait(); }, open);
#if __cplusplus > 201703L
    gate = {0};
    does_not_end([&gate] { std::jthread thread(open_when_told, &gate); }, open);
#endif
}

TEST(a_future_does_not_end)
{
    need_interposition();
    std::promise<int> promise;
    std::future<int> future = promise.get_future();
    does_not_end([&future] { CHECK_EQ(future.get(), 7); }, [&promise] { promise.set_value(7); });
}

/* ---- locks, and the waits of C++20 ------------------------------------------------------------------------------- */

TEST(a_mutex_does_not_end)
{
    need_interposition();
    std::timed_mutex other;
    mutex.lock();
    does_not_end([] { std::lock_guard<std::mutex> guard(mutex); }, [] { mutex.unlock(); });
    other.lock();
    does_not_end([&other] { CHECK(other.try_lock_for(hours)); }, [&other] { other.unlock(); });
}

#if __cplusplus > 201703L
TEST(the_waits_of_cxx20_do_not_end)
{
    need_interposition();
    std::shared_mutex shared;
    std::latch latch(1);
    std::barrier barrier(2);
    std::counting_semaphore<> semaphore(0);
    std::atomic<int> number(0);
    shared.lock();
    does_not_end([&] { std::shared_lock guard(shared); }, [&] { shared.unlock(); });
    does_not_end([&] { latch.wait(); }, [&] { latch.count_down(); });
    does_not_end([&] { barrier.arrive_and_wait(); }, [&] { (void)barrier.arrive(); });
    does_not_end([&] { semaphore.acquire(); }, [&] { semaphore.release(); });
    does_not_end([&] { number.wait(0); }, [&] { number = 1, number.notify_all(); });
}
#endif

/* ---- streams ----------------------------------------------------------------------------------------------------- */

TEST(an_interrupted_read_of_standard_input_looks_like_its_end)
{
    need_interposition();
    int ends_of[2];
    CHECK_EQ(pipe(ends_of), 0);
    CHECK_EQ(dup2(ends_of[0], STDIN_FILENO), STDIN_FILENO);
    ends([] {
        std::string word;
        CHECK(!(std::cin >> word));
        CHECK(std::cin.eof());
    });
    close(ends_of[0]);
    close(ends_of[1]);
}

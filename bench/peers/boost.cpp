/* SPDX-License-Identifier: MIT */
/* Boost.Thread's interruption. It ends only Boost's waits, so the thread blocks in a condition here, not in a read. */
#include "../bench.h"

#include <boost/thread.hpp>

/* Outside a boost::thread the interruption point has no thread to test, and is cheaper than in real use. */
static void check(struct batch *batch)
{
    boost::thread thread([batch] {
        int64_t start = bench_now();
        for (size_t i = 0; i < batch->n; i++) {
            boost::this_thread::interruption_point();
            bench_barrier();
        }
        bench_record(batch, bench_now() - start, batch->n);
    });
    thread.join();
}

static boost::mutex mutex;
static boost::condition_variable condition;

static void waiter()
{
    boost::unique_lock<boost::mutex> lock(mutex);
    bench_blocking();
    for (;;)
        condition.wait(lock); /* throws boost::thread_interrupted */
}

static void post(struct batch *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        boost::thread thread(waiter);
        bench_await_blocked();
        int64_t start = bench_now();
        thread.interrupt();
        thread.join();
        bench_record(batch, bench_now() - start, 1);
    }
}

extern "C" const struct contender bench_boost[] = {
    {BENCH_CHECK, "Boost.Thread point", nullptr, check, nullptr},
    {BENCH_POST, "Boost.Thread, condition", nullptr, post, nullptr},
    {BENCH_CHECK, nullptr, nullptr, nullptr, nullptr},
};

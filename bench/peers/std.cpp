/* SPDX-License-Identifier: MIT */
/* C++20: std::stop_token, std::jthread with an eventfd to wake a poll, std::async. */
#include "../bench.h"

#include <cerrno>
#include <cstring>
#include <future>
#include <poll.h>
#include <stop_token>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>

static void check(struct batch *batch)
{
    std::stop_source source;
    std::stop_token token = source.get_token();
    int64_t start = bench_now();
    for (size_t i = 0; i < batch->n; i++) {
        if (__builtin_expect(token.stop_requested(), 0))
            bench_die("stop_requested() is true without a request");
        bench_barrier();
    }
    bench_record(batch, bench_now() - start, batch->n);
}

/* A C++ program that wants to stop a thread in a read polls the descriptor and an eventfd, to which a stop_callback
 * writes. There is never anything to read, so the read is left out. */
static void reader(std::stop_token token)
{
    int wake = eventfd(0, EFD_CLOEXEC);
    if (wake < 0)
        bench_die("eventfd(): %s", strerror(errno));
    {
        std::stop_callback on_stop(token, [wake] {
            if (eventfd_write(wake, 1) != 0)
                bench_die("eventfd_write(): %s", strerror(errno));
        });
        struct pollfd wait[2] = {{bench_empty(), POLLIN, 0}, {wake, POLLIN, 0}};
        bench_blocking();
        while (!token.stop_requested())
            if (poll(wait, 2, -1) < 0 && errno != EINTR)
                bench_die("poll(): %s", strerror(errno));
    }
    close(wake);
}

static void post(struct batch *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        std::jthread thread(reader);
        bench_await_blocked();
        int64_t start = bench_now();
        thread.request_stop();
        thread.join();
        bench_record(batch, bench_now() - start, 1);
    }
}

static void async_get(struct batch *batch)
{
    int64_t start = bench_now();
    for (size_t i = 0; i < batch->n; i++)
        std::async(std::launch::async, [] { return 0; }).get();
    bench_record(batch, bench_now() - start, batch->n);
}

extern "C" const struct contender bench_std[] = {
    {BENCH_CHECK, "std::stop_token", nullptr, check, nullptr},
    {BENCH_POST, "std::jthread, eventfd", nullptr, post, nullptr},
    {BENCH_SPAWN, "std::async(), get", nullptr, async_get, nullptr},
    {BENCH_CHECK, nullptr, nullptr, nullptr, nullptr},
};

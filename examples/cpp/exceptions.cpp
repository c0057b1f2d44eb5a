/* SPDX-License-Identifier: MIT */
/*
 * bough in C++: where exceptions begin, end and propagate. docs/cpp.md explains it.
 *
 *   - a failed call becomes an exception: must()
 *   - an exception ends at the border of its thread and becomes the child's failure: start()
 *   - an exception that leaves a block interrupts and joins the children first: serve()
 *   - a wait of the standard library ends on an interrupt, because its predicate asks: await_order()
 */
#include <bough.h>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <system_error>

/* ---- a thin layer, which a program writes once ---------------------------------------------------------------- */

struct interrupted : std::runtime_error {
    interrupted() : std::runtime_error("interrupted")
    {
    }
};

static long must(long result, const char *call)
{
    if (result >= 0)
        return result;
    if (errno == ECANCELED)
        throw interrupted();
    throw std::system_error(errno, std::generic_category(), call);
}

using job = std::function<void()>;

/* No exception may leave a child's function: that would end the process by std::terminate(), as for a std::thread. */
static int run(void *value) noexcept
{
    try {
        (*static_cast<job *>(value))();
        return 0;
    } catch (const interrupted &) {
        return ECANCELED;
    } catch (const std::system_error &e) {
        return bough_fail(BOUGH_SELF, e.code().value(), "%s", e.what());
    } catch (const std::exception &e) {
        return bough_fail(BOUGH_SELF, EPROTO, "%s", e.what());
    }
}

static void dispose(void *value) noexcept
{
    delete static_cast<job *>(value);
}

/* `foreign`: calls of code that was not written for bough are interruptible in the child, the standard library's
 * too. */
static void start(bough_branch *branch, job work, bool foreign = false)
{
    bough_child_options options = {};
    options.foreign = foreign;
    bough_resource resource = bough_resource_of(new job(std::move(work)), dispose);
    must(bough_add_with(branch, run, resource, &options) ? 0 : -1, "bough_add");
}

/* ---- its use -------------------------------------------------------------------------------------------------- */

static void wait_for_request()
{
    must(bough_usleep(1000000000), "usleep");
}

/* Without an exception the block would wait for the two children, which do not end by themselves. */
static void serve()
{
    BOUGH_BRANCH(clients) {
        start(clients, wait_for_request);
        start(clients, wait_for_request);
        throw std::runtime_error("the configuration is wrong");
    }
}

static void left_by_an_exception()
{
    try {
        serve();
    } catch (const std::runtime_error &e) {
        std::printf("serve: %s; %zu children interrupted\n", e.what(), bough_last()->tally.count[BOUGH_INTERRUPTED]);
    }
}

static void exception_of_a_child()
{
    BOUGH_BRANCH(pages) {
        start(pages, wait_for_request);
        start(pages, [] { throw std::runtime_error("page 7 is empty"); });
    }
    if (bough_last_result() != 0)
        std::printf("pages: %s\n", bough_last()->error->message);
}

static std::mutex mutex;
static std::condition_variable changed;
static bool ordered;

static void await_order()
{
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [] { return ordered || bough_interrupted(); });
    if (!ordered)
        must(bough_check(), "wait");
}

static void wait_with_a_deadline()
{
    bough_branch_options options = {};
    options.timeout = BOUGH_MS(100);
    BOUGH_BRANCH(orders, options)
        start(orders, await_order, true);
    std::printf("orders: %s\n", std::strerror(bough_last_result()));
}

int main()
{
    if (bough_interpose(nullptr, 0) < 0)
        std::perror("bough_interpose"); /* in a static program: then await_order() waits for an order alone */
    left_by_an_exception();
    exception_of_a_child();
    wait_with_a_deadline();
    return 0;
}

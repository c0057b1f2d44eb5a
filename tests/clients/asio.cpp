/* SPDX-License-Identifier: MIT */
/* Boost.Asio: its loop, and reads from a silent peer. */
#include "wait.h"
#include <chrono>
#include <system_error>
#include <utility>
#include <boost/asio.hpp>

namespace asio = boost::asio;

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static asio::io_context *volatile loop;

static int run_loop()
{
    asio::io_context io;
    asio::steady_timer timer(io, std::chrono::hours(1));
    timer.async_wait([](const boost::system::error_code &) {});
    loop = &io;
    io.run();
    return 0;
}

static void stop_loop()
{
    loop->stop();
}

WAIT(io_context_run, .library = "Boost.Asio", .call = "io_context::run()", .run = run_loop, .release = stop_loop,
     .why = "ignores a failed epoll_wait() and waits again; io_context::stop() ends it",
     .line = "boost/asio/detail/impl/epoll_reactor.ipp:471", .dumped = "epoll_wait() called by")

/* ---- a read ------------------------------------------------------------------------------------------------------ */

static int read_silent()
{
    asio::io_context io;
    asio::local::stream_protocol::socket here(io), there(io);
    asio::local::connect_pair(here, there);
    char byte;
    try {
        asio::read(here, asio::buffer(&byte, 1));
    } catch (const boost::system::system_error &error) {
        return 0;
    }
    return 1;
}

WAIT(read, .library = "Boost.Asio", .call = "read() of a socket", .run = read_silent)

static int read_silent_non_blocking()
{
    asio::io_context io;
    asio::local::stream_protocol::socket here(io), there(io);
    asio::local::connect_pair(here, there);
    here.native_non_blocking(true); /* as after any asynchronous call: then read() polls */
    char byte;
    try {
        asio::read(here, asio::buffer(&byte, 1));
    } catch (const boost::system::system_error &error) {
        return 0;
    }
    return 1;
}

WAIT(read_non_blocking, .library = "Boost.Asio", .call = "read() of a socket that has made asynchronous calls",
     .run = read_silent_non_blocking)

/* SPDX-License-Identifier: MIT */
/* Boost.Thread: joins, condition variables, sleeps. */
#include "wait.h"
#define BOOST_THREAD_VERSION 4
#include <boost/thread.hpp>
#include <boost/thread/future.hpp>

static int join_thread()
{
    boost::thread thread(gate_pass);
    thread.join();
    return 0;
}

WAIT(thread_join, .library = "Boost.Thread", .call = "thread::join()", .run = join_thread, .release = gate_open,
     .why = "a condition wait with a predicate, and a join", .line = "libs/thread/src/pthread/thread.cpp:326",
     .dumped = "libboost_thread")

/* Never destroyed: if exit() destroyed the object while a thread waits for it, exit() would hang. */
static boost::mutex &mutex = *new boost::mutex;
static boost::condition_variable &cond = *new boost::condition_variable;
static bool done;

static int wait_for_cond()
{
    boost::unique_lock<boost::mutex> lock(mutex);
    while (!done)
        cond.wait(lock);
    done = false;
    return 0;
}

static void signal_cond()
{
    boost::lock_guard<boost::mutex> lock(mutex);
    done = true;
    cond.notify_one();
}

WAIT(condition_variable, .library = "Boost.Thread", .call = "condition_variable::wait()", .run = wait_for_cond,
     .release = signal_cond, .why = "a condition wait with a predicate",
     .line = "boost/thread/pthread/condition_variable.hpp:79", .dumped = "pthread_cond_wait() called by")

static int get_future()
{
    boost::future<void> future = boost::async(boost::launch::async, gate_pass);
    future.get();
    return 0;
}

WAIT(future_get, .library = "Boost.Thread", .call = "future::get() of async()", .run = get_future, .release = gate_open,
     .why = "a condition wait with a predicate", .line = "boost/thread/future.hpp:396",
     .dumped = "pthread_cond_wait() called by")

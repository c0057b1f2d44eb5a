/* SPDX-License-Identifier: MIT */
/* The C++ standard library's threads, futures, condition variables and sleeps: libstdc++'s, and libc++'s. */
#include "wait.h"
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>
#if __has_include(<semaphore>)
#include <semaphore>
#endif

#ifdef _LIBCPP_VERSION
#define LIBRARY "libc++"
#define LINE(gnu, llvm) llvm
#else
#define LIBRARY "libstdc++"
#define LINE(gnu, llvm) gnu
#endif

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static int join_thread()
{
    std::thread thread(gate_pass);
    thread.join();
    return 0;
}

WAIT(thread_join, .library = LIBRARY, .call = "thread::join()", .run = join_thread, .release = gate_open,
     .why = "a join", .line = LINE("src/c++11/thread.cc:112", "src/thread.cpp:48"), .dumped = "joins thread")

#ifdef __cpp_lib_jthread
static int leave_jthread()
{
    std::jthread thread(gate_pass);
    return 0;
}

WAIT(jthread, .library = LIBRARY, .call = "~jthread()", .run = leave_jthread, .release = gate_open, .why = "a join",
     .line = "include/std/thread:170", .dumped = "joins thread")
#endif

/* ---- futures ----------------------------------------------------------------------------------------------------- */

static int get_async()
{
    std::async(std::launch::async, gate_pass).get();
    return 0;
}

WAIT(async_get, .library = LIBRARY, .call = "future::get() of async()", .run = get_async, .release = gate_open,
     .why = LINE("a join", "a condition wait with a predicate"),
     .line = LINE("include/std/future:1712", "src/future.cpp:168"),
     .dumped = LINE("joins thread", "pthread_cond_wait() called by"))

static std::promise<int> *volatile promise;

static int get_promised()
{
    std::promise<int> own;
    std::future<int> future = own.get_future();
    promise = &own;
    return future.get();
}

static void keep_promise()
{
    promise->set_value(0);
}

WAIT(promise_get, .library = LIBRARY, .call = "future::get() of a promise", .run = get_promised,
     .release = keep_promise, .why = LINE("makes the system call itself", "a condition wait with a predicate"),
     .line = LINE("src/c++11/futex.cc:122", "src/future.cpp:168"), .dumped = "futex")

/* ---- condition variables ----------------------------------------------------------------------------------------- */

/* Never destroyed: if exit() destroyed the object while a thread waits for it, exit() would hang. */
static std::mutex &mutex = *new std::mutex;
static std::condition_variable &cond = *new std::condition_variable;
static bool done;

static int wait_for_cond()
{
    std::unique_lock<std::mutex> lock(mutex);
    cond.wait(lock, [] { return done; });
    done = false;
    return 0;
}

static int wait_for_cond_an_hour()
{
    std::unique_lock<std::mutex> lock(mutex);
    bool was_done = cond.wait_for(lock, std::chrono::hours(1), [] { return done; });
    done = false;
    return !was_done;
}

static void signal_cond()
{
    std::lock_guard<std::mutex> lock(mutex);
    done = true;
    cond.notify_one();
}

WAIT(cond_wait, .library = LIBRARY, .call = "condition_variable::wait()", .run = wait_for_cond, .release = signal_cond,
     .why = "a condition wait with a predicate",
     .line = LINE("include/std/condition_variable:101", "include/__mutex_base:402"),
     .dumped = "pthread_cond_wait() called by")

WAIT(cond_wait_for, .library = LIBRARY, .call = "condition_variable::wait_for()", .run = wait_for_cond_an_hour,
     .release = signal_cond, .why = "a condition wait with a predicate",
     .line = LINE("include/std/condition_variable:150", "include/__mutex_base:430"), .dumped = "wait() called by")

static int wait_without_predicate()
{
    std::unique_lock<std::mutex> lock(mutex);
    cond.wait(lock);
    return 0;
}

WAIT(cond_wait_once, .library = LIBRARY, .call = "condition_variable::wait() without a predicate",
     .run = wait_without_predicate)

/* ---- semaphores and atomics -------------------------------------------------------------------------------------- */

#ifdef __cpp_lib_semaphore
static std::counting_semaphore<8> semaphore(0);

static int acquire()
{
    semaphore.acquire();
    return 0;
}

static void release()
{
    semaphore.release();
}

WAIT(semaphore, .library = LIBRARY, .call = "counting_semaphore::acquire()", .run = acquire, .release = release,
     .why = "makes the system call itself", .line = LINE("include/bits/atomic_wait.h:108", "src/atomic.cpp:43"),
     .dumped = "futex")
#endif

#ifdef __cpp_lib_atomic_wait
static std::atomic<int> word;

static int wait_for_word()
{
    word.wait(0);
    word = 0;
    return 0;
}

static void set_word()
{
    word = 1;
    word.notify_all();
}

WAIT(atomic_wait, .library = LIBRARY, .call = "atomic::wait()", .run = wait_for_word, .release = set_word,
     .why = "makes the system call itself", .line = LINE("include/bits/atomic_wait.h:108", "src/atomic.cpp:43"),
     .dumped = "futex")
#endif

/* ---- sleeps ------------------------------------------------------------------------------------------------------ */

static int sleep_long()
{
    std::this_thread::sleep_for(std::chrono::hours(1));
    return 0;
}

WAIT(sleep_for, .library = LIBRARY, .call = "this_thread::sleep_for()", .run = sleep_long)

/* SPDX-License-Identifier: MIT */
/* libuv: its loop and its waits abort on every error but EINTR, on which they retry. */
#include "wait.h"
#include <uv.h>

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static uv_loop_t loop;
static uv_async_t async;

static void on_async(uv_async_t *handle)
{
    uv_stop(handle->loop);
}

static void on_timer(uv_timer_t *timer)
{
    (void)timer;
}

static void close_handle(uv_handle_t *handle, void *unused)
{
    (void)unused;
    uv_close(handle, NULL);
}

static int run_loop(void)
{
    uv_timer_t timer;
    CHECK_EQ(uv_loop_init(&loop), 0);
    CHECK_EQ(uv_async_init(&loop, &async, on_async), 0);
    CHECK_EQ(uv_timer_init(&loop, &timer), 0);
    CHECK_EQ(uv_timer_start(&timer, on_timer, 3600000, 0), 0);
    CHECK(uv_run(&loop, UV_RUN_DEFAULT) != 0);
    uv_walk(&loop, close_handle, NULL);
    CHECK_EQ(uv_run(&loop, UV_RUN_DEFAULT), 0);
    return uv_loop_close(&loop);
}

static void stop_loop(void)
{
    uv_async_send(&async);
}

WAIT(uv_run, .library = "libuv", .call = "uv_run()", .run = run_loop, .release = stop_loop,
     .finish = uv_library_shutdown, .why = "retries on EINTR, aborts on other errors; uv_async_send() ends it",
     .line = "src/unix/epoll.c:283", .dumped = "called by libuv.so.1 failed with EINTR")

/* ---- a thread ---------------------------------------------------------------------------------------------------- */

static void work(void *unused)
{
    gate_thread(unused);
}

static int join_thread(void)
{
    uv_thread_t thread;
    CHECK_EQ(uv_thread_create(&thread, work, NULL), 0);
    return uv_thread_join(&thread);
}

WAIT(uv_thread_join, .library = "libuv", .call = "uv_thread_join()", .run = join_thread, .release = gate_open,
     .why = "a join", .line = "src/unix/thread.c:293", .dumped = "joins thread")

/* ---- locks ------------------------------------------------------------------------------------------------------- */

static uv_mutex_t mutex;
static uv_cond_t cond;
static bool done;

static void make_cond(void)
{
    CHECK_EQ(uv_mutex_init(&mutex), 0);
    CHECK_EQ(uv_cond_init(&cond), 0);
}

static void destroy_cond(void)
{
    uv_cond_destroy(&cond);
    uv_mutex_destroy(&mutex);
}

static int wait_for_cond(void)
{
    uv_mutex_lock(&mutex);
    while (!done)
        uv_cond_wait(&cond, &mutex);
    done = false;
    uv_mutex_unlock(&mutex);
    return 0;
}

static void signal_cond(void)
{
    uv_mutex_lock(&mutex);
    done = true;
    uv_cond_signal(&cond);
    uv_mutex_unlock(&mutex);
}

WAIT(uv_cond_wait, .library = "libuv", .call = "uv_cond_wait()", .prepare = make_cond, .run = wait_for_cond,
     .release = signal_cond, .finish = destroy_cond, .why = "a condition wait with a predicate",
     .line = "src/unix/thread.c:800", .dumped = "pthread_cond_wait() called by libuv.so.1 ended early")

static uv_sem_t sem;

static void make_sem(void)
{
    CHECK_EQ(uv_sem_init(&sem, 0), 0);
}

static void destroy_sem(void)
{
    uv_sem_destroy(&sem);
}

static int wait_for_sem(void)
{
    uv_sem_wait(&sem);
    return 0;
}

static void post_sem(void)
{
    uv_sem_post(&sem);
}

WAIT(uv_sem_wait, .library = "libuv", .call = "uv_sem_wait()", .prepare = make_sem, .run = wait_for_sem,
     .release = post_sem, .finish = destroy_sem, .why = "retries on EINTR, aborts on other errors",
     .line = "src/unix/thread.c:646", .dumped = "sem_wait() called by libuv.so.1 failed with EINTR")

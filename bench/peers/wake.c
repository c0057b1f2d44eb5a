/* SPDX-License-Identifier: MIT */
/*
 * The floor of "post to joined": one thread wakes another, and is woken by it. Nothing begins, ends or is recorded.
 *
 * bare futex wakes   The other thread waits for a word. It is a wake, a switch, and both again on the way
 *                    back. No request to a sleeping thread can be answered faster.
 * bare signal        The other thread is in read(), as the contenders' threads are, so that only a signal reaches it:
 *                    a handler that does nothing, EINTR, and a wake back.
 */
#include "../bench.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint32_t there, back; /* 1: the wake was sent. The woken thread clears it */
static int over;

static void say(uint32_t *word)
{
    __atomic_store_n(word, 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void await(uint32_t *word)
{
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == 0)
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    __atomic_store_n(word, 0, __ATOMIC_RELAXED);
}

static void *waits_for_word(void *unused)
{
    for (;;) {
        bench_blocking();
        await(&there);
        if (__atomic_load_n(&over, __ATOMIC_RELAXED))
            return unused;
        say(&back);
    }
}

static void *reads(void *unused)
{
    char byte;
    for (;;) {
        bench_blocking();
        if (read(bench_empty(), &byte, 1) >= 0 || errno != EINTR)
            bench_die("read(): not interrupted by the signal");
        if (__atomic_load_n(&over, __ATOMIC_RELAXED))
            return unused;
        say(&back);
    }
}

static void wake_word(pthread_t unused)
{
    (void)unused;
    say(&there);
}

static void wake_read(pthread_t thread)
{
    pthread_kill(thread, SIGUSR2);
}

static void nothing(int unused)
{
    (void)unused;
}

static const char *handle(void)
{
    struct sigaction action = {.sa_handler = nothing}; /* no SA_RESTART */
    return sigaction(SIGUSR2, &action, NULL) == 0 ? NULL : "no handler";
}

static void there_and_back(struct batch *batch, void *(*fn)(void *), void (*wake)(pthread_t))
{
    pthread_t thread;
    over = 0;
    int error = pthread_create(&thread, NULL, fn, NULL);
    if (error)
        bench_die("pthread_create(): %s", strerror(error));
    for (size_t i = 0; i < batch->n; i++) {
        bench_await_blocked();
        int64_t start = bench_now();
        wake(thread);
        await(&back);
        bench_record(batch, bench_now() - start, 1);
    }
    bench_await_blocked();
    __atomic_store_n(&over, 1, __ATOMIC_RELAXED);
    wake(thread);
    pthread_join(thread, NULL);
}

static void futexes(struct batch *batch)
{
    there_and_back(batch, waits_for_word, wake_word);
}

static void signals(struct batch *batch)
{
    there_and_back(batch, reads, wake_read);
}

const struct contender bench_wake[] = {
    {BENCH_POST, "bare futex wakes", NULL, futexes, NULL},
    {BENCH_POST, "bare signal", handle, signals, NULL},
    {0, NULL, NULL, NULL, NULL},
};

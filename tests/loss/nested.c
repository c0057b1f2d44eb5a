/* SPDX-License-Identifier: MIT */
/* Handlers of the program interrupt a blocked call, make calls and open regions: the blocked call still ends (rules 5,
 * 8). */
#include "one_thread.h"
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>

/* ---- one handler, one post --------------------------------------------------------------------------------------- */

static int channel[2], other[2];
static sem_t semaphore;
static struct t_gate on_top, posted;
static int error_on_top;

static void *block_in_read(void *argument)
{
    char byte;
    rain.self = bough_self();
    t_gate_open(&rain.known);
    CHECK_ERR(bough_read(channel[0], &byte, 1), ECANCELED);
    CHECK_EQ(bough_clear(NULL), 1);
    rain.ended = true;
    return argument;
}

static void post_while_on_top(void (*handler)(int))
{
    struct t_thread thread;
    needs_handlers_in_calls();
    if (under_valgrind())
        SKIP("valgrind ignores what a handler writes into the mask of the interrupted code");
    CHECK_EQ(pipe(channel), 0);
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler, .sa_flags = SA_RESTART}, NULL);
    t_spawn(&thread, block_in_read, NULL);
    t_gate_wait(&rain.known);
    t_until_blocked(thread.tid);
    syscall(SYS_tgkill, getpid(), thread.tid, SIGUSR1);
    t_gate_wait(&on_top);
    CHECK_EQ(bough_interrupt(rain.self, NULL), 0);
    t_gate_open(&posted);
    t_until(rain.ended);
    t_join(&thread);
    close(channel[0]);
    close(channel[1]);
}

static void wait_on_top(int signo)
{
    (void)signo;
    t_gate_open(&on_top);
    t_gate_wait(&posted);
}

TEST(a_post_in_a_handler_ends_the_blocked_call)
{
    post_while_on_top(wait_on_top);
}

/* The section keeps the record out when it is posted. The record is due when the section ends, and then only the thread
 * itself can end the call. */
static void critical_on_top(int signo)
{
    BOUGH_CRITICAL(0) {
        wait_on_top(signo);
        CHECK_EQ(bough_check(), 0);
    }
}

TEST(a_post_in_a_handlers_critical_section_ends_the_blocked_call)
{
    post_while_on_top(critical_on_top);
}

static void cleanup_on_top(int signo)
{
    BOUGH_CLEANUP(0) {
        wait_on_top(signo);
    }
}

TEST(a_post_in_a_handlers_cleanup_region_ends_the_blocked_call)
{
    post_while_on_top(cleanup_on_top);
}

/* The wake finds the nested call, and not the outer one. */
static void read_on_top(int signo)
{
    char byte;
    (void)signo;
    t_gate_open(&on_top);
    error_on_top = bough_read(other[0], &byte, 1) < 0 ? errno : 0;
}

TEST(a_wake_to_a_nested_call_ends_both_calls)
{
    CHECK_EQ(pipe(other), 0);
    post_while_on_top(read_on_top);
    CHECK_EQ(error_on_top, ECANCELED);
    close(other[0]);
    close(other[1]);
}

/* ---- random interrupts in both calls ----------------------------------------------------------------------------- */

static int turn_read_pipe(uint64_t *random)
{
    char byte;
    (void)random;
    return bough_read(channel[0], &byte, 1) < 0 ? -1 : 0;
}

static void feed_all(uint64_t *random)
{
    char byte;
    int value;
    rain_pause(random);
    if (t_random(random) & 1 && write(channel[1], "x", 1) < 0)
        CHECK_EQ(errno, EAGAIN);
    if (read(other[0], &byte, 1) < 0)
        CHECK_EQ(write(other[1], "y", 1), 1);
    sem_getvalue(&semaphore, &value);
    if (value == 0)
        sem_post(&semaphore);
}

static void fall_on_both(void (*nested)(uint64_t *))
{
    CHECK_EQ(pipe2(channel, O_NONBLOCK), 0);
    CHECK_EQ(pipe2(other, O_NONBLOCK), 0);
    fcntl(channel[0], F_SETFL, 0);
    sem_init(&semaphore, 0, 0);
    rain.turn = turn_read_pipe;
    rain.feed = feed_all;
    rain.nested = nested;
    rain_fall();
    for (int i = 0; i < 2; i++) {
        close(channel[i]);
        close(other[i]);
    }
}

static void poll_on_top(uint64_t *random)
{
    struct timespec moment = {0, (long)(t_random(random) % 60000)};
    bough_ppoll(&(struct pollfd){other[0], POLLIN, 0}, 1, &moment, NULL);
}

TEST_LIMIT(rain_on_nested_polls, 1000)
{
    fall_on_both(poll_on_top);
}

static void regions_on_top(uint64_t *random)
{
    BOUGH_CRITICAL(0) {
        rain_spin((int64_t)(t_random(random) % 30000));
        if (t_random(random) & 1)
            poll_on_top(random);
    }
    if (t_random(random) & 1)
        bough_check();
}

TEST_LIMIT(rain_on_nested_regions, 1000)
{
    if (under_qemu())
        SKIP("emulated nested handlers starve the thread they interrupt");
    fall_on_both(regions_on_top);
}

/* A wait inside libc, in a handler that has interrupted a system call. POSIX does not allow handlers to do that; it
 * works nevertheless. */
static void semaphore_on_top(uint64_t *random)
{
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += (long)(t_random(random) % 60000);
    soon.tv_sec += soon.tv_nsec / 1000000000;
    soon.tv_nsec %= 1000000000;
    bough_sem_timedwait(&semaphore, &soon);
}

TEST_LIMIT(rain_on_nested_semaphores, 1000)
{
    fall_on_both(semaphore_on_top);
}

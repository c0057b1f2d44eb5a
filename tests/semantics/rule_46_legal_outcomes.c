/* SPDX-License-Identifier: MIT */
/* Rule 46: an interrupted call of foreign code fails only in ways that its standard allows and that its caller
 * survives. This program's calls of libc play the part of foreign code. The interposed tests of tests/calls cover each
 * row of the table of calls. */
#include <poll.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <threads.h>
#include <time.h>
#include "foreign.h"

/* A pause that is not interrupted, unless the grace period is over by now. */
static void short_pause(int64_t over)
{
    if (poll(NULL, 0, 1) != 0)
        CHECK(errno == EINTR && t_now() >= over);
}

/* The retry loop of code that was written for POSIX: one place that calls again after EINTR. */
__attribute__((noinline)) static ssize_t read_retried(int fd)
{
    char byte;
    ssize_t n;
    do
        n = read(fd, &byte, 1);
    while (n < 0 && errno == EINTR);
    return n;
}

TEST(a_retry_loop_gets_another_error)
{
    interpose();
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        CHECK_ERR(read_retried(t_silent()), ECANCELED);
        CHECK_EQ(wait_for(1), 0);
    }
}

TEST(a_loop_with_another_blocking_call_is_no_retry_loop)
{
    interpose();
    set_grace(GRACE_NS);
    BOUGH_FOREIGN
    {
        int64_t posted = t_now();
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        for (int i = 0; i < 3; i++) {
            /* The later calls fail when the grace period ends: by then the library has seen that the caller retries. */
            CHECK_ERR(wait_here(10000), i == 0 ? EINTR : ECANCELED);
            CHECK(t_now() - posted >= i * GRACE_NS);
            short_pause(posted + (i + 1) * GRACE_NS);
        }
    }
}

/* An event loop, which polls without waiting before it waits again. */
TEST(a_poll_without_waiting_does_not_hide_a_retry_loop)
{
    char byte;
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    interpose();
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        for (int i = 0; i < 2; i++) {
            CHECK_ERR(wait_here(10000), i == 0 ? EINTR : ECANCELED);
            CHECK_ERR(recv(fds[0], &byte, 1, 0), EAGAIN);
            CHECK_EQ(write(fds[1], "", 0), 0);
        }
    }
    close(fds[0]);
    close(fds[1]);
}

/* libssh2 does this: it sends a closing message to its peer and waits for the answer, at the call site of the
 * interrupted wait. */
TEST(sending_a_message_and_waiting_for_its_answer_is_no_retry_loop)
{
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    interpose();
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        for (int i = 0; i < 2; i++) {
            int n = poll(&(struct pollfd){fds[0], POLLIN, 0}, 1, i == 0 ? 10000 : 20);
            CHECK_EQ(n, i == 0 ? -1 : 0);
            CHECK_EQ(send(fds[0], "bye", 3, 0), 3);
        }
    }
    close(fds[0]);
    close(fds[1]);
}

TEST(a_cleared_interrupt_ends_a_retry_loop)
{
    interpose();
    BOUGH_FOREIGN
    {
        for (int i = 0; i < 2; i++) {
            if (i == 0)
                CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
            int n = wait_here(10);
            CHECK_EQ(n, i == 0 ? -1 : 0);
            bough_clear(NULL);
        }
    }
}

TEST(a_record_that_comes_during_a_retry_loop_begins_with_eintr)
{
    interpose();
    BOUGH_FOREIGN
    {
        for (int i = 0; i < 2; i++) {
            struct bough_event event = {.kind = i == 0 ? BOUGH_STOP : BOUGH_OPERATOR};
            CHECK(bough_post_event(bough_self(), &event).record != 0);
            CHECK_ERR(wait_here(10000), EINTR);
        }
    }
}

TEST(a_pause_ends_once_and_the_next_call_is_interrupted_at_once)
{
    interpose();
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        CHECK_ERR(usleep(10000000), EINTR); /* many libraries ignore the result */
        for (int i = 0; i < 10; i++) {
            CHECK_EQ(usleep(100), 0); /* `while (!ready) usleep(100);` does not spin */
            CHECK_EQ(poll(NULL, 0, 1), 0);
            CHECK_EQ(select(0, NULL, NULL, NULL, &(struct timeval){0, 100}), 0);
        }
        CHECK_ERR(wait_for(10000), EINTR);
        CHECK_EQ(usleep(100), 0);
    }
}

__attribute__((noinline)) static int sleep_all_of_it(struct timespec *left)
{
    int tries = 0, r;
    do {
        r = nanosleep(left, left);
        tries++;
    } while (r != 0 && errno == EINTR);
    return tries;
}

TEST(a_pause_that_is_retried_ends_with_success)
{
    struct timespec left = {1000, 0};
    interpose();
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        CHECK_EQ(sleep_all_of_it(&left), 2);
        CHECK(left.tv_sec > 900);
        CHECK_ERR(wait_for(10000), EINTR);
    }
}

TEST(a_pause_ends_again_after_the_grace_period)
{
    interpose();
    set_grace(GRACE_NS);
    BOUGH_FOREIGN
    {
        int64_t posted = t_now();
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        for (int i = 0; i < 3; i++) {
            CHECK(sleep(100) > 0);
            CHECK(t_now() - posted >= i * GRACE_NS);
            short_pause(posted + (i + 1) * GRACE_NS); /* waits, so that the next pause is no retry */
        }
        CHECK_EQ(bough_interrupted(), 1);
    }
}

TEST(a_condition_wait_wakes_spuriously_once)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
    struct timespec soon;
    interpose();
    BOUGH_FOREIGN
    {
        pthread_mutex_lock(&mutex);
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        CHECK_EQ(pthread_cond_wait(&cond, &mutex), 0);
        clock_gettime(CLOCK_REALTIME, &soon);
        CHECK_EQ(pthread_cond_timedwait(&cond, &mutex, &soon), ETIMEDOUT);
        pthread_mutex_unlock(&mutex);
        CHECK_ERR(wait_for(10000), EINTR); /* the wakeup has not delivered anything */
    }
}

/* The usual loop treats every other failure as a token. */
static void *posts_later(void *semaphore)
{
    t_until_blocked(*(pid_t *)semaphore);
    sem_post((sem_t *)((char *)semaphore + sizeof(pid_t) * 4));
    return NULL;
}

TEST(a_retried_semaphore_gets_no_other_error_and_the_interrupt_stays_due)
{
    static struct {
        pid_t waiter, padding[3];
        sem_t semaphore;
    } shared;
    struct t_thread poster;
    int rounds = 0;
    interpose();
    CHECK_EQ(sem_init(&shared.semaphore, 0, 0), 0);
    shared.waiter = t_tid();
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        for (int failed = 1; failed; rounds++) {
            if (rounds == 1)
                t_spawn(&poster, posts_later, &shared);
            failed = sem_wait(&shared.semaphore) != 0;
            CHECK(!failed || errno == EINTR);
        }
        CHECK_EQ(rounds, 2);
    }
    t_join(&poster);
}

static void *sleeps(void *gate)
{
    t_gate_wait(gate);
    return NULL;
}

static struct t_gate gate;
static struct t_thread joined;
static _Atomic pid_t joiner;

static int joins(void *unused)
{
    (void)unused;
    joiner = t_tid();
    CHECK_EQ(pthread_join(joined.handle, NULL), 0);
    return bough_check() ? ECANCELED : 0;
}

TEST(a_join_is_never_interrupted_and_the_report_names_the_thread)
{
    char text[16384], wanted[64];
    interpose();
    t_spawn(&joined, sleeps, &gate);
    BOUGH_BRANCH(b, .collect = 1) {
        bough_thread *child = bough_add_with(b, joins, bough_arg(NULL), &(struct bough_child_options){.foreign = 1});
        t_until(joiner != 0);
        t_until_blocked(joiner);
        CHECK_EQ(bough_interrupt(child, "stop"), 0);
        t_until_blocked(joiner);
        int fd = memfd_create("dump", 0);
        CHECK_EQ(bough_dump(fd), 0);
        ssize_t n = pread(fd, text, sizeof text - 1, 0);
        CHECK(n > 0);
        text[n] = '\0';
        close(fd);
        snprintf(wanted, sizeof wanted, "joins thread %d", (int)joined.tid);
        if (!strstr(text, wanted))
            FAIL("no \"%s\" in:\n%s", wanted, text);
        t_gate_open(&gate);
        CHECK_EQ(bough_join(child), 0);
        CHECK_EQ(bough_outcome(child, NULL), BOUGH_INTERRUPTED);
    }
}

/* GIO, for example, treats a failed poll() as permission to read. */
TEST(a_caller_that_ignores_a_failed_poll_gets_the_error_at_the_descriptor)
{
    char byte;
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    interpose();
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        CHECK_ERR(poll(&(struct pollfd){fds[0], POLLIN, 0}, 1, 10000), EINTR);
        CHECK_ERR(recv(fds[1], &byte, 1, 0), EAGAIN); /* another descriptor */
        CHECK_ERR(recv(fds[0], &byte, 1, 0), ECANCELED);
        CHECK_ERR(recv(fds[0], &byte, 1, 0), EAGAIN);
        CHECK_EQ(bough_clear(NULL), 1);
        fd_set set;
        FD_ZERO(&set);
        FD_SET(fds[0], &set);
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        CHECK_ERR(select(fds[0] + 1, &set, NULL, NULL, NULL), EINTR);
        CHECK_EQ(write(fds[1], "x", 1), 1);
        CHECK_EQ(recv(fds[0], &byte, 1, 0), 1); /* a completed effect wins */
        CHECK_ERR(recv(fds[0], &byte, 1, 0), EAGAIN);
    }
    close(fds[0]);
    close(fds[1]);
}

TEST(an_object_that_accepts_only_eintr_never_gets_another_error)
{
    char byte;
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    interpose();
    CHECK_ERR(bough_interpose_eintr_only(NULL), EINVAL);
    CHECK_EQ(bough_interpose_eintr_only(""), 0); /* "" names the program */
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        for (int i = 0; i < 3; i++) {
            int n = wait_here(20);
            CHECK_EQ(n, i == 0 ? -1 : 0);
            CHECK(i > 0 || errno == EINTR);
        }
        CHECK_EQ(bough_clear(NULL), 1);
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        CHECK_ERR(poll(&(struct pollfd){fds[0], POLLIN, 0}, 1, 10000), EINTR);
        CHECK_ERR(recv(fds[0], &byte, 1, 0), EAGAIN); /* the kernel's error, unchanged */
    }
    close(fds[0]);
    close(fds[1]);
}

TEST(a_thread_chooses_the_error_of_a_retried_call)
{
    interpose();
    BOUGH_FOREIGN
    {
        struct bough_foreign ways = {.error = ECONNABORTED};
        CHECK_EQ(bough_foreign_set(&ways), 0);
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        CHECK_ERR(read_retried(t_silent()), ECONNABORTED);
        CHECK_EQ(bough_clear(NULL), 1);
        ways = (struct bough_foreign){.error = EINTR}; /* EINTR and no other error */
        CHECK_EQ(bough_foreign_set(&ways), 0);
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        for (int i = 0; i < 3; i++)
            CHECK_EQ(poll(&(struct pollfd){t_silent(), POLLIN, 0}, 1, 1), i == 0 ? -1 : 0);
    }
}

TEST(a_join_of_c11_is_not_interrupted_either)
{
    struct t_thread thread;
    if (T_TSAN)
        SKIP("the sanitizer does not support thrd_join()");
    interpose();
    t_gate_open(&gate);
    t_spawn(&thread, sleeps, &gate);
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        CHECK_EQ(thrd_join((thrd_t)thread.handle, NULL), thrd_success); /* in both libcs a thrd_t is a pthread_t */
        CHECK_ERR(wait_for(1000), EINTR);
    }
}

static int ignored[2];

static int ignores_a_poll(void *thread)
{
    *(pid_t *)thread = t_tid();
    CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
    CHECK_ERR(poll(&(struct pollfd){ignored[0], POLLIN, 0}, 1, 10000), EINTR);
    return ECANCELED;
}

static int looks(void *thread)
{
    char byte;
    if (t_tid() != *(pid_t *)thread)
        SKIP("the thread was not used again");
    CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
    CHECK_ERR(recv(ignored[0], &byte, 1, 0), EAGAIN);
    return ECANCELED;
}

TEST(the_next_child_of_a_thread_does_not_meet_the_interrupt_its_predecessor_ignored)
{
    const struct bough_child_options options = {.foreign = 1};
    pid_t thread = 0;
    if (T_ASAN || T_TSAN)
        SKIP("the sanitizer's thread key ends each thread with its child");
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ignored), 0);
    interpose();
    BOUGH_BRANCH(b) {
        CHECK_EQ(bough_join(bough_add_with(b, ignores_a_poll, bough_arg(&thread), &options)), 0);
        t_until_blocked(thread); /* parked */
        CHECK_EQ(bough_join(bough_add_with(b, looks, bough_arg(&thread), &options)), 0);
    }
    close(ignored[0]);
    close(ignored[1]);
}

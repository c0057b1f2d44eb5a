/* SPDX-License-Identifier: MIT */
/* This program's calls of libc play the part of foreign code. Rule 22. */
#include <bough.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "harness.h"

struct pipe_pair {
    int out, in;
};

static struct pipe_pair new_pipe(void)
{
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    return (struct pipe_pair){fds[0], fds[1]};
}

static _Atomic pid_t tid;

static int reads_in_a_region(void *argument)
{
    char c;
    int error = 0;
    tid = gettid();
    BOUGH_FOREIGN
    {
        if (read(bough_fd_of(argument), &c, 1) < 0)
            error = errno;
    }
    CHECK_EQ(error, EINTR);
    CHECK_ERR(bough_check(), ECANCELED); /* the record stays */
    return ECANCELED;
}

static int reads_from_its_start(void *argument)
{
    char c;
    tid = gettid();
    CHECK_ERR(read(bough_fd_of(argument), &c, 1), EINTR);
    return ECANCELED;
}

static void interrupt_a_child(bough_fn *fn, unsigned foreign)
{
    struct pipe_pair p = new_pipe();
    tid = 0;
    struct bough_child_options options = {.foreign = foreign};
    BOUGH_BRANCH(b, .collect = 1) {
        bough_thread *child = bough_add_with(b, fn, bough_fd(p.out), &options);
        CHECK(child != NULL);
        t_until(tid != 0);
        t_until_blocked(tid);
        CHECK_EQ(bough_interrupt(child, "stop"), 0);
        CHECK_EQ(bough_join(child), 0);
        CHECK_EQ(bough_outcome(child, NULL), BOUGH_INTERRUPTED);
    }
    close(p.in);
}

TEST(a_call_in_a_region_is_interrupted)
{
    CHECK(bough_interpose((const char *const[]){"", NULL}, 0) > 0);
    interrupt_a_child(reads_in_a_region, 0);
}

TEST(a_child_can_be_opted_in_from_its_start)
{
    CHECK(bough_interpose((const char *const[]){"", NULL}, 0) > 0);
    interrupt_a_child(reads_from_its_start, 1);
}

/* ---- a call that can't block is not interrupted; a call that has had an effect returns it ------------------------ */

/* While an interrupt is due that no call has met yet. */
#define DUE_IN_FOREIGN_CODE(call, result)                   \
    do {                                                    \
        CHECK_EQ(bough_interrupt(bough_self(), "test"), 0); \
        BOUGH_FOREIGN                                       \
        {                                                   \
            CHECK_EQ((call), (result));                     \
            CHECK_ERR(t_poll_silent(1000), EINTR);          \
        }                                                   \
        CHECK_EQ(bough_clear(NULL), 1);                     \
    } while (0)

TEST(a_call_that_cannot_block_is_not_interrupted)
{
    char byte;
    int sockets[2], status = 0, file = open("/proc/uptime", O_RDONLY);
    sem_t token;
    CHECK(bough_interpose((const char *const[]){"", NULL}, 0) > 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    CHECK_EQ(sem_init(&token, 0, 2), 0);
    CHECK_EQ(fcntl(sockets[0], F_SETFL, O_NONBLOCK), 0);
    CHECK_EQ(write(sockets[1], "a", 1), 1);

    DUE_IN_FOREIGN_CODE(read(file, &byte, 1), 1);
    DUE_IN_FOREIGN_CODE(read(sockets[0], &byte, 1), 1);
    DUE_IN_FOREIGN_CODE(read(sockets[0], &byte, 1), -1);
    DUE_IN_FOREIGN_CODE(recv(sockets[1], &byte, 1, MSG_DONTWAIT), -1);
    DUE_IN_FOREIGN_CODE(poll(NULL, 0, 0), 0);
    DUE_IN_FOREIGN_CODE(waitpid(-1, &status, WNOHANG), -1);
    DUE_IN_FOREIGN_CODE(nanosleep(&(struct timespec){0, 0}, NULL), 0);
    DUE_IN_FOREIGN_CODE(sem_wait(&token), 0);
    DUE_IN_FOREIGN_CODE(fsync(file), -1);
    CHECK_EQ(sem_destroy(&token), 0);
    close(sockets[0]);
    close(sockets[1]);
    close(file);
}

TEST(a_call_that_cannot_block_keeps_its_error)
{
    char byte;
    struct pipe_pair p = new_pipe();
    CHECK(bough_interpose((const char *const[]){"", NULL}, 0) > 0);
    CHECK_EQ(fcntl(p.out, F_SETFL, O_NONBLOCK), 0);
    CHECK_EQ(bough_interrupt(bough_self(), "test"), 0);
    BOUGH_FOREIGN
    {
        CHECK_ERR(read(p.out, &byte, 1), EAGAIN);
        CHECK_ERR(read(-1, &byte, 1), EBADF);
        CHECK_ERR(t_poll_silent(1000), EINTR);
    }
    close(p.out);
    close(p.in);
}

/* ---- a plain longjmp() out of a call, by which old libraries implement a timeout --------------------------------- */

static sigjmp_buf out;
static struct t_gate next_is_the_call; /* before that the thread also sleeps, until the ticker runs */

static void jump(int signo)
{
    siglongjmp(out, signo);
}

static void *jumps_out(void *calls_first)
{
    struct sigaction action = {.sa_handler = jump};
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    BOUGH_FOREIGN
    {
        if (sigsetjmp(out, 1) == 0) {
            t_gate_open(&next_is_the_call);
            poll(NULL, 0, -1);
        }
        CHECK_EQ(bough_foreign(), 1);
        if (calls_first)
            CHECK_EQ(poll(NULL, 0, 0), 0);
        CHECK_EQ(bough_interrupt(bough_self(), "test"), 0);
        CHECK_ERR(bough_check(), ECANCELED);
        for (int i = 0; i < 3; i++)
            CHECK_ERR(bough_usleep(1000), ECANCELED); /* bough's calls fail each time */
        CHECK_ERR(t_poll_silent(1000), EINTR);
        CHECK_EQ(poll(NULL, 0, 1), 0);
        CHECK_EQ(bough_clear(NULL), 1);
    }
    return NULL;
}

static void jump_out(void *calls_first)
{
    struct t_thread thread;
    CHECK(bough_interpose((const char *const[]){"", NULL}, 0) > 0);
    t_spawn(&thread, jumps_out, calls_first);
    t_gate_wait(&next_is_the_call);
    t_until_blocked(thread.tid);
    CHECK_EQ(pthread_kill(thread.handle, SIGUSR1), 0);
    t_join(&thread);
}

TEST(a_plain_longjmp_out_of_a_call_leaves_the_thread_opted_in)
{
    jump_out(&out);
}

TEST(a_plain_longjmp_out_of_a_call_is_detected_by_a_check)
{
    jump_out(NULL);
}

/* A nested call does not detect the jump. */
static int fds[2];
static _Atomic ssize_t got;

static void read_in_handler(int signo)
{
    char byte;
    (void)signo;
    got = read(fds[0], &byte, 1);
}

static void *is_called_on_top(void *argument)
{
    struct sigaction action = {.sa_handler = read_in_handler, .sa_flags = SA_RESTART};
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    *(bough_thread **)argument = bough_self();
    BOUGH_FOREIGN
    {
        t_gate_open(&next_is_the_call);
        CHECK_ERR(poll(NULL, 0, -1), EINTR); /* poll() is restarted after no handler */
        CHECK_EQ(got, 1);
        CHECK_ERR(t_poll_silent(-1), EINTR);
    }
    return NULL;
}

TEST(a_call_in_a_handler_that_has_interrupted_another_call_goes_to_libc)
{
    bough_thread *self = NULL;
    struct t_thread thread;
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    CHECK(bough_interpose((const char *const[]){"", NULL}, 0) > 0);
    t_spawn(&thread, is_called_on_top, &self);
    t_gate_wait(&next_is_the_call);
    t_until_blocked(thread.tid);
    CHECK_EQ(pthread_kill(thread.handle, SIGUSR1), 0);
    t_until(got == 1);
    t_until_blocked(thread.tid);
    CHECK_EQ(bough_interrupt(self, "test"), 0);
    t_join(&thread);
    close(fds[0]);
    close(fds[1]);
}

TEST(the_report_can_be_read)
{
    CHECK(bough_interpose(NULL, 0) > 0);
    CHECK_EQ(bough_interpose_report(1), 0);
    CHECK_EQ(bough_interpose_undo(), 0);
}

/* SPDX-License-Identifier: MIT */
/* Rule 9: a completed or partial effect wins: its result is returned, the record stays pending. ECANCELED means that
 * nothing happened; the plays of tests/calls check that for each call. This file tests the effects that win, and the
 * listed exceptions. rule_09_wake_ups.c has tokens and wake-ups, rule_09_record_stays.c the record. */
#include "target.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

/* A thread that makes one call, and is interrupted when the call blocks. */
struct caller {
    long (*call)(struct caller *c);
    bough_thread *thread;
    int fd[2];
    int from;
    long result;
    int error;
    char *buffer;
};

enum { BIG = 1 << 23 };

static void *make_call(void *argument)
{
    struct caller *c = argument;
    __atomic_store_n(&c->thread, bough_self(), __ATOMIC_RELEASE);
    errno = 0;
    c->result = c->call(c);
    c->error = errno;
    /* The call that succeeded has cleared nothing: the next point fails. */
    CHECK_EQ(bough_interrupted(), 1);
    CHECK_ERR(bough_check(), ECANCELED);
    CHECK_EQ(bough_clear(NULL), 1);
    return NULL;
}

static void cut(struct caller *c)
{
    struct t_thread thread;
    t_spawn(&thread, make_call, c);
    t_until(__atomic_load_n(&c->thread, __ATOMIC_ACQUIRE));
    t_until_blocked(thread.tid);
    CHECK_EQ(bough_interrupt(c->thread, NULL), 0);
    t_join(&thread);
}

static void close_both(struct caller *c)
{
    close(c->fd[0]);
    close(c->fd[1]);
}

/* ---- partial effects --------------------------------------------------------------------------------------------- */

static void in_part(struct caller *c)
{
    c->buffer = calloc(1, BIG);
    cut(c);
    CHECK(c->result > 0 && c->result < BIG);
    CHECK_EQ(t_bytes_in(c->fd[0]), c->result);
    free(c->buffer);
    close_both(c);
}

static long write_big(struct caller *c)
{
    return bough_write(c->fd[1], c->buffer, BIG);
}

TEST(write_returns_what_was_written)
{
    struct caller c = {.call = write_big};
    CHECK_EQ(pipe(c.fd), 0);
    in_part(&c);
}

static long writev_big(struct caller *c)
{
    struct iovec iov[2] = {{c->buffer, BIG / 2}, {c->buffer + BIG / 2, BIG / 2}};
    return bough_writev(c->fd[1], iov, 2);
}

TEST(writev_returns_what_was_written)
{
    struct caller c = {.call = writev_big};
    CHECK_EQ(pipe(c.fd), 0);
    in_part(&c);
}

static long send_big(struct caller *c)
{
    return bough_send(c->fd[1], c->buffer, BIG, 0);
}

TEST(send_returns_what_was_sent)
{
    struct caller c = {.call = send_big};
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, c.fd), 0);
    in_part(&c);
}

static long sendfile_big(struct caller *c)
{
    return bough_sendfile(c->fd[1], c->from, NULL, BIG);
}

TEST(sendfile_returns_what_was_copied)
{
    struct caller c = {.call = sendfile_big, .from = (int)syscall(SYS_memfd_create, "big", 0)};
    CHECK_EQ(ftruncate(c.from, BIG), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, c.fd), 0); /* into a pipe, sendfile() returns after each part anyway */
    in_part(&c);
    CHECK_EQ(lseek(c.from, 0, SEEK_CUR), c.result);
    close(c.from);
}

static long receive_all(struct caller *c)
{
    char buffer[10];
    return bough_recv(c->fd[0], buffer, sizeof buffer, MSG_WAITALL);
}

TEST(recv_returns_what_has_come)
{
    struct caller c = {.call = receive_all};
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, c.fd), 0);
    CHECK_EQ(write(c.fd[1], "abc", 3), 3);
    cut(&c);
    CHECK_EQ(c.result, 3);
    close_both(&c);
}

static long receive_two(struct caller *c)
{
    char buffers[2][4];
    struct iovec iov[2] = {{buffers[0], 4}, {buffers[1], 4}};
    struct mmsghdr messages[2];
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < 2; i++) {
        messages[i].msg_hdr.msg_iov = &iov[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    return bough_recvmmsg(c->fd[0], messages, 2, 0, NULL);
}

TEST(recvmmsg_returns_how_many_have_come)
{
    struct caller c = {.call = receive_two};
    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, c.fd), 0);
    CHECK_EQ(write(c.fd[1], "abc", 3), 3);
    cut(&c);
    CHECK_EQ(c.result, 1);
    close_both(&c);
}

/* ---- an effect that was possible when the interrupt came stays possible for the next call ------------------------ */

TEST(data_that_is_ready_stays_ready)
{
    char c;
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    CHECK_EQ(bough_interrupt(bough_self(), NULL), 0);
    CHECK_ERR(bough_read(fds[0], &c, 1), ECANCELED);
    CHECK_EQ(t_bytes_in(fds[0]), 1);
    CHECK_EQ(bough_clear(NULL), 1);
    CHECK_EQ(bough_read(fds[0], &c, 1), 1);
    close(fds[0]);
    close(fds[1]);
}

static int tcp_server(struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    CHECK_EQ(bind(fd, (struct sockaddr *)address, length), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)address, &length), 0);
    CHECK_EQ(listen(fd, 0), 0);
    return fd;
}

static int tcp_client(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(fd, (const struct sockaddr *)address, sizeof *address), 0);
    return fd;
}

TEST(a_connection_stays_in_the_queue)
{
    struct sockaddr_in address;
    int server = tcp_server(&address), client = tcp_client(&address);
    CHECK_EQ(bough_interrupt(bough_self(), NULL), 0);
    CHECK_ERR(bough_accept(server, NULL, NULL), ECANCELED);
    CHECK_EQ(bough_clear(NULL), 1);
    int conn = bough_accept(server, NULL, NULL);
    CHECK(conn >= 0);
    close(conn);
    close(client);
    close(server);
}

/* ---- an interrupted connect continues in the kernel -------------------------------------------------------------- */

static struct sockaddr_in busy;

static long connect_to_busy(struct caller *c)
{
    return bough_connect(c->fd[1], (struct sockaddr *)&busy, sizeof busy);
}

TEST(an_interrupted_connect_goes_on)
{
    struct caller c = {.call = connect_to_busy};
    c.fd[0] = tcp_server(&busy);
    int first = tcp_client(&busy); /* a backlog of 0 has room for one: the next waits */
    c.fd[1] = socket(AF_INET, SOCK_STREAM, 0);
    cut(&c);
    CHECK_EQ(c.result, -1);
    CHECK_EQ(c.error, ECANCELED);
    CHECK_EQ(fcntl(c.fd[1], F_SETFL, O_NONBLOCK), 0);
    CHECK_ERR(connect(c.fd[1], (struct sockaddr *)&busy, sizeof busy), EALREADY);
    /* A second connect() waits for the end of the same attempt. */
    CHECK_EQ(fcntl(c.fd[1], F_SETFL, 0), 0);
    close(accept(c.fd[0], NULL, NULL));
    CHECK_EQ(bough_connect(c.fd[1], (struct sockaddr *)&busy, sizeof busy), 0);
    close(first);
    close_both(&c);
}

/* ---- close always closes ----------------------------------------------------------------------------------------- */

TEST(close_always_closes)
{
    int fd = dup(0);
    CHECK_EQ(bough_interrupt(bough_self(), NULL), 0);
    CHECK_EQ(bough_close(fd), 0);
    CHECK_ERR(fcntl(fd, F_GETFD), EBADF);
    CHECK_ERR(bough_close(fd), EBADF);
    CHECK_EQ(bough_clear(NULL), 1);
}

/* SPDX-License-Identifier: MIT */
/* Connecting with a deadline. */
#include "harness.h"

#include <arpa/inet.h>
#include <bough.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_un un;
};

struct server {
    union address address;
    socklen_t length;
    int fd, first;
};

/* A server whose backlog is full after one connection. */
static void make_busy_server(struct server *s, int family)
{
    memset(s, 0, sizeof *s);
    s->address.any.sa_family = (sa_family_t)family;
    if (family == AF_INET)
        s->address.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->length = family == AF_INET ? sizeof s->address.in : sizeof(sa_family_t);
    s->fd = socket(family, SOCK_STREAM, 0);
    CHECK_EQ(bind(s->fd, &s->address.any, s->length), 0);
    s->length = sizeof s->address;
    CHECK_EQ(getsockname(s->fd, &s->address.any, &s->length), 0);
    CHECK_EQ(listen(s->fd, 0), 0);
    s->first = socket(family, SOCK_STREAM, 0);
    CHECK_EQ(bough_connect_deadline(s->first, &s->address.any, s->length, bough_after(BOUGH_SEC(100))), 0);
}

static void close_server(struct server *s)
{
    close(s->fd);
    close(s->first);
}

/* Checks that the socket's timeout and mode are unchanged. */
static void check_mode(int fd, int flags)
{
    struct timeval timeout;
    socklen_t size = sizeof timeout;
    CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, flags);
    CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, &size), 0);
    CHECK_EQ(timeout.tv_sec, 77);
}

static int make_socket(int family, int flags)
{
    struct timeval timeout = {77, 0};
    int fd = socket(family, SOCK_STREAM | flags, 0);
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout), 0);
    return fd;
}

static void times_out(int family, int flags)
{
    struct server s;
    make_busy_server(&s, family);
    int fd = make_socket(family, flags);
    bough_time deadline = bough_after(BOUGH_MS(30));
    CHECK_ERR(bough_connect_deadline(fd, &s.address.any, s.length, deadline), ETIMEDOUT);
    CHECK(bough_now() >= deadline);
    check_mode(fd, flags);
    CHECK_ERR(bough_connect_deadline(fd, &s.address.any, s.length, deadline), ETIMEDOUT);
    close(fd);
    close_server(&s);
}

TEST(connect_times_out)
{
    times_out(AF_INET, 0);
    times_out(AF_INET, SOCK_NONBLOCK);
    times_out(AF_UNIX, 0);
}

/* No event reports room in the backlog, so the call fails as connect() does on such a socket. */
TEST(connect_fails_at_once_where_it_can_not_wait)
{
    struct server s;
    make_busy_server(&s, AF_UNIX);
    int fd = make_socket(AF_UNIX, SOCK_NONBLOCK);
    CHECK_ERR(bough_connect_deadline(fd, &s.address.any, s.length, bough_after(BOUGH_SEC(100))), EAGAIN);
    check_mode(fd, O_NONBLOCK);
    close(fd);
    close_server(&s);
}

static void comes_through(int family, int flags, int timed)
{
    struct server s;
    make_busy_server(&s, family);
    close(accept(s.fd, NULL, NULL));
    int fd = make_socket(family, flags);
    CHECK_EQ(bough_connect_deadline(fd, &s.address.any, s.length, timed ? bough_after(BOUGH_SEC(100)) : 0), 0);
    check_mode(fd, flags);
    CHECK_EQ(write(fd, "x", 1), 1);
    close(fd);
    close_server(&s);
}

TEST(connect_connects)
{
    for (int timed = 0; timed < 2; timed++) {
        comes_through(AF_INET, 0, timed);
        comes_through(AF_INET, SOCK_NONBLOCK, timed);
        comes_through(AF_UNIX, 0, timed);
        comes_through(AF_UNIX, SOCK_NONBLOCK, timed);
    }
}

TEST(connect_fails_as_connect)
{
    struct server s;
    make_busy_server(&s, AF_INET);
    close_server(&s);
    for (int flags = 0; flags <= SOCK_NONBLOCK; flags += SOCK_NONBLOCK) {
        int fd = socket(AF_INET, SOCK_STREAM | flags, 0);
        CHECK_ERR(bough_connect_deadline(fd, &s.address.any, s.length, bough_after(BOUGH_SEC(100))), ECONNREFUSED);
        close(fd);
    }
    CHECK_ERR(bough_connect_deadline(-1, &s.address.any, s.length, bough_after(BOUGH_SEC(100))), EBADF);
    CHECK_ERR(bough_connect_deadline(0, &s.address.any, s.length, 0), ENOTSOCK);
}

struct connecting {
    struct server server;
    bough_thread *thread;
    int fd, error;
    bough_time deadline;
};

static void *connect_cut(void *argument)
{
    struct connecting *c = argument;
    __atomic_store_n(&c->thread, bough_self(), __ATOMIC_RELEASE);
    int r = bough_connect_deadline(c->fd, &c->server.address.any, c->server.length, c->deadline);
    c->error = r == 0 ? 0 : errno;
    bough_clear(NULL);
    return NULL;
}

static void is_cut(int family, int flags, int timed)
{
    struct connecting c = {.thread = NULL};
    struct t_thread thread;
    make_busy_server(&c.server, family);
    c.fd = make_socket(family, flags);
    c.deadline = timed ? bough_after(BOUGH_SEC(100)) : 0;
    t_spawn(&thread, connect_cut, &c);
    t_until(__atomic_load_n(&c.thread, __ATOMIC_ACQUIRE));
    t_until_blocked(thread.tid);
    CHECK_EQ(bough_interrupt(c.thread, NULL), 0);
    t_join(&thread);
    CHECK_EQ(c.error, ECANCELED);
    check_mode(c.fd, flags);
    close(c.fd);
    close_server(&c.server);
}

TEST(connect_is_interrupted)
{
    for (int timed = 0; timed < 2; timed++) {
        is_cut(AF_INET, 0, timed);
        is_cut(AF_INET, SOCK_NONBLOCK, timed);
        is_cut(AF_UNIX, 0, timed);
    }
}

static uint32_t handled;

static void handler(int signo)
{
    __atomic_store_n(&handled, (uint32_t)signo, __ATOMIC_RELEASE);
}

/* A handler with SA_RESTART does not end the call, although the kernel returns EINTR from a connect with a timeout; a
 * handler without SA_RESTART does. */
static int signalled(int family, int flags)
{
    struct connecting c = {.thread = NULL};
    struct t_thread thread;
    __atomic_store_n(&handled, 0, __ATOMIC_RELEASE);
    CHECK_EQ(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler, .sa_flags = flags}, NULL), 0);
    make_busy_server(&c.server, family);
    c.fd = make_socket(family, 0);
    c.deadline = bough_after(BOUGH_SEC(100));
    t_spawn(&thread, connect_cut, &c);
    t_until(__atomic_load_n(&c.thread, __ATOMIC_ACQUIRE));
    t_until_blocked(thread.tid);
    pthread_kill(thread.handle, SIGUSR1);
    t_until(__atomic_load_n(&handled, __ATOMIC_ACQUIRE));
    if (flags & SA_RESTART) {
        t_until_blocked(thread.tid);
        close(accept(c.server.fd, NULL, NULL));
    }
    t_join(&thread);
    close(c.fd);
    close_server(&c.server);
    return c.error;
}

TEST(connect_is_ended_only_by_a_handler_without_sa_restart)
{
    CHECK_EQ(signalled(AF_UNIX, SA_RESTART), 0);
    CHECK_EQ(signalled(AF_INET, SA_RESTART), 0);
    CHECK_EQ(signalled(AF_UNIX, 0), EINTR);
    CHECK_EQ(signalled(AF_INET, 0), EINTR);
}

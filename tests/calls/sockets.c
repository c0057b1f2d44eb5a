/* SPDX-License-Identifier: MIT */
/* Sockets. */
#include "recipe.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

/* ---- connections: fd[0] listens at a unique abstract address ----------------------------------------------------- */

static struct sockaddr_un address;
static socklen_t address_length;

static void make_server(struct stage *s)
{
    s->fd[0] = socket(AF_UNIX, SOCK_STREAM, 0);
    address = (struct sockaddr_un){.sun_family = AF_UNIX};
    CHECK_EQ(bind(s->fd[0], (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
    address_length = sizeof address;
    CHECK_EQ(getsockname(s->fd[0], (struct sockaddr *)&address, &address_length), 0);
    CHECK_EQ(listen(s->fd[0], 0), 0);
    s->size = sizeof address;
}

static struct sockaddr *server(void)
{
    return (struct sockaddr *)&address;
}

static int client(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQ(connect(fd, server(), address_length), 0);
    return fd;
}

static void connect_one(struct stage *s)
{
    s->fd[1] = client();
}

static void accepted(struct stage *s, long result)
{
    CHECK(result >= 0);
    CHECK_EQ(write(s->fd[1], "x", 1), 1);
    CHECK_EQ(read((int)result, s->buffer, 1), 1);
    close((int)result);
}

static struct sockaddr_un peer;
static socklen_t *peer_length(void)
{
    static socklen_t length;
    length = sizeof peer;
    return &length;
}

BOTH(accept, s->fd[0], (struct sockaddr *)&peer, peer_length())
WRONG(accept, 0, NULL, NULL)
RECIPE(accept, .how = BLOCKS, .prepare = make_server, .release = connect_one, .untouched = no_descriptor,
       .done = accepted)

static void accepted_cloexec(struct stage *s, long result)
{
    CHECK_EQ(fcntl((int)result, F_GETFD), FD_CLOEXEC);
    accepted(s, result);
}

BOTH(accept4, s->fd[0], NULL, NULL, SOCK_CLOEXEC)
WRONG(accept4, 0, NULL, NULL, SOCK_CLOEXEC)
RECIPE(accept4, .how = BLOCKS, .prepare = make_server, .release = connect_one, .untouched = no_descriptor,
       .done = accepted_cloexec)

/* A backlog of 0 has room for one. */
static void make_busy_server(struct stage *s)
{
    make_server(s);
    s->fd[1] = client();
    s->fd[2] = socket(AF_UNIX, SOCK_STREAM, 0);
}

static void accept_one(struct stage *s)
{
    close(accept(s->fd[0], NULL, NULL));
}

static void not_connected(struct stage *s)
{
    CHECK_ERR(getpeername(s->fd[2], (struct sockaddr *)&peer, peer_length()), ENOTCONN);
}

static void connected(struct stage *s, long result)
{
    CHECK_EQ(result, 0);
    CHECK_EQ(getpeername(s->fd[2], (struct sockaddr *)&peer, peer_length()), 0);
}

BOTH(connect, s->fd[2], server(), address_length)
WRONG(connect, 0, server(), address_length)
RECIPE(connect, .how = BLOCKS, .prepare = make_busy_server, .release = accept_one, .untouched = not_connected,
       .done = connected)

/* ---- receiving: an empty pair ------------------------------------------------------------------------------------ */

static void make_pair(struct stage *s)
{
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s->fd), 0);
}

static void send_x(struct stage *s)
{
    CHECK_EQ(write(s->fd[1], "x", 1), 1);
}

static void nothing_received(struct stage *s)
{
    CHECK_EQ(s->buffer[0], 0);
}

static void received_x(struct stage *s, long result)
{
    CHECK_EQ(result, 1);
    CHECK_EQ(s->buffer[0], 'x');
}

static struct msghdr *message_of(char *buffer, size_t size)
{
    static struct iovec iov;
    static struct msghdr message;
    iov = (struct iovec){buffer, size};
    memset(&message, 0xff, sizeof message); /* also sets the padding between libc's fields */
    message.msg_name = NULL;
    message.msg_namelen = 0;
    message.msg_iov = &iov;
    message.msg_iovlen = 1;
    message.msg_control = NULL;
    message.msg_controllen = 0;
    message.msg_flags = 0;
    return &message;
}

static struct mmsghdr *messages_of(char *buffer, size_t size)
{
    static struct mmsghdr messages[1];
    messages[0].msg_hdr = *message_of(buffer, size);
    return messages;
}

BOTH(recv, s->fd[0], s->buffer, 10, 0)
WRONG(recv, 0, s->buffer, 10, 0)
RECIPE(recv, .how = BLOCKS, .prepare = make_pair, .release = send_x, .untouched = nothing_received, .done = received_x)

BOTH(recvfrom, s->fd[0], s->buffer, 10, 0, (struct sockaddr *)&peer, peer_length())
WRONG(recvfrom, -1, s->buffer, 10, 0, NULL, NULL)
RECIPE(recvfrom, .how = BLOCKS, .prepare = make_pair, .release = send_x, .untouched = nothing_received,
       .done = received_x)

BOTH(recvmsg, s->fd[0], message_of(s->buffer, 10), 0)
WRONG(recvmsg, 0, message_of(s->buffer, 10), 0)
RECIPE(recvmsg, .how = BLOCKS, .prepare = make_pair, .release = send_x, .untouched = nothing_received,
       .done = received_x)

BOTH(recvmmsg, s->fd[0], messages_of(s->buffer, 10), 1, 0, NULL)
WRONG(recvmmsg, 0, messages_of(s->buffer, 10), 1, 0, NULL)
RECIPE(recvmmsg, .how = BLOCKS, .prepare = make_pair, .release = send_x, .untouched = nothing_received,
       .done = received_x)

/* ---- sending: a full pair ---------------------------------------------------------------------------------------- */

/* Datagrams, because room for one is room for the next; for a stream that depends on the kernel's accounting. */
static void make_full_pair(struct stage *s)
{
    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, s->fd), 0);
    while (send(s->fd[1], "y", 1, MSG_DONTWAIT) == 1)
        s->size++;
    CHECK(s->size > 0);
}

static size_t drain(struct stage *s)
{
    size_t count = 0;
    memset(s->buffer, 0, 8);
    while (recv(s->fd[0], s->buffer, 8, MSG_DONTWAIT) > 0)
        count++;
    return count;
}

static void still_full(struct stage *s)
{
    CHECK_EQ(drain(s), s->size);
    CHECK_EQ(s->buffer[0], 'y');
}

/* Takes one datagram out of the full pair, which wakes the sender. */
static void receive_all_but_none(struct stage *s)
{
    while (s->size > 0 && recv(s->fd[0], s->buffer, 8, MSG_DONTWAIT) == 1)
        s->size--;
}

static void sent_xyz(struct stage *s, long result)
{
    CHECK_EQ(result, 3);
    CHECK_EQ(drain(s), 1);
    CHECK_STR(s->buffer, "XYZ");
}

static void sent_one_xyz(struct stage *s, long result)
{
    CHECK_EQ(result, 1);
    sent_xyz(s, 3);
}

static char xyz[] = "XYZ";

BOTH(send, s->fd[1], xyz, 3, 0)
WRONG(send, 0, xyz, 3, 0)
RECIPE(send, .how = BLOCKS, .prepare = make_full_pair, .release = receive_all_but_none, .untouched = still_full,
       .done = sent_xyz)

BOTH(sendto, s->fd[1], xyz, 3, 0, NULL, 0)
WRONG(sendto, -1, xyz, 3, 0, NULL, 0)
RECIPE(sendto, .how = BLOCKS, .prepare = make_full_pair, .release = receive_all_but_none, .untouched = still_full,
       .done = sent_xyz)

BOTH(sendmsg, s->fd[1], message_of(xyz, 3), 0)
WRONG(sendmsg, 0, message_of(xyz, 3), 0)
RECIPE(sendmsg, .how = BLOCKS, .prepare = make_full_pair, .release = receive_all_but_none, .untouched = still_full,
       .done = sent_xyz)

BOTH(sendmmsg, s->fd[1], messages_of(xyz, 3), 1, 0)
WRONG(sendmmsg, 0, messages_of(xyz, 3), 1, 0)
RECIPE(sendmmsg, .how = BLOCKS, .prepare = make_full_pair, .release = receive_all_but_none, .untouched = still_full,
       .done = sent_one_xyz)

/* ---- control data: a descriptor goes through --------------------------------------------------------------------- */

union control {
    struct cmsghdr align;
    char space[CMSG_SPACE(sizeof(int))];
};

static void send_descriptor(int socket, int fd)
{
    union control control;
    memset(&control, 0xff, sizeof control);
    struct msghdr *message = message_of(xyz, 1);
    message->msg_control = &control;
    message->msg_controllen = sizeof control;
    struct cmsghdr *c = CMSG_FIRSTHDR(message);
    c->cmsg_len = CMSG_LEN(sizeof fd);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    CHECK_EQ(bough_sendmsg(socket, message, 0), 1);
}

static int receive_descriptor(int socket)
{
    union control control;
    char byte;
    int fd;
    struct msghdr *message = message_of(&byte, 1);
    message->msg_control = &control;
    message->msg_controllen = sizeof control;
    CHECK_EQ(bough_recvmsg(socket, message, MSG_CMSG_CLOEXEC), 1);
    struct cmsghdr *c = CMSG_FIRSTHDR(message);
    CHECK(c && c->cmsg_type == SCM_RIGHTS);
    CHECK_EQ(c->cmsg_len, CMSG_LEN(sizeof fd));
    memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

TEST(descriptors_are_passed)
{
    struct stage s;
    make_pair(&s);
    send_descriptor(s.fd[0], s.fd[1]);
    int fd = receive_descriptor(s.fd[1]);
    CHECK_EQ(write(fd, "x", 1), 1);
    CHECK_EQ(read(s.fd[0], s.buffer, 1), 1);
    close(fd);
    close(s.fd[0]);
    close(s.fd[1]);
}

/* Several messages at once, of which a nonblocking socket takes some. */
TEST(sendmmsg_returns_how_many)
{
    struct stage s = {.size = 0};
    struct mmsghdr messages[3];
    make_full_pair(&s);
    CHECK_EQ(drain(&s), s.size);
    for (int i = 0; i < 3; i++)
        messages[i].msg_hdr = *message_of(xyz, 3);
    CHECK_EQ(bough_sendmmsg(s.fd[1], messages, 3, 0), 3);
    CHECK_EQ(messages[2].msg_len, 3);
    CHECK_EQ(drain(&s), 3);
    close(s.fd[0]);
    close(s.fd[1]);
}

/* SPDX-License-Identifier: MIT */
/* The demonstration's clients: 525 sockets and one thread, without bough. Every byte's value says which one of its
 * stream it is, so that an echo with a byte too few or too many is found out. */
#include "demo.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BLOCK = 4096, WINDOW = 4 * BLOCK, VISIT = 16 * BLOCK, SMALL = 32768 };

static struct shared *shared;
static int epoll, fds[CLIENTS], left = CLIENTS;

static unsigned char byte_at(int client, uint64_t offset)
{
    return (unsigned char)(offset % 251 + (uint64_t)client);
}

/* ---- sending and receiving -------------------------------------------------------------------------------------- */

/* How much may be under way: a visitor sends this much in all, a stuck client as much as possible. */
static uint64_t room(int i)
{
    const struct client *c = &shared->client[i];
    switch (kind_of(i)) {
    case STREAMING:
        return c->received + WINDOW - c->sent;
    case STUCK:
        return BLOCK;
    case VISITOR:
        return VISIT - c->sent;
    default:
        return 0;
    }
}

static void send_some(int i)
{
    struct client *c = &shared->client[i];
    unsigned char block[BLOCK];
    for (uint64_t size; (size = room(i)) > 0;) {
        size = size < BLOCK ? size : BLOCK;
        for (uint64_t k = 0; k < size; k++)
            block[k] = byte_at(i, c->sent + k);
        ssize_t n = send(fds[i], block, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n <= 0)
            return;
        c->sent += (uint64_t)n;
    }
}

/* Returns 0 at the end of the stream, or when it was reset. */
static int receive_some(int i)
{
    struct client *c = &shared->client[i];
    unsigned char block[BLOCK];
    ssize_t n;
    while ((n = recv(fds[i], block, sizeof block, MSG_DONTWAIT)) > 0) {
        for (ssize_t k = 0; k < n; k++)
            c->wrong += block[k] != byte_at(i, c->received + (uint64_t)k);
        c->received += (uint64_t)n;
    }
    return n < 0 && errno == EAGAIN;
}

/* ---- a client's life --------------------------------------------------------------------------------------------- */

static uint32_t events_of(int i)
{
    return kind_of(i) == STUCK ? EPOLLOUT | EPOLLRDHUP | EPOLLET : EPOLLIN | EPOLLRDHUP;
}

/* Small buffers where they are to be full. */
static int join(int i, const struct sockaddr_in *address)
{
    int size = SMALL, fd = fds[i] = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in local;
    socklen_t length = sizeof local;
    if (kind_of(i) == STUCK) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    }
    struct epoll_event event = {.events = events_of(i), .data = {.fd = i}};
    if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 ||
        getsockname(fd, (struct sockaddr *)&local, &length) != 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        return -1;
    shared->client[i].port = ntohs(local.sin_port);
    send_some(i);
    return 0;
}

static void leave(int i)
{
    close(fds[i]);
    shared->client[i].ended = 1;
    left--;
}

/* A stuck client reads only when the server has closed. */
static void serve(int i, uint32_t events)
{
    struct client *c = &shared->client[i];
    int over = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    int more = kind_of(i) == STUCK && !over ? 1 : receive_some(i);
    if (over || !more || (kind_of(i) == VISITOR && c->received == VISIT))
        leave(i);
    else
        send_some(i);
}

int run_clients(struct shared *s, struct sockaddr_in address)
{
    shared = s;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    epoll = epoll_create1(0);
    s->clients_before = open_descriptors();
    for (int i = 0; i < CLIENTS; i++)
        if (join(i, &address) != 0) {
            s->clients_failed = errno;
            return 1;
        }
    while (left > 0) {
        struct epoll_event events[64];
        int n = epoll_wait(epoll, events, 64, -1);
        for (int k = 0; k < n; k++)
            serve(events[k].data.fd, events[k].events);
    }
    s->clients_after = open_descriptors();
    return 0;
}

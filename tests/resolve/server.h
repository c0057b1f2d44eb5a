/* SPDX-License-Identifier: MIT */
/* A name server on the loopback that answers on the test's request, or never; in namespaces of the test, with the
 * test's files in place of /etc/resolv.conf and /etc/nsswitch.conf. It needs root. */
#ifndef TEST_SERVER_H
#define TEST_SERVER_H

#include <bough.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include "harness.h"
#include "../sync/not_under.h"
#include "namespace.h"

/* The number of the resolver's threads. */
static inline int helpers(void)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *entry; (entry = readdir(tasks));) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && read(fd, name, sizeof name - 1) > 0)
            count += strcmp(name, "bough-resolver\n") == 0;
        if (fd >= 0)
            close(fd);
    }
    closedir(tasks);
    return count;
}

/* ---- one lookup on a separate thread ----------------------------------------------------------------------------- */

struct lookup {
    struct t_thread thread;
    struct t_gate known;
    bough_thread *self;
    const char *name;
    struct addrinfo *list;
    int code, error;
};

static inline void *lookup_main(void *argument)
{
    struct lookup *l = argument;
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    l->self = bough_self();
    t_gate_open(&l->known);
    l->code = bough_getaddrinfo(l->name, "80", &hints, &l->list);
    l->error = errno;
    return NULL;
}

static inline void lookup_start(struct lookup *l, const char *name)
{
    *l = (struct lookup){.name = name};
    t_spawn(&l->thread, lookup_main, l);
    t_gate_wait(&l->known);
}

static inline void lookup_end_cut(struct lookup *l)
{
    t_join(&l->thread);
    CHECK_EQ(l->code, EAI_SYSTEM);
    CHECK_EQ(l->error, ECANCELED);
    CHECK_EQ(l->list, NULL);
}

static inline void lookup_end(struct lookup *l, const char *address)
{
    t_join(&l->thread);
    CHECK_EQ(l->code, 0);
    CHECK_STR(inet_ntoa(((struct sockaddr_in *)(void *)l->list->ai_addr)->sin_addr), address);
    freeaddrinfo(l->list);
}

/* ---- the server -------------------------------------------------------------------------------------------------- */

/* Returns its socket. `options` are written to resolv.conf. */
static inline int server_start(const char *options)
{
    t_expect_descriptors(1);
    return name_server(options);
}

struct query {
    unsigned char text[600];
    size_t size;
    struct sockaddr_in from;
};

static inline void server_receive(int fd, struct query *q)
{
    socklen_t length = sizeof q->from;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    if (poll(&ready, 1, (int)(10000 * t_scale())) != 1)
        FAIL("no query came");
    ssize_t size = recvfrom(fd, q->text, sizeof q->text - 16, 0, (struct sockaddr *)&q->from, &length);
    CHECK(size > 12);
    q->size = (size_t)size;
}

/* Answers 192.0.2.9 to every query. */
static inline void server_answer(int fd, struct query *q)
{
    static const unsigned char answer[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 9};
    static const unsigned char counts[] = {0, 1, 0, 1, 0, 0, 0, 0};
    size_t end = 12;
    while (q->text[end])
        end += q->text[end] + 1u;
    end += 5;
    q->text[2] |= 0x80;
    q->text[3] = 0x80;
    memcpy(q->text + 4, counts, sizeof counts);
    memcpy(q->text + end, answer, sizeof answer);
    sendto(fd, q->text, end + sizeof answer, 0, (struct sockaddr *)&q->from, sizeof q->from);
}

#endif

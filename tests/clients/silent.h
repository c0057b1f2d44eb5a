/* SPDX-License-Identifier: MIT */
/* A port of the loopback that takes connections, or datagrams, and sends nothing. */
#ifndef TEST_CLIENTS_SILENT_H
#define TEST_CLIENTS_SILENT_H

#include <netinet/in.h>
#include <sys/socket.h>
#include "wait.h"

static int silent_fd, silent_port;

static inline void silent_begin(int type)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    silent_fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(silent_fd, (struct sockaddr *)&at, sizeof at), 0);
    CHECK(type != SOCK_STREAM || listen(silent_fd, 1000) == 0);
    CHECK_EQ(getsockname(silent_fd, (struct sockaddr *)&at, &length), 0);
    silent_port = ntohs(at.sin_port);
}

/* Drops pending connections: while the queue is full, no client can connect. */
static inline bool silent_drains(void)
{
    int fd;
    while ((fd = accept4(silent_fd, NULL, NULL, SOCK_NONBLOCK)) >= 0)
        close(fd);
    return true;
}

static inline void silent_end(void)
{
    close(silent_fd);
}

#endif

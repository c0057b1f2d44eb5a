/* SPDX-License-Identifier: MIT */
/* What sd_notify(3) documents, without its library: it is called on a thread that must not wait nor allocate. */
#define _GNU_SOURCE
#include "ladder/notify.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/atomic.h"

static struct sockaddr_un address;
static socklen_t length; /* 0: nobody listens */

/* A path, or with '@' a name in the abstract namespace. */
__attribute__((constructor)) static void find_supervisor(void)
{
    const char *name = secure_getenv("NOTIFY_SOCKET");
    size_t n = name ? strlen(name) : 0;
    if (n < 2 || n >= sizeof address.sun_path || (*name != '/' && *name != '@'))
        return;
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, name, n);
    if (*name == '@')
        address.sun_path[0] = '\0';
    length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

void bo_notify_stopping(int64_t left)
{
    static _Atomic uint32_t told;
    char text[96];
    if (!length || bo_swap_seq(&told, 1))
        return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    int n = snprintf(text, sizeof text, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld", (long long)left / 1000);
    sendto(fd, text, (size_t)n, MSG_NOSIGNAL, (const struct sockaddr *)&address, length);
    close(fd);
}

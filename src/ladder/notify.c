/* SPDX-License-Identifier: MIT */
/* The protocol of sd_notify(3), implemented without its library, because it is used on threads that must not wait or
 * allocate, and in signal handlers. */
#define _GNU_SOURCE
#include "ladder/notify.h"
#include <bough/ladder.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/atomic.h"

/* ---- what the service manager has set, read once ----------------------------------------------------------------- */

static struct sockaddr_un address;
static socklen_t length;      /* 0: there is no listener, or no usable address */
static bool wrong_address;    /* the address names no socket */
static int64_t interval;      /* of the watchdog, in ns; 0: there is none; -1: not a valid time */
static pid_t watched_process; /* 0: any */

/* The name is a path, or with '@' a name in the abstract namespace. */
static void read_address(const char *name)
{
    size_t n = name ? strlen(name) : 0;
    if (!n)
        return;
    wrong_address = n < 2 || n >= sizeof address.sun_path || (*name != '/' && *name != '@');
    if (wrong_address)
        return;
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, name, n);
    if (*name == '@')
        address.sun_path[0] = '\0';
    length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

/* Returns a positive number up to `most`; -1: the text is not such a number. */
static int64_t number(const char *text, int64_t most)
{
    char *end;
    if (*text < '0' || *text > '9')
        return -1;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    return *end || errno || !n || n > (unsigned long long)most ? -1 : (int64_t)n;
}

static void read_watchdog(const char *usec, const char *pid)
{
    if (!usec || !*usec)
        return;
    interval = number(usec, INT64_MAX / 1000);
    int64_t whose = pid && *pid ? number(pid, INT32_MAX) : 0;
    if (whose < 0)
        interval = -1;
    else
        watched_process = (pid_t)whose;
    if (interval > 0)
        interval *= 1000;
}

__attribute__((constructor)) static void find_supervisor(void)
{
    int saved = errno;
    read_address(secure_getenv("NOTIFY_SOCKET"));
    read_watchdog(secure_getenv("WATCHDOG_USEC"), secure_getenv("WATCHDOG_PID"));
    errno = saved;
}

/* ---- sending ----------------------------------------------------------------------------------------------------- */

/* Returns 1; 0: there is no listener; -1 with errno. Does not wait if the queue is full. */
static int send_text(const char *text)
{
    int saved = errno;
    if (wrong_address)
        return errno = EINVAL, -1;
    if (!length)
        return 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    ssize_t n = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&address, length);
    if (n >= 0)
        errno = saved;
    saved = errno;
    close(fd);
    errno = saved;
    return n < 0 ? -1 : 1;
}

void bo_notify_stopping(int64_t left)
{
    static _Atomic uint32_t sent;
    char text[96];
    if (!length || bo_swap_seq(&sent, 1))
        return;
    snprintf(text, sizeof text, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld", (long long)left / 1000);
    send_text(text);
}

/* ---- on request -------------------------------------------------------------------------------------------------- */

int bough_notify_ready(void)
{
    return send_text("READY=1");
}

int64_t bough_watchdog_interval(void)
{
    if (interval < 0)
        return errno = EINVAL, -1;
    return watched_process && watched_process != getpid() ? 0 : interval;
}

int bough_watchdog_feed(void)
{
    int64_t now = bough_watchdog_interval();
    return now > 0 ? send_text("WATCHDOG=1") : (int)now;
}

/* SPDX-License-Identifier: MIT */
/* A name server's socket on the loopback, in namespaces of the test, with files in place of /etc/resolv.conf and
 * /etc/nsswitch.conf. It needs root. CHECK_EQ() and SKIP() come from the program that includes it. */
#ifndef TEST_NAMESPACE_H
#define TEST_NAMESPACE_H

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static inline void replace(const char *path, const char *text)
{
    char name[] = "/tmp/bough-XXXXXX";
    int fd = mkstemp(name);
    CHECK(fd >= 0);
    fchmod(fd, 0644);
    CHECK_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    int result = mount(name, path, "", MS_BIND, NULL), error = errno;
    unlink(name);
    if (result != 0)
        SKIP("cannot put a file in place of %s: %s", path, strerror(error));
}

static inline void loopback_up(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq lo = {.ifr_name = "lo"};
    lo.ifr_flags = IFF_UP | IFF_RUNNING;
    CHECK_EQ(ioctl(fd, SIOCSIFFLAGS, &lo), 0);
    close(fd);
}

/* Returns its socket. `options` are written to resolv.conf. */
static inline int name_server(const char *options)
{
    char text[200];
    if (unshare(CLONE_NEWNS | CLONE_NEWNET) != 0)
        SKIP("cannot make namespaces: %s", strerror(errno));
    CHECK_EQ(mount("", "/", "", MS_REC | MS_PRIVATE, NULL), 0);
    snprintf(text, sizeof text, "nameserver 127.0.0.1\noptions %s\n", options);
    replace("/etc/resolv.conf", text);
    replace("/etc/nsswitch.conf", "hosts: files dns\n");
    replace("/etc/hosts", "127.0.0.1 localhost\n192.0.2.7 known\n");
    loopback_up();
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK_EQ(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

#endif

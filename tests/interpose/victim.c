/* SPDX-License-Identifier: MIT */
/* A library that was not written for bough, built once for each way of linking libraries. */
#include <poll.h>
#include <unistd.h>

ssize_t victim_read(int fd, void *buffer, size_t size);
int victim_poll(struct pollfd *fds, nfds_t count, int timeout);
pid_t victim_parent(void);

ssize_t victim_read(int fd, void *buffer, size_t size)
{
    return read(fd, buffer, size);
}

int victim_poll(struct pollfd *fds, nfds_t count, int timeout)
{
    return poll(fds, count, timeout);
}

pid_t victim_parent(void)
{
    return getppid();
}

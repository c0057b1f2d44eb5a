/* SPDX-License-Identifier: MIT */
/*
 * The end of the process. A pidfd reports it at once, and never means another process that gets the same id later. The
 * exit status can be read in two places: in /proc until the parent has waited for the process, and afterwards from the
 * pidfd, since Linux 6.15.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../pid_ns.h"
#include "top.h"

/* As in <linux/pidfd.h>, which is newer than the headers that this is built with. */
struct end_info {
    uint64_t mask, cgroup;
    uint32_t ids[11];
    int32_t exit_code;
};
#define GET_INFO _IOWR(0xFF, 11, struct end_info)
enum { INFO_EXIT = 8 };

void watch_begin(struct top *t)
{
    t->pidfd = pid_ns_pidfd(t->arena.pid);
}

static bool status_by_descriptor(int pidfd, int *status)
{
    struct end_info info = {.mask = INFO_EXIT};
    if (pidfd < 0 || ioctl(pidfd, GET_INFO, &info) != 0 || !(info.mask & INFO_EXIT))
        return false;
    *status = info.exit_code;
    return true;
}

/* The status is the 52nd field of /proc/PID/stat, which is 0 without the right to attach to the process. */
static bool status_by_zombie(pid_t pid, int *status)
{
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
    if (fd >= 0)
        close(fd);
    line[n > 0 ? n : 0] = '\0';
    const char *state = strrchr(line, ')'), *last = strrchr(line, ' ');
    if (!state || strncmp(state, ") Z", 3) != 0 || !last)
        return false;
    *status = atoi(last + 1);
    return *status != 0;
}

static bool has_ended(const struct top *t)
{
    struct pollfd p = {.fd = t->pidfd, .events = POLLIN};
    if (t->pidfd >= 0)
        return poll(&p, 1, 0) > 0;
    return !proc_alive(t->arena.pid);
}

/* A process that executes another program keeps its id, and its old arena stays readable here. */
void watch_program(struct top *t)
{
    struct arena now;
    enum attached result = attach_process(&now, t->arena.pid);
    bool other =
        result == ATTACHED ? now.head.started != t->arena.head.started : result == NOT_BOUGH || result == HIDDEN;
    detach(&now);
    watch_look(t);
    if (other && !*t->end)
        snprintf(t->end, sizeof t->end, "process %d has executed another program", (int)t->arena.pid);
}

void watch_look(struct top *t)
{
    int status;
    if (*t->end || !has_ended(t))
        return;
    int n = snprintf(t->end, sizeof t->end, "process %d ", (int)t->arena.pid);
    char *end = t->end + n;
    size_t room = sizeof t->end - (size_t)n;
    if (!status_by_descriptor(t->pidfd, &status) && !status_by_zombie(t->arena.pid, &status))
        snprintf(end, room, "has ended");
    else if (WIFSIGNALED(status))
        snprintf(end, room, "was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(end, room, "has ended with status %d", WEXITSTATUS(status));
}

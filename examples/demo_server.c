/* SPDX-License-Identifier: MIT */
/* The demonstration's server: server.c itself, its main() aside, with three of its calls counted. */
#include "demo.h"

#include <dirent.h>
#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static struct shared *shared;
static __thread struct served *mine;

/* ---- counting ------------------------------------------------------------------------------------------------ */

static struct served *account_of(int fd)
{
    struct sockaddr_in peer = {.sin_port = 0};
    socklen_t size = sizeof peer;
    if (mine)
        return mine;
    getpeername(fd, (struct sockaddr *)&peer, &size);
    mine = &shared->served[ntohs(peer.sin_port)];
    mine->fd = fd + 1;
    return mine;
}

static ssize_t counted_read(int fd, void *data, size_t size)
{
    struct served *s = account_of(fd);
    s->doing = READING;
    ssize_t result = bough_read(fd, data, size);
    s->doing = NOTHING;
    if (result > 0)
        s->in += (uint64_t)result;
    if (result == 0)
        s->end_of_file = 1;
    return result;
}

static int counted_write_all(int fd, const void *data, size_t size, size_t *unused, bough_time deadline)
{
    struct served *s = account_of(fd);
    size_t done = 0;
    (void)unused;
    s->doing = WRITING;
    int result = bough_write_all(fd, data, size, &done, deadline);
    s->doing = NOTHING;
    s->out += done;
    return result;
}

/* ---- at a connection's end the kernel is asked, too ------------------------------------------------------------ */

static int ask(int fd, struct tcp_info *info)
{
    socklen_t size = sizeof *info;
    memset(info, 0, sizeof *info);
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &size) == 0 &&
           size >= offsetof(struct tcp_info, tcpi_bytes_received) + sizeof info->tcpi_bytes_received;
}

/* A client may be sending: ask until two answers agree. An end of file is counted as a byte. */
static void audit(int fd, struct served *s)
{
    struct tcp_info info, again;
    do {
        s->audited = ask(fd, &info);
        ioctl(fd, SIOCINQ, &s->unread);
        ioctl(fd, SIOCOUTQ, &s->unsent);
        ask(fd, &again);
    } while (info.tcpi_bytes_received != again.tcpi_bytes_received || info.tcpi_bytes_acked != again.tcpi_bytes_acked);
    s->taken = info.tcpi_bytes_received - (uint64_t)s->unread - (uint64_t)s->end_of_file;
    s->given = info.tcpi_bytes_acked + (uint64_t)s->unsent;
}

static void audit_and_close(void *conn)
{
    audit(bough_fd_of(conn), account_of(bough_fd_of(conn)));
    mine->doing = ENDED;
    mine = NULL; /* this thread's next child has another */
    close(bough_fd_of(conn));
}

static bough_resource counted_fd(int fd)
{
    return bough_resource_of((void *)(intptr_t)fd, audit_and_close);
}

#define bough_read counted_read
#define bough_write_all counted_write_all
#define bough_fd counted_fd
#define main server_main
int server_main(int argc, char **argv);
#include "server.c"

/* ---- watching: is a send buffer full? --------------------------------------------------------------------------- */

static void look_at(struct served *s)
{
    struct pollfd writable = {.fd = s->fd - 1, .events = POLLOUT};
    int queued = 0, full = s->doing == WRITING && ioctl(s->fd - 1, SIOCOUTQ, &queued) == 0 && queued > 0 &&
                           poll(&writable, 1, 0) == 0;
    s->still = full && queued == s->queued ? s->still + 1 : 0;
    s->queued = queued;
}

/* A thread that bough does not know, and which is gone before the signal comes. */
static void *watch(void *unused)
{
    static const struct timespec pause = {0, 20000000};
    (void)unused;
    while (!shared->stop_watching) {
        for (int i = 0; i < CLIENTS; i++)
            if (shared->client[i].port && kind_of(i) == STUCK)
                look_at(&shared->served[shared->client[i].port]);
        nanosleep(&pause, NULL);
    }
    shared->watched = 1;
    return NULL;
}

static int start_watching(pthread_t *watcher)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(watcher, NULL, watch, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

/* ---- the process ------------------------------------------------------------------------------------------------- */

int open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = -3; /* itself, and the two dots */
    if (!folder)
        return -1;
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

/* A thread of bough may have a file open for a moment: it looks why another thread is late. A leak lasts. */
static int lasting_descriptors(int before)
{
    static const struct timespec pause = {0, 10000000};
    int count = open_descriptors();
    for (int tries = 0; tries < 100 && count > before; tries++) {
        nanosleep(&pause, NULL);
        count = open_descriptors();
    }
    return count;
}

int run_server(struct shared *s, int listener)
{
    pthread_t watcher;
    shared = s;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (start_watching(&watcher) != 0)
        return 1;
    s->descriptors_before = open_descriptors();
    signal(SIGPIPE, SIG_IGN);
    bough_signals(BOUGH_SIGNALS_TAKE); /* also where a script has put the demonstration into the background */
    int result = accept_loop(listener);
    s->joined = monotonic();
    s->tally = bough_last()->tally;
    s->descriptors_after = lasting_descriptors(s->descriptors_before);
    pthread_join(watcher, NULL);
    return result != 0;
}

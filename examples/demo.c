/* SPDX-License-Identifier: MIT */
/* `make demo`: a server with 500 clients is stopped by SIGINT. See demo.h. */
#include "demo.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NEEDED = CLIENTS + 50, SEND_BUFFER = 65536 };
#define PATIENCE BOUGH_SEC(6)

int64_t monotonic(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return BOUGH_SEC(now.tv_sec) + now.tv_nsec;
}

static void rest(int milliseconds)
{
    nanosleep(&(struct timespec){milliseconds / 1000, milliseconds % 1000 * 1000000L}, NULL);
}

/* ---- setting up ------------------------------------------------------------------------------------------------ */

static int raise_limit(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= NEEDED)
        return 0;
    if (limit.rlim_max < NEEDED) {
        show_failure("%d descriptors are needed in one process, and no more than %llu are allowed (ulimit -Hn)", NEEDED,
                     (unsigned long long)limit.rlim_max);
        return -1;
    }
    limit.rlim_cur = NEEDED;
    return setrlimit(RLIMIT_NOFILE, &limit);
}

/* Send buffers of one size, which accepted sockets inherit: the kernel's would grow to megabytes. */
static int open_listener(struct sockaddr_in *address)
{
    int size = SEND_BUFFER, listener = socket(AF_INET, SOCK_STREAM, 0);
    socklen_t length = sizeof *address;
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    if (bind(listener, (struct sockaddr *)address, length) != 0 || listen(listener, SOMAXCONN) != 0 ||
        getsockname(listener, (struct sockaddr *)address, &length) != 0) {
        show_failure("no loopback: %s", strerror(errno));
        return -1;
    }
    return listener;
}

/* ---- waiting until all is as it should be ------------------------------------------------------------------------ */

static int settled(const struct shared *s, struct where where[KINDS])
{
    int missing = 0;
    look_around(s, where);
    for (int kind = 0; kind < KINDS; kind++)
        missing += where[kind].all - where[kind].there;
    return missing == 0;
}

static int wait_until_settled(const struct shared *s)
{
    struct where w[KINDS];
    int64_t until = monotonic() + PATIENCE;
    int done = 0, over = 0;
    while (!over) {
        rest(30);
        done = settled(s, w);
        over = done || s->clients_failed || monotonic() > until;
        show_progress(over,
                      "clients: %d/%d idle, %d/%d streaming, %d/%d stuck on full send buffers, %d/%d come and gone",
                      w[IDLE].there, w[IDLE].all, w[STREAMING].there, w[STREAMING].all, w[STUCK].there, w[STUCK].all,
                      w[VISITOR].there, w[VISITOR].all);
    }
    if (s->clients_failed)
        show_failure("a client can't connect: %s", strerror(s->clients_failed));
    else if (!done)
        show_failure("that is not what there should be: too few threads (ulimit -u), or too slow a machine?");
    return done ? 0 : -1;
}

static uint64_t echoed(const struct shared *s)
{
    uint64_t sum = 0;
    for (int i = 0; i < CLIENTS; i++)
        sum += s->client[i].received;
    return sum;
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

/* Returns the wait status; -1 if the process did not end. */
static int reap(pid_t pid)
{
    int status;
    for (int64_t until = monotonic() + BOUGH_SEC(2); monotonic() < until; rest(1))
        if (waitpid(pid, &status, WNOHANG) == pid)
            return status;
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return -1;
}

static int stop(struct shared *s, pid_t server, pid_t clients)
{
    s->stop_watching = 1;
    for (int64_t until = monotonic() + BOUGH_SEC(1); !s->watched && monotonic() < until;)
        rest(1);
    int64_t signalled = monotonic();
    kill(server, SIGINT);
    int status = reap(server), others = reap(clients);
    if (others != 0)
        show_failure("the clients did not end");
    return show_balance(s, signalled, status) != 0 || others != 0;
}

static int watch_and_stop(struct shared *s, pid_t server, pid_t clients)
{
    if (wait_until_settled(s) != 0) {
        kill(server, SIGKILL);
        kill(clients, SIGKILL);
        return 1;
    }
    uint64_t before = echoed(s);
    rest(1000);
    show_tree(s, (int)server, echoed(s) - before);
    return stop(s, server, clients);
}

int main(void)
{
    struct sockaddr_in address;
    struct shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    show_begin();
    int listener = raise_limit() == 0 ? open_listener(&address) : -1;
    if (listener < 0 || s == MAP_FAILED)
        return 2;
    pid_t server = fork();
    if (server == 0)
        return run_server(s, listener);
    close(listener);
    pid_t clients = server > 0 ? fork() : -1;
    if (clients == 0)
        return run_clients(s, address);
    if (clients < 0)
        return show_failure("fork: %s", strerror(errno)), 2;
    return watch_and_stop(s, server, clients);
}

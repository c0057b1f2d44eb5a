/* SPDX-License-Identifier: MIT */
/* Rule 48: the contents of a recording, as the command's reader finds them. */
#include <aio.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "recorded.h"

/* ---- contents ------------------------------------------------------------------------------------------------------ */

static int fails(void *unused)
{
    (void)unused;
    return bough_fail(NULL, EIO, "the disk is gone");
}

TEST(threads_branches_interrupts_and_failures)
{
    int fds[2];
    struct trace t;
    CHECK_EQ(pipe(fds), 0);
    begin_recording(BOUGH_TRACE_ALL);
    BOUGH_BRANCH(clients) {
        add_named(clients, read_pipe, bough_arg((void *)(intptr_t)fds[0]), "reader");
        t_until(reader_tid);
        t_until_blocked(reader_tid);
        bough_interrupt(clients, "closing time");
    }
    BOUGH_BRANCH(jobs) {
        add_named(jobs, fails, bough_arg(NULL), "job");
        bough_usleep(1000000);
    }
    CHECK_EQ(bough_last_result(), EIO);
    CHECK_EQ(bough_trace_stop(), 0);
    read_back(&t);
    int reader = thread_named(&t, "reader"), clients = branch_named(&t, "clients"), jobs = branch_named(&t, "jobs");
    CHECK(reader != TRACE_NONE && clients != TRACE_NONE && jobs != TRACE_NONE);
    CHECK_EQ(t.threads[reader].branch, clients);
    CHECK(t.threads[reader].begun >= t.branches[clients].begun && t.threads[reader].ended <= t.branches[clients].ended);
    CHECK_STR(t.branches[clients].outcome, "interrupted");
    CHECK_STR(t.branches[jobs].outcome, "Input/output error");
    const struct trace_event *posted = event_of(&t, TRACE_POSTED, "stop"), *read = event_of(&t, TRACE_CALL, "read"),
                             *delivered = event_of(&t, TRACE_DELIVERED, "stop"),
                             *over = event_of(&t, TRACE_OVER, "ended"),
                             *failed = event_of(&t, TRACE_FAILURE, "Input/output error");
    CHECK(posted && read && delivered && over && failed);
    CHECK_STR(posted->detail, "closing time");
    CHECK_EQ(posted->target_branch, clients);
    CHECK_EQ(t.threads[posted->thread].tid, getpid());
    CHECK_EQ(delivered->thread, reader);
    CHECK(delivered->serial == posted->serial && over->serial == posted->serial);
    CHECK_EQ(read->thread, reader);
    CHECK(strncmp(read->detail, "fd ", 3) == 0 && atoi(read->detail + 3) == fds[0]);
    CHECK(read->at <= posted->at && posted->at <= delivered->at && read->until >= posted->at);
    CHECK_STR(failed->detail, "the disk is gone");
    CHECK_EQ(failed->thread, thread_named(&t, "job"));
    CHECK(!t.was_cut_off && t.lost == 0);
    trace_free(&t);
    close(fds[0]);
    close(fds[1]);
}

TEST(arguments_can_be_left_out)
{
    struct trace t;
    const struct sockaddr_un address = {AF_UNIX, "a secret address"};
    struct addrinfo *list = NULL;
    size_t size;
    begin_recording(BOUGH_TRACE_ALL | BOUGH_TRACE_NO_ARGUMENTS);
    bough_open("/a secret folder", O_RDONLY);
    bough_connect(0, (const struct sockaddr *)&address, sizeof address);
    if (bough_getaddrinfo("a-secret-host.invalid", NULL, NULL, &list) == 0)
        freeaddrinfo(list);
    BOUGH_BRANCH(b) {
        add_named(b, fails, bough_arg(NULL), "job");
        bough_interrupt(b, "a secret");
        bough_usleep(1000);
    }
    CHECK_EQ(bough_trace_stop(), 0);
    unsigned char *bytes = load(&size);
    CHECK(!memmem(bytes, size, "a secret", 8) && !memmem(bytes, size, "a-secret", 8));
    free(bytes);
    read_back(&t);
    for (int i = 0; i < t.n_events; i++)
        if (t.events[i].what != TRACE_SECTION && *t.events[i].detail)
            FAIL("an argument: %s (%s)", t.events[i].text, t.events[i].detail);
    trace_free(&t);
}

static int open_fifo(void *name)
{
    reader_tid = t_tid();
    int fd = bough_open(name, O_RDONLY);
    return fd < 0 ? errno : bough_close(fd);
}

/* The call began in a recording with arguments, and is noted in the next one. */
TEST(a_recording_without_arguments_leaves_out_those_of_earlier_calls)
{
    size_t size;
    char fifo[80];
    snprintf(fifo, sizeof fifo, "/tmp/bough-a secret-%d", (int)getpid());
    CHECK_EQ(mkfifo(fifo, 0600), 0);
    BOUGH_BRANCH(b) {
        begin_recording(BOUGH_TRACE_ALL);
        bough_thread *child = bough_add(b, open_fifo, bough_arg(fifo));
        t_until(reader_tid);
        t_until_blocked(reader_tid);
        CHECK_EQ(bough_trace_stop(), 0);
        CHECK_EQ(unlink(file_name()), 0);
        begin_recording(BOUGH_TRACE_ALL | BOUGH_TRACE_NO_ARGUMENTS);
        close(open(fifo, O_WRONLY));
        CHECK_EQ(bough_join(child), 0);
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_trace_stop(), 0);
    unsigned char *bytes = load(&size);
    CHECK(!memmem(bytes, size, "a secret", 8));
    free(bytes);
    struct trace t;
    read_back(&t);
    CHECK(event_of(&t, TRACE_CALL, "openat"));
    trace_free(&t);
    unlink(fifo);
}

TEST(short_calls_are_left_out)
{
    struct trace t;
    begin_recording(0);
    bough_usleep(1);
    bough_usleep(2000);
    CHECK_EQ(bough_trace_stop(), 0);
    read_back(&t);
    const struct trace_event *slept = event_of(&t, TRACE_CALL, "clock_nanosleep");
    CHECK(slept && slept->until - slept->at >= 1000000);
    for (int i = 0; i < t.n_events; i++)
        CHECK(t.events[i].what != TRACE_CALL || t.events[i].until - t.events[i].at >= 1000000);
    trace_free(&t);
}

/* ---- arguments ------------------------------------------------------------------------------------------------------- */

/* The calls that the recording must have, in this order, with their arguments. */
static struct expected {
    char call[24], detail[160];
} expected[64];
static int n_expected;

__attribute__((format(printf, 2, 3))) static void expect(const char *call, const char *format, ...)
{
    struct expected *e = &expected[n_expected++];
    va_list list;
    snprintf(e->call, sizeof e->call, "%s", call);
    va_start(list, format);
    vsnprintf(e->detail, sizeof e->detail, format, list);
    va_end(list);
}

static void check_expected(void)
{
    struct trace t;
    int at = 0;
    CHECK_EQ(bough_trace_stop(), 0);
    read_back(&t);
    for (int i = 0; i < n_expected; i++, at++) {
        while (at < t.n_events && (t.events[at].what != TRACE_CALL || strcmp(t.events[at].text, expected[i].call) != 0))
            at++;
        if (at == t.n_events)
            FAIL("no %s (%s)", expected[i].call, expected[i].detail);
        if (strcmp(t.events[at].detail, expected[i].detail) != 0)
            FAIL("%s (%s), not (%s)", expected[i].call, t.events[at].detail, expected[i].detail);
    }
    n_expected = 0;
    trace_free(&t);
}

static void *const bad_address = (void *)16;

TEST(arguments_of_files)
{
    char path[300], text[16];
    int folder = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fds[2];
    CHECK_EQ(pipe(fds), 0);
    begin_recording(BOUGH_TRACE_ALL);
    bough_open("/no/such/file", O_RDONLY);
    expect("openat", "/no/such/file");
    bough_openat(folder, "no-such-file", O_RDONLY);
    expect("openat", "no-such-file in fd %d", folder);
    bough_openat(folder, "/no/such", O_RDONLY);
    expect("openat", "/no/such");
    bough_creat("no-such/file", 0600);
    expect("openat", "no-such/file");
    memset(path, 'x', sizeof path);
    strcpy(path + 200, "/the-end");
    bough_open(path, O_RDONLY);
    expect("openat", "...%s", path + strlen(path) - 109);
    CHECK_ERR(bough_open(bad_address, O_RDONLY), EFAULT);
    expect("openat", "%s", "");
    CHECK_EQ(bough_write(fds[1], "x", 1), 1);
    expect("write", "fd %d", fds[1]);
    CHECK_EQ(bough_read(fds[0], text, sizeof text), 1);
    expect("read", "fd %d", fds[0]);
    bough_msync(path, 1, 99);
    expect("msync", "0x%lx", (unsigned long)path);
    CHECK(bough_syscall(SYS_getpriority, 0, 0) > 0);
    expect("getpriority", "%s", "");
    check_expected();
    close(folder);
    close(fds[0]);
    close(fds[1]);
}

TEST(arguments_of_sockets)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(4711), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(4712), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_un local = {AF_UNIX, "/no/such/socket"};
    struct msghdr message = {.msg_name = &v4, .msg_namelen = sizeof v4};
    static struct sockaddr_in elsewhere;
    int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), stream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    elsewhere = v4;
    begin_recording(BOUGH_TRACE_ALL);
    bough_sendto(udp, "x", 1, 0, (struct sockaddr *)&v4, sizeof v4);
    expect("sendto", "fd %d, 127.0.0.1:4711", udp);
    bough_sendto(udp, "x", 1, 0, (struct sockaddr *)&elsewhere, sizeof elsewhere);
    expect("sendto", "fd %d, 127.0.0.1:4711", udp);
    CHECK_ERR(bough_sendto(udp, "x", 1, 0, bad_address, 16), EFAULT);
    expect("sendto", "fd %d", udp);
    bough_sendmsg(udp, &message, 0);
    expect("sendmsg", "fd %d, 127.0.0.1:4711", udp);
    bough_connect(udp, (struct sockaddr *)&v4, sizeof v4);
    expect("connect", "fd %d, 127.0.0.1:4711", udp);
    bough_send(udp, "x", 1, 0);
    expect("sendto", "fd %d", udp);
    bough_connect(udp, (struct sockaddr *)&v6, sizeof v6);
    expect("connect", "fd %d, [::1]:4712", udp);
    bough_connect(stream, (struct sockaddr *)&local, sizeof local);
    expect("connect", "fd %d, /no/such/socket", stream);
    bough_connect(stream, (struct sockaddr *)&local, unix_address(&local, "nobody"));
    expect("connect", "fd %d, @nobody", stream);
    memset(local.sun_path, 'y', sizeof local.sun_path);
    bough_connect(stream, (struct sockaddr *)&local, sizeof local);
    expect("connect", "fd %d, %.108s", stream, local.sun_path);
    check_expected();
    close(udp);
    close(stream);
}

TEST(arguments_of_waits)
{
    int fds[2], epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK_EQ(pipe(fds), 0);
    struct pollfd polled[2] = {{.fd = fds[0], .events = POLLIN}, {.fd = -1}};
    static struct pollfd elsewhere;
    elsewhere = polled[0];
    struct timespec ms = {0, 1000000}, most = {1, 500000};
    struct epoll_event event;
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fds[0], &set);
    begin_recording(BOUGH_TRACE_ALL);
    bough_poll(polled, 1, 2);
    expect("ppoll", "fd %d, at most 2 ms", fds[0]);
    bough_poll(&elsewhere, 1, 0);
    expect("ppoll", "fd %d, at most 0 ms", fds[0]);
    bough_ppoll(polled, 2, &ms, NULL);
    expect("ppoll", "2 descriptors, at most 1 ms");
    CHECK_ERR(bough_syscall(SYS_ppoll, bad_address, 1, NULL, NULL, 8), EFAULT);
    expect("ppoll", "1 descriptor");
    bough_select(fds[0] + 1, &set, NULL, NULL, &(struct timeval){0, 1});
    expect("pselect6", "descriptors below %d, at most 1 ms", fds[0] + 1);
    bough_epoll_wait(epoll, &event, 1, 3);
    expect("epoll_pwait", "fd %d, at most 3 ms", epoll);
    bough_nanosleep(&ms, NULL);
    expect("clock_nanosleep", "1 ms");
    bough_usleep(1500);
    expect("clock_nanosleep", "1.500 ms");
    CHECK_EQ(bough_clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &most, NULL), 0); /* long ago */
    expect("clock_nanosleep", "0 ms");
    CHECK_ERR(bough_waitpid(-1, NULL, 0), ECHILD);
    expect("wait4", "any child");
    CHECK_ERR(bough_waitpid(getpid(), NULL, 0), ECHILD);
    expect("wait4", "process %d", getpid());
    CHECK_ERR(bough_waitpid(-77, NULL, 0), ECHILD);
    expect("wait4", "process group 77");
    CHECK_ERR(bough_waitid(P_ALL, 0, NULL, WEXITED), ECHILD);
    expect("waitid", "any child");
    CHECK_ERR(bough_waitid(P_PID, (id_t)getpid(), NULL, WEXITED), ECHILD);
    expect("waitid", "process %d", getpid());
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGTERM);
    CHECK_ERR(bough_sigtimedwait(&signals, NULL, &ms), EAGAIN);
    expect("rt_sigtimedwait", "SIGUSR1 SIGTERM");
    check_expected();
    close(epoll);
    close(fds[0]);
    close(fds[1]);
}

static void *waits_at(void *gate)
{
    t_gate_wait(gate);
    return NULL;
}

static _Atomic bool joins;

static void *open_when_joined(void *gate)
{
    t_until(joins);
    t_until_blocked(getpid());
    t_gate_open(gate);
    return NULL;
}

TEST(arguments_of_waits_inside_libc)
{
    struct t_gate gate = {0};
    struct t_thread joined, opener;
    sem_t semaphore;
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
    struct timespec long_ago = {1, 0};
    struct addrinfo *list = NULL;
    const struct aiocb one = {0}, *const many[] = {&one};
    CHECK_EQ(sem_init(&semaphore, 0, 0), 0);
    t_spawn(&joined, waits_at, &gate);
    t_spawn(&opener, open_when_joined, &gate);
    begin_recording(BOUGH_TRACE_ALL);
    CHECK_ERR(bough_sem_timedwait(&semaphore, &long_ago), ETIMEDOUT);
    expect("sem_wait", "0x%lx", (unsigned long)&semaphore);
    pthread_mutex_lock(&mutex);
    CHECK_EQ(bough_pthread_cond_timedwait(&cond, &mutex, &long_ago), ETIMEDOUT);
    expect("pthread_cond_wait", "0x%lx", (unsigned long)&cond);
    pthread_mutex_unlock(&mutex);
    bough_aio_suspend(many, 1, &long_ago);
    expect("aio_suspend", "1 operation");
    joins = true;
    CHECK_EQ(bough_pthread_join(joined.handle, NULL), 0);
    expect("pthread_join", "thread %d", (int)joined.tid);
    if (bough_getaddrinfo("localhost", "4711", NULL, &list) == 0)
        freeaddrinfo(list);
    expect("getaddrinfo", "localhost:4711");
    BOUGH_BRANCH(clients) {
    }
    expect("end of a branch", "clients");
    bough_event_flag event = BOUGH_EVENT_INIT;
    CHECK_ERR(bough_event_wait(&event, bough_after(BOUGH_MS(1))), ETIMEDOUT);
    expect("futex", "0x%lx", (unsigned long)&event);
    check_expected();
    t_join(&opener);
}

/* The wait for the library's thread inside it is not recorded as a call of the program. */
TEST(a_look_up_is_one_call)
{
    struct trace t;
    struct addrinfo *list = NULL;
    begin_recording(BOUGH_TRACE_ALL);
    if (bough_getaddrinfo("localhost", "4711", NULL, &list) == 0)
        freeaddrinfo(list);
    CHECK_EQ(bough_trace_stop(), 0);
    read_back(&t);
    CHECK(event_of(&t, TRACE_CALL, "getaddrinfo") && !event_of(&t, TRACE_CALL, "futex"));
    trace_free(&t);
}

/* SPDX-License-Identifier: MIT */
/* Rule 48: what a recording contains, read by the command's reader. */
#include <aio.h>
#include <bough.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "harness.h"
#include "torn.h"
#include "trace/read.h"

/* ---- tools ------------------------------------------------------------------------------------------------------- */

static const char *file_name(void)
{
    static char name[64];
    snprintf(name, sizeof name, "/tmp/bough-recorded-%d", (int)getpid());
    return name;
}

static void begin_recording(unsigned flags)
{
    CHECK_EQ(bough_trace_start(&(struct bough_trace_options){.file = file_name(), .flags = flags}), 0);
}

static void read_back(struct trace *t)
{
    CHECK_EQ(trace_read(file_name(), t), 0);
    CHECK_EQ(unlink(file_name()), 0);
}

static const struct trace_event *event_after(const struct trace *t, int from, enum trace_what what, const char *text)
{
    for (int i = from; i < t->n_events; i++)
        if (t->events[i].what == what && strcmp(t->events[i].text, text) == 0)
            return &t->events[i];
    return NULL;
}

static const struct trace_event *event_of(const struct trace *t, enum trace_what what, const char *text)
{
    return event_after(t, 0, what, text);
}

static int thread_named(const struct trace *t, const char *name)
{
    for (int i = 0; i < t->n_threads; i++)
        if (strcmp(t->threads[i].name, name) == 0)
            return i;
    return TRACE_NONE;
}

static int branch_named(const struct trace *t, const char *name)
{
    for (int i = 0; i < t->n_branches; i++)
        if (strcmp(t->branches[i].name, name) == 0)
            return i;
    return TRACE_NONE;
}

static _Atomic pid_t reader_tid;

static int read_pipe(void *fd)
{
    char byte;
    reader_tid = t_tid();
    return bough_read(bough_fd_of(fd), &byte, 1) < 0 ? errno : 0;
}

static bough_thread *add_named(bough_branch *b, bough_fn *fn, bough_resource r, const char *name)
{
    return bough_add_with(b, fn, r, &(struct bough_child_options){.name = name});
}

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

static unsigned char *load(size_t *size);

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

/* What is to be in the recording, in this order: a call, and its argument. */
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

static socklen_t unix_address(struct sockaddr_un *a, const char *name)
{
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    strcpy(a->sun_path + 1, name);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
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

/* It is a wait for a thread of the library, which is no call of the program's. */
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

/* ---- processes that end --------------------------------------------------------------------------------------------- */

static struct shared {
    _Atomic int ready;
} * shared;

static void share(void)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
}

static void block_in_a_pipe(const char *name)
{
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    bough_adopt(name);
    bough_set_name(name);
    shared->ready = 1;
    read_pipe((void *)(intptr_t)fds[0]);
    _exit(1);
}

/* Whether another process's main thread is in this system call. */
static bool is_in(pid_t pid, long call)
{
    char path[64], text[64] = "";
    snprintf(path, sizeof path, "/proc/%d/syscall", (int)pid);
    FILE *f = fopen(path, "re");
    bool is = f && fgets(text, sizeof text, f) && *text != 'r' && atol(text) == call;
    if (f)
        fclose(f);
    return is;
}

TEST(a_killed_process_leaves_its_open_call)
{
    struct trace t;
    share();
    begin_recording(0);
    pid_t child = fork();
    if (child == 0)
        block_in_a_pipe("victim");
    t_until(shared->ready);
    t_until(is_in(child, SYS_read));
    CHECK_EQ(kill(child, SIGKILL), 0);
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(bough_trace_stop(), 0);
    read_back(&t);
    int victim = thread_named(&t, "victim");
    CHECK(victim != TRACE_NONE);
    const struct trace_process *p = &t.processes[t.threads[victim].process];
    CHECK_EQ(p->pid, child);
    CHECK(p->parent != TRACE_NONE && t.processes[p->parent].pid == getpid());
    CHECK_EQ(p->ended, TRACE_OPEN);
    const struct trace_event *read = event_of(&t, TRACE_CALL, "read");
    CHECK(read && read->thread == victim && read->until == TRACE_OPEN);
    trace_free(&t);
}

static char fifo[64];

/* What a child leaves that a signal kills, itself or by its handler, as soon as it is blocked in `call`. */
static void leave(void (*run)(void), long call, int signal, struct trace *t)
{
    int status;
    share();
    begin_recording(0);
    pid_t child = fork();
    if (child == 0) {
        bough_adopt("victim");
        run();
        _exit(1);
    }
    t_until(is_in(child, call));
    CHECK_EQ(kill(child, signal), 0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_KILLED(status, SIGKILL);
    CHECK_EQ(bough_trace_stop(), 0);
    read_back(t);
}

/* The call that the victim was in: as "name (argument)". */
static const char *open_call(const struct trace *t)
{
    static char text[256];
    strcpy(text, "none");
    for (int i = 0; i < t->n_events; i++)
        if (t->events[i].what == TRACE_CALL && t->events[i].until == TRACE_OPEN)
            snprintf(text, sizeof text, "%s (%s)", t->events[i].text, t->events[i].detail);
    return text;
}

static void block_in_connect(void)
{
    struct sockaddr_un address;
    char name[64];
    snprintf(name, sizeof name, "bough-recorded-%d", (int)getppid());
    socklen_t length = unix_address(&address, name);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 0) == 0);
    CHECK_EQ(connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address, length), 0);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQ(dup2(fd, 99), 99);
    bough_connect(99, (struct sockaddr *)&address, length);
}

TEST(a_killed_process_leaves_the_address_it_connects_to)
{
    struct trace t;
    char expected_call[128];
    snprintf(expected_call, sizeof expected_call, "connect (fd 99, @bough-recorded-%d)", (int)getpid());
    leave(block_in_connect, SYS_connect, SIGKILL, &t);
    CHECK_STR(open_call(&t), expected_call);
    trace_free(&t);
}

static void block_in_two_regions(void)
{
    BOUGH_CRITICAL(BOUGH_SEC(60)) {
        BOUGH_CLEANUP(BOUGH_SEC(60)) {
            bough_open(fifo, O_RDONLY);
        }
    }
}

static const struct trace_event *open_region(const struct trace *t, const char *name)
{
    for (int i = 0; i < t->n_events; i++)
        if (t->events[i].what == TRACE_SECTION && t->events[i].until == TRACE_OPEN &&
            strcmp(t->events[i].text, name) == 0)
            return &t->events[i];
    return NULL;
}

/* The process is killed while it opens a FIFO, which is the call that the recording has open. */
static void leave_at_the_fifo(void (*body)(void), int signo, struct trace *t)
{
    char expected_call[128];
    snprintf(fifo, sizeof fifo, "/tmp/bough-fifo-%d", (int)getpid());
    snprintf(expected_call, sizeof expected_call, "openat (%s)", fifo);
    CHECK_EQ(mkfifo(fifo, 0600), 0);
    leave(body, SYS_openat, signo, t);
    CHECK_EQ(unlink(fifo), 0);
    CHECK_STR(open_call(t), expected_call);
}

TEST(a_killed_process_leaves_all_its_regions)
{
    struct trace t;
    leave_at_the_fifo(block_in_two_regions, SIGKILL, &t);
    const struct trace_event *outer = open_region(&t, "critical"), *inner = open_region(&t, "cleanup");
    CHECK(outer && inner && outer->at <= inner->at);
    int line = atoi(strchr(outer->detail, ':') + 1);
    CHECK(strncmp(outer->detail, "recorded.c:", 11) == 0 && strncmp(inner->detail, "recorded.c:", 11) == 0);
    CHECK_EQ(atoi(strchr(inner->detail, ':') + 1), line + 1);
    trace_free(&t);
}

static void die_after_a_call(int signal)
{
    (void)signal;
    bough_open("/no/such/file", O_RDONLY);
    raise(SIGKILL);
}

static void block_with_a_handler(void)
{
    signal(SIGALRM, die_after_a_call);
    bough_open(fifo, O_RDONLY);
}

/* The call in the handler was over: the thread was in the outer one again, whose path was kept. */
TEST(a_call_in_a_handler_leaves_the_outer_one)
{
    struct trace t;
    leave_at_the_fifo(block_with_a_handler, SIGALRM, &t);
    trace_free(&t);
}

static sigjmp_buf place;

static void jump(int signal)
{
    (void)signal;
    siglongjmp(place, 1);
}

static void leave_a_call_by_a_jump(void)
{
    int fds[2];
    char byte;
    CHECK_EQ(pipe(fds), 0);
    if (sigsetjmp(place, 1) == 0) {
        signal(SIGALRM, jump);
        bough_read(fds[0], &byte, 1);
    }
}

static void end_after_a_jump(void)
{
    leave_a_call_by_a_jump();
    bough_open("/no/such/file", O_RDONLY);
    raise(SIGKILL);
}

/* A call that a jump has left is not the one that the thread is in. */
TEST(a_call_that_a_jump_has_left_is_over)
{
    struct trace t;
    leave(end_after_a_jump, SYS_read, SIGALRM, &t);
    CHECK_STR(open_call(&t), "none");
    trace_free(&t);
}

static void die(int signal)
{
    (void)signal;
    raise(SIGKILL);
}

/* The second one is made with the signal blocked but for its wait. */
static void call_after_a_jump(void)
{
    sigset_t mask;
    leave_a_call_by_a_jump();
    signal(SIGALRM, die);
    sigemptyset(&mask);
    sigaddset(&mask, SIGALRM);
    CHECK_EQ(sigprocmask(SIG_BLOCK, &mask, NULL), 0);
    raise(SIGALRM);
    sigemptyset(&mask);
    bough_ppoll(NULL, 0, NULL, &mask);
}

TEST(the_first_call_after_a_jump_is_shown)
{
    struct trace t;
    leave(call_after_a_jump, SYS_read, SIGALRM, &t);
    CHECK_STR(open_call(&t), "ppoll (0 descriptors)");
    trace_free(&t);
}

TEST(a_crashed_process_leaves_its_events)
{
    struct trace t;
    begin_recording(0);
    pid_t child = fork();
    if (child == 0) {
        bough_adopt("crashes");
        BOUGH_BRANCH(last) {
            signal(SIGSEGV, SIG_DFL);
            raise(SIGSEGV);
        }
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_KILLED(status, SIGSEGV);
    CHECK_EQ(bough_trace_stop(), 0);
    read_back(&t);
    int last = branch_named(&t, "last");
    CHECK(last != TRACE_NONE);
    CHECK_EQ(t.branches[last].ended, TRACE_OPEN);
    CHECK_STR(t.branches[last].outcome, "");
    trace_free(&t);
}

TEST(threads_and_branches_from_before)
{
    struct trace t;
    BOUGH_BRANCH(outer) {
        reader_tid = 0;
        int fds[2];
        CHECK_EQ(pipe(fds), 0);
        add_named(outer, read_pipe, bough_arg((void *)(intptr_t)fds[0]), "early");
        t_until(reader_tid);
        t_until_blocked(reader_tid);
        begin_recording(0);
        BOUGH_BRANCH(inner) {
            bough_usleep(1);
        }
        bough_interrupt(outer, NULL);
        bough_usleep(1000);
        close(fds[0]);
        close(fds[1]);
    }
    CHECK_EQ(bough_trace_stop(), 0);
    read_back(&t);
    int early = thread_named(&t, "early"), outer = branch_named(&t, "outer"), inner = branch_named(&t, "inner");
    CHECK(early != TRACE_NONE && outer != TRACE_NONE && inner != TRACE_NONE);
    CHECK_EQ(t.threads[early].branch, outer);
    CHECK_EQ(t.threads[early].tid, reader_tid);
    CHECK_EQ(t.branches[inner].outer, outer);
    CHECK_EQ(t.threads[t.branches[outer].owner].tid, getpid());
    trace_free(&t);
}

/* ---- a reader during many changes ------------------------------------------------------------------------------------- */

enum { READS = 40 };

static void check_recording(const struct trace *t)
{
    for (int i = 0; i < t->n_branches; i++)
        if (*t->branches[i].name)
            check_whole(t->branches[i].name, "branch");
    for (int i = 0; i < t->n_threads; i++)
        if (t->threads[i].branch != TRACE_NONE && *t->threads[i].name)
            check_whole(t->threads[i].name, "thread");
    for (int i = 0; i < t->n_events; i++)
        if (t->events[i].what == TRACE_POSTED)
            check_whole(t->events[i].detail, "reason");
}

/* The file is small, so its chunks are taken again all the time. */
TEST_LIMIT(no_event_is_torn, 60)
{
    struct trace t;
    share();
    CHECK_EQ(bough_trace_start(&(struct bough_trace_options){.file = file_name(), .size = 256 << 10}), 0);
    pid_t child = fork();
    for (uint32_t x = 1; child == 0; x++) {
        add_and_end(x * 2654435761u);
        shared->ready++;
    }
    t_until(shared->ready);
    int64_t begin = t_now();
    int before = shared->ready;
    bool lost = false;
    for (int i = 0; i < READS || !lost; i++) {
        CHECK_EQ(trace_read(file_name(), &t), 0);
        check_recording(&t);
        lost = t.lost > 0;
        trace_free(&t);
    }
    t_note("%.0f adds and ends per second", (shared->ready - before) * 5.0e9 / (double)(t_now() - begin));
    CHECK_EQ(kill(child, SIGKILL), 0);
    CHECK_EQ(waitpid(child, NULL, 0), child);
    CHECK_EQ(bough_trace_stop(), 0);
    read_back(&t);
    check_recording(&t);
    CHECK(t.n_events > 0 && t.lost > 0);
    trace_free(&t);
}

/* Of more threads than the file has chunks, each loses its events or keeps them, and the loss is counted. */
static void *own_thread(void *gate)
{
    bough_adopt("many");
    t_gate_wait(gate);
    return NULL;
}

TEST_LIMIT(more_threads_than_chunks, 60)
{
    enum { THREADS = 200 };
    struct t_thread thread[THREADS];
    struct t_gate gate = {0};
    struct trace t;
    CHECK_EQ(bough_trace_start(&(struct bough_trace_options){.file = file_name(), .size = 256 << 10}), 0);
    for (int i = 0; i < THREADS; i++)
        t_spawn(&thread[i], own_thread, &gate);
    for (int i = 0; i < THREADS; i++)
        t_until_blocked(thread[i].tid);
    t_gate_open(&gate);
    for (int i = 0; i < THREADS; i++)
        t_join(&thread[i]);
    CHECK_EQ(bough_trace_stop(), 0);
    read_back(&t);
    CHECK(t.lost > 0 && t.n_threads >= 60);
    trace_free(&t);
}

/* ---- a full disk --------------------------------------------------------------------------------------------------------- */

static _Atomic bool complained;

static void note_complaint(const char *line)
{
    if (strstr(line, "no room on the disk"))
        complained = true;
}

/* It stays as large as it could become, which is reported, and keeps the newest events. */
TEST_LIMIT(a_full_disk_limits_it, 60)
{
    char folder[64] = "/tmp/bough-disk-XXXXXX", name[80];
    struct trace t;
    CHECK(mkdtemp(folder));
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", folder, "tmpfs", 0, "size=1280k") != 0) {
        rmdir(folder);
        SKIP("only root can mount a small disk");
    }
    snprintf(name, sizeof name, "%s/trace", folder);
    bough_set_report(note_complaint);
    CHECK_EQ(bough_trace_start(&(struct bough_trace_options){.file = name}), 0);
    for (uint32_t x = 1; x < 30000; x++)
        bough_set_name(x % 2 ? "one" : "two");
    bough_set_name("newest");
    t_until(complained);
    BOUGH_BRANCH(after) {
        bough_usleep(1);
    }
    CHECK_EQ(bough_trace_stop(), 0);
    CHECK_EQ(trace_read(name, &t), 0);
    CHECK(t.lost > 10000 && branch_named(&t, "after") != TRACE_NONE && thread_named(&t, "newest") != TRACE_NONE);
    trace_free(&t);
    CHECK_EQ(unlink(name), 0);
    CHECK_EQ(umount(folder), 0);
    CHECK_EQ(rmdir(folder), 0);
    CHECK_ERR(bough_trace_start(&(struct bough_trace_options){.file = name}), ENOENT);
}

/* ---- damaged recordings --------------------------------------------------------------------------------------------------- */

static void check_plain(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            FAIL("a control character, %d", *text);
}

static void check_index(int index, int count)
{
    CHECK(index >= TRACE_NONE && index < count);
}

static void check_model(const struct trace *t)
{
    for (int i = 0; i < t->n_processes; i++) {
        check_index(t->processes[i].parent, t->n_processes);
        check_plain(t->processes[i].command);
        CHECK(t->processes[i].begun <= t->processes[i].ended);
        int steps = 0;
        for (int at = i; at != TRACE_NONE; at = t->processes[at].parent)
            CHECK(steps++ <= t->n_processes);
    }
    for (int i = 0; i < t->n_threads; i++) {
        CHECK(t->threads[i].process >= 0 && t->threads[i].process < t->n_processes);
        check_index(t->threads[i].branch, t->n_branches);
        check_plain(t->threads[i].name);
        CHECK(t->threads[i].begun <= t->threads[i].ended);
    }
    for (int i = 0; i < t->n_branches; i++) {
        CHECK(t->branches[i].process >= 0 && t->branches[i].process < t->n_processes);
        check_index(t->branches[i].outer, t->n_branches);
        check_index(t->branches[i].owner, t->n_threads);
        check_plain(t->branches[i].name);
        check_plain(t->branches[i].outcome);
        int steps = 0;
        for (int at = i; at != TRACE_NONE; at = t->branches[at].outer)
            CHECK(steps++ <= t->n_branches);
    }
    for (int i = 0; i < t->n_events; i++) {
        const struct trace_event *e = &t->events[i];
        CHECK(e->process >= 0 && e->process < t->n_processes);
        check_index(e->thread, t->n_threads);
        check_index(e->target_thread, t->n_threads);
        check_index(e->target_branch, t->n_branches);
        check_plain(e->text);
        check_plain(e->detail);
        CHECK(e->at >= t->begun && e->at <= e->until && e->rung >= 0 && e->rung <= 6);
        CHECK(i == 0 || t->events[i - 1].at <= e->at);
    }
    CHECK(t->begun <= t->ended);
}

/* Bytes are changed everywhere but in the magic, more of them in the header and in the first fields of units. */
static void damage(unsigned char *bytes, size_t size, unsigned *seed)
{
    int count = 1 + rand_r(seed) % 40;
    for (int i = 0; i < count; i++) {
        size_t at = (size_t)rand_r(seed) % size;
        if (rand_r(seed) % 4 == 0)
            at = 16 + (size_t)rand_r(seed) % 100;
        else if (rand_r(seed) % 2)
            at = at / 32 * 32 + (size_t)rand_r(seed) % 8;
        if (at >= 16)
            bytes[at] = rand_r(seed) % 3 ? (unsigned char)(rand_r(seed) % 32) : (unsigned char)rand_r(seed);
    }
}

static unsigned char *load(size_t *size)
{
    unsigned char *bytes = calloc(1, 64 << 10);
    FILE *f = fopen(file_name(), "re");
    CHECK(bytes && f);
    *size = fread(bytes, 1, 64 << 10, f);
    fclose(f);
    return bytes;
}

TEST_LIMIT(damaged_recordings_are_read_without_harm, 60)
{
    struct trace t;
    size_t size;
    unsigned seed = t_seed();
    CHECK_EQ(bough_trace_start(
                 &(struct bough_trace_options){.file = file_name(), .size = 256 << 10, .flags = BOUGH_TRACE_ALL}),
             0);
    const struct sockaddr_un address = {AF_UNIX, "/no/such/socket"};
    bough_open("/no/such/file", O_RDONLY);
    bough_connect(0, (const struct sockaddr *)&address, sizeof address);
    for (uint32_t x = 1; x < 50; x++)
        add_and_end(x);
    CHECK_EQ(bough_trace_stop(), 0);
    unsigned char *good = load(&size), *bad = malloc(size);
    CHECK(size > 8192 && bad);
    freopen("/dev/null", "w", stderr); /* the reader's complaints */
    for (int i = 0; i < 1500; i++) {
        memcpy(bad, good, size);
        damage(bad, size, &seed);
        FILE *f = fopen(file_name(), "we");
        size_t length = i % 10 ? size : (size_t)rand_r(&seed) % size;
        CHECK(f && fwrite(bad, 1, length, f) == length && fclose(f) == 0);
        if (trace_read(file_name(), &t) != 0)
            continue;
        check_model(&t);
        trace_free(&t);
    }
    CHECK_EQ(unlink(file_name()), 0);
    free(good);
    free(bad);
}

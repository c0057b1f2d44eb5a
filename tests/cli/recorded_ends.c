/* SPDX-License-Identifier: MIT */
/* Rule 48: recordings of processes that are killed or crash, and of calls that are left by a jump. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "recorded.h"

/* ---- processes that end --------------------------------------------------------------------------------------------- */

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

/* Reads the recording of a child that a signal kills, by its default action or its handler, as soon as the child is
 * blocked in `call`. */
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

/* The call in which the child was killed, as "name (argument)". */
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
    size_t length = strlen("recorded_ends.c:");
    CHECK(strncmp(outer->detail, "recorded_ends.c:", length) == 0 &&
          strncmp(inner->detail, outer->detail, length) == 0);
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

/* The call in the handler was over, so the thread was in the outer call again, whose path was kept. */
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

/* The recording does not show a thread in a call that it has left by a jump. */
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

/* The second call is made with the signal blocked, except during its wait. */
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

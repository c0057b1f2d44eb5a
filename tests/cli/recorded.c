/* SPDX-License-Identifier: MIT */
/* Rule 48: what a recording contains, read by the command's reader. */
#include <bough.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "harness.h"
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
    CHECK(read->at <= posted->at && posted->at <= delivered->at && read->until >= delivered->at - 1000000);
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
    begin_recording(BOUGH_TRACE_ALL | BOUGH_TRACE_NO_ARGUMENTS);
    BOUGH_BRANCH(b) {
        add_named(b, fails, bough_arg(NULL), "job");
        bough_interrupt(b, "a secret");
        bough_usleep(1000);
    }
    CHECK_EQ(bough_trace_stop(), 0);
    read_back(&t);
    for (int i = 0; i < t.n_events; i++)
        if (t.events[i].what != TRACE_SECTION && *t.events[i].detail)
            FAIL("an argument: %s (%s)", t.events[i].text, t.events[i].detail);
    trace_free(&t);
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

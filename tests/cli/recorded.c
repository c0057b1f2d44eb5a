/* SPDX-License-Identifier: MIT */
/* Rule 48: what a recording contains, read by the command's reader. */
#include <bough.h>
#include <signal.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
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

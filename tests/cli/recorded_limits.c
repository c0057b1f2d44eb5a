/* SPDX-License-Identifier: MIT */
/* Rule 48: recordings that change while they are read, that have no room, or are damaged. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "recorded.h"
#include "torn.h"

/* ---- a reader during many changes -------------------------------------------------------------------------------- */

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

/* The file is small, so its chunks are constantly reused. */
TEST_LIMIT(no_event_is_torn, 60)
{
    struct trace t;
    share();
    CHECK_EQ(bough_trace_start(&(struct bough_trace_options){.file = file_name(), .size = 256 << 10}), 0);
    pid_t child = fork();
    if (child == 0)
        for (uint32_t x = 1;; x++) {
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

/* More threads than the file has chunks: each loses its events or keeps them, and the losses are counted. */
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

/* ---- a full disk ------------------------------------------------------------------------------------------------- */

static _Atomic bool complained;

static void note_complaint(const char *line)
{
    if (strstr(line, "no room on the disk"))
        complained = true;
}

/* The file stops growing, which is reported, and keeps the newest events. */
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

/* ---- damaged recordings ------------------------------------------------------------------------------------------ */

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

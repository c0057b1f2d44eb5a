/* SPDX-License-Identifier: MIT */
/* The contents of a dump, and the targets it can be written to (rule 41). */
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include "dumps.h"
#include "harness_internal.h"

/* ---- a tree ------------------------------------------------------------------------------------------------------ */

static int pipe_fds[2];
static _Atomic pid_t reader, keeper, spinner, stranger;
static _Atomic int keeper_line, branch_line, stop;

static int read_pipe(void *unused)
{
    char c;
    (void)unused;
    reader = t_tid();
    return bough_read(pipe_fds[0], &c, 1) < 0 ? errno : 0;
}

static int keep(void *gate)
{
    BOUGH_CRITICAL(BOUGH_SEC(60)) {
        keeper_line = __LINE__ - 1;
        keeper = t_tid();
        t_gate_wait(gate);
    }
    return 0;
}

static int spin(void *unused)
{
    (void)unused;
    spinner = t_tid();
    while (!stop)
        ;
    return 0;
}

static void *poll_for_ever(void *fd)
{
    struct pollfd p = {.fd = *(int *)fd, .events = POLLIN};
    pthread_setname_np(pthread_self(), "the stranger");
    stranger = t_tid();
    poll(&p, 1, -1);
    return NULL;
}

static bough_thread *add(bough_branch *b, bough_fn *fn, void *argument, const char *name)
{
    struct bough_child_options o = {.name = name};
    bough_thread *t = bough_add_with(b, fn, bough_arg(argument), &o);
    CHECK(t);
    return t;
}

static void until_all_are_there(void)
{
    t_until(reader && keeper && spinner && stranger);
    t_until_blocked(reader);
    t_until_blocked(keeper);
    t_until_blocked(stranger);
}

static void check_tree(const char *text)
{
    char place[64], branch[64], call[64], tid[64];
    snprintf(place, sizeof place, "inspect/dump.c:%d for ", keeper_line);
    snprintf(branch, sizeof branch, "branch clients at inspect/dump.c:%d, 3 running", branch_line);
    snprintf(tid, sizeof tid, "thread the reader (%d), deferred: ", (int)reader);
    snprintf(call, sizeof call, "in read(%d, ...)", pipe_fds[0]);
    SAYS(text, "the tree: 4 threads, 1 branch", "");
    CHECK(strstr(text, ", 1 branch\n"));
    SAYS(text, branch, "deadline in 9"); /* of 1,000 s at least 900 are left */
    SAYS(text, "deferred: running", "it writes this");
    SAYS(text, "thread the keeper (", "masked: in the critical section at ");
    SAYS(text, "thread the keeper", place);
    SAYS(text, "critical section at", place);
    SAYS(text, "thread the spinner (", "deferred: running");
    SAYS(text, tid, under_qemu() ? "" : call);
    CHECK(!says(text, tid, "for ")); /* there is no known start time */
}

static void check_records(const char *text)
{
    SAYS(text, "sibling \"one has failed\", rung 1", "posted ");
    SAYS(text, "pending stop \"closing time\", rung 1", "posted ");
    CHECK(!says(text, "closing time", "the end in")); /* its ceiling is rung 3 */
    SAYS(text, "thread the keeper", "no interruption point met since it was asked, ");
    SAYS(text, "thread the spinner", "running (no interruption point met since it was asked, ");
}

/* Checks the list of the kernel's threads, which includes threads that bough does not know. */
static void check_tasks(const char *text)
{
    char line[64], base[64];
    snprintf(line, sizeof line, "  %d the stranger: S", (int)stranger);
    SAYS(text, line, under_qemu() ? "" : "poll(");
    SAYS(text, "  0x", "/inspect-dump");
    snprintf(base, sizeof base, "      inspect-dump+0x");
    if (!under_qemu())
        SAYS(text, base, "");
}

TEST(a_dump_lists_threads_and_where_they_are_stuck)
{
    struct t_gate gate = {0};
    struct t_thread foreign;
    int other[2];
    CHECK(pipe(pipe_fds) == 0 && pipe(other) == 0);
    t_spawn(&foreign, poll_for_ever, &other[0]);
    BOUGH_BRANCH(clients, .timeout = BOUGH_SEC(1000)) {
        branch_line = __LINE__ - 1;
        add(clients, read_pipe, NULL, "the reader");
        bough_thread *deaf = add(clients, keep, &gate, "the keeper");
        add(clients, spin, NULL, "the spinner");
        until_all_are_there();
        char *before = dump();
        check_tree(before);
        check_tasks(before);
        CHECK(!says(before, "pending", "") && !says(before, "since it was asked", ""));
        bough_post_event(deaf, &(struct bough_event){.kind = BOUGH_STOP, .reason = "closing time"});
        bough_post_event(
            clients, &(struct bough_event){.kind = BOUGH_SIBLING, .flags = BOUGH_ALONE, .reason = "one has failed"});
        char *after = dump();
        check_records(after);
        free(before);
        free(after);
        stop = 1;
        t_gate_open(&gate);
    }
    close(other[1]);
    t_join(&foreign);
    close(other[0]);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

/* ---- the target of a dump ---------------------------------------------------------------------------------------- */

TEST(an_invalid_descriptor_is_refused)
{
    int fds[2];
    CHECK_ERR(bough_dump(-1), EBADF);
    CHECK_ERR(bough_dump(12345), EBADF);
    CHECK_EQ(pipe(fds), 0);
    CHECK_ERR(bough_dump(fds[0]), EBADF);
    close(fds[0]);
    close(fds[1]);
}

TEST(a_pipe_without_a_reader_raises_no_signal)
{
    int fds[2];
    sigset_t pending;
    CHECK_EQ(pipe(fds), 0);
    close(fds[0]);
    CHECK_ERR(bough_dump(fds[1]), EPIPE);
    CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGPIPE));
    close(fds[1]);
}

/* Fixed bug: SIGXFSZ ended the process. */
TEST(a_limit_of_file_sizes_raises_no_signal)
{
    struct rlimit before, limit;
    sigset_t pending;
    int file = memory_file();
    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){100, before.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int result = bough_dump(file), error = errno;
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    CHECK(result == -1 && error == EFBIG);
    CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGXFSZ));
    CHECK_EQ(lseek(file, 0, SEEK_END), 100);
    close(file);
}

/* Replaces numbers, which differ from one dump to the next. */
static void hide_numbers(char *text)
{
    char *to = text;
    for (const char *from = text; *from;) {
        size_t n = strspn(from, "0123456789abcdefx.");
        *to++ = n ? '#' : *from;
        from += n ? n : 1;
    }
    *to = '\0';
}

/* A dump gives up a blocked write after 2 s. */
TEST(a_full_pipe_is_given_up_and_holds_the_beginning)
{
    int fds[2];
    struct crowd crowd = {0};
    char taken[8192];
    small_pipe(fds);
    BOUGH_BRANCH(b) {
        /* more than the pipe takes, so that it holds only the tree: the writer's stack differs from dump to dump */
        crowd_add(&crowd, b, 100);
        int64_t start = t_now();
        CHECK_ERR(bough_dump(fds[1]), EAGAIN);
        int64_t took = t_now() - start;
        CHECK(took >= BOUGH_MS(1900));
        CHECK_EQ(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
        char *whole = dump();
        crowd_end(&crowd);
        ssize_t n = read(fds[0], taken, sizeof taken - 1);
        CHECK(n > 2000 && n <= 4096);
        taken[n] = '\0';
        CHECK_EQ(strlen(taken), n);
        *strrchr(taken, '\n') = '\0';
        hide_numbers(taken);
        hide_numbers(whole);
        CHECK(strlen(taken) > 500);
        whole[strlen(taken)] = '\0';
        CHECK_STR(taken, whole);
        free(whole);
    }
    crowd_over(&crowd);
    close(fds[0]);
    close(fds[1]);
}

/* ---- two dumps at the same time ---------------------------------------------------------------------------------- */

static void *dumps_to(void *fd)
{
    return bough_dump(*(int *)fd) == 0 ? NULL : (void *)(intptr_t)errno;
}

/* Reads to the end; the caller frees the text. */
static char *read_all(int fd)
{
    int copy = memory_file();
    char piece[4096];
    for (ssize_t n; (n = read(fd, piece, sizeof piece)) > 0;)
        CHECK_EQ(write(copy, piece, (size_t)n), n);
    return text_of(copy);
}

static void *reads_all(void *fd)
{
    return read_all(*(int *)fd);
}

/* The first dump is blocked in the middle, because its pipe is not read; the second one is shorter, and gives the
 * reason. Returns false if the first one was given up before it was read: the test was too slow. */
static bool dump_twice(void)
{
    int fds[2];
    struct t_thread first, drain;
    small_pipe(fds);
    t_spawn(&first, dumps_to, &fds[1]);
    t_until_blocked(first.tid);
    char *second = dump();
    t_spawn(&drain, reads_all, &fds[0]);
    intptr_t error = (intptr_t)t_join(&first);
    close(fds[1]);
    char *text = t_join(&drain);
    close(fds[0]);
    CHECK(error == 0 || error == EAGAIN);
    if (error == 0) {
        SAYS(second, "another dump is being written", "");
        SAYS(second, "thread (", under_qemu() ? "" : "in read(");
        check_whole(text);
        SAYS(text, "branch b at ", "40 running");
        SAYS(text, "code, for addr2line", "");
    }
    free(second);
    free(text);
    return error == 0;
}

TEST(two_dumps_at_the_same_time_are_both_complete)
{
    struct crowd crowd = {0};
    BOUGH_BRANCH(b) {
        crowd_add(&crowd, b, 40);
        while (!dump_twice())
            continue;
        crowd_end(&crowd);
        char *text = dump();
        SAYS(text, "branch b at ", "");
        free(text);
    }
    crowd_over(&crowd);
}

/* ---- many -------------------------------------------------------------------------------------------------------- */

enum { MANY = 10000 };

static struct crowd many;

static int add_many(bough_branch *b)
{
    for (int i = 0; i < MANY; i++)
        if (!bough_add(b, crowd_reads, bough_arg(&many))) {
            CHECK(errno == EAGAIN || errno == ENOMEM);
            return i;
        }
    return MANY;
}

static int count_of(const char *text, const char *what)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, what)); at++)
        count++;
    return count;
}

TEST_LIMIT(ten_thousand_children_in_less_than_ten_seconds, 600)
{
    char head[64];
    if (under_qemu() || T_TSAN)
        SKIP("so many threads take too long here");
    CHECK_EQ(pipe(many.pipe), 0);
    int count = 0;
    BOUGH_BRANCH(b) {
        count = add_many(b);
        for (int64_t end = t_now() + (int64_t)(BOUGH_SEC(200) * t_scale()); many.began < count && t_now() < end;)
            usleep(1000);
        CHECK_EQ(many.began, count);
        int64_t start = t_now();
        char *text = dump();
        double seconds = (double)(t_now() - start) / 1e9;
        t_note("%d children dumped in %.2f s, %zu KiB", count, seconds, strlen(text) / 1024);
        CHECK(!t_is_over(start, 10 * t_scale()));
        snprintf(head, sizeof head, "the tree: %d threads, 1 branch", count + 1);
        SAYS(text, head, "");
        CHECK(count_of(text, " thread (") >= count);
        CHECK(count_of(text, ": S") >= count);
        free(text);
        crowd_end(&many);
    }
    crowd_over(&many);
    if (count < MANY)
        SKIP("this machine allows only %d threads", count);
}

/* SPDX-License-Identifier: MIT */
/* Out of memory, of threads, of room for output: a clear error, no loss, and afterwards everything works as before. */
#include <sys/mman.h>
#include "scarce.h"

static struct thing things[64];

/* ---- out of memory ----------------------------------------------------------------------------------------------- */

#if OWN_MALLOC
/* The number of allocations that still succeed; negative: all. Allocations of the library's threads count, too. */
static _Atomic long left = -1;
static _Atomic long failed;

static int none_left(void)
{
    if (left < 0)
        return 0;
    if (left > 0 && left-- > 0)
        return 0;
    failed++;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size)
{
    return none_left() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return none_left() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return none_left() ? NULL : __libc_realloc(old, size);
}

static void memory_lasts_for(long allocations)
{
    failed = 0;
    left = allocations;
}

static long memory_is_back(void)
{
    left = -1;
    return failed;
}
#else
static void memory_lasts_for(long allocations)
{
    (void)allocations;
    need_own_malloc();
}

static long memory_is_back(void)
{
    return 0;
}
#endif

static int fail_with_words(void *unused)
{
    (void)unused;
    return bough_fail(BOUGH_SELF, EIO, "words");
}

static int fail_in_a_nested_branch(void *unused)
{
    (void)unused;
    BOUGH_BRANCH(inner) {
        bough_fail(inner, EPIPE, "inner");
        return EPIPE;
    }
    return errno; /* the branch could not be opened */
}

/* One round with memory for a number of allocations. Whichever call fails, each child that was added and its result are
 * accounted for. */
static long try_with(long allocations)
{
    static bough_fn *const fns[] = {work, fail_with_words, until_stopped, fail_in_a_nested_branch};
    int tried = 0, started = 0;
    memset(things, 0, sizeof things);
    memory_lasts_for(allocations);
    bough_branch *b = bough_branch_open(&(struct bough_branch_options){.collect = 1});
    if (!b) {
        CHECK(errno == ENOMEM || errno == EAGAIN);
        return memory_is_back();
    }
    for (; tried < 8; tried++) {
        bough_thread *child = bough_add(b, fns[tried % 4], thing_of(&things[tried]));
        CHECK(child || errno == ENOMEM || errno == EAGAIN || errno == ECANCELED);
        CHECK(child || things[tried].destroyed == 1);
        started += child != NULL;
    }
    int said = bough_fail(b, EDOM, "body");
    int result = bough_branch_end(b);
    long missing = memory_is_back();
    const struct bough_ending *last = bough_last();
    CHECK_EQ(said, EDOM);
    CHECK(result == EDOM || result == EIO || result == EPIPE || result == ENOMEM);
    CHECK_EQ(last->result, result);
    CHECK(last->error && last->error->code == result);
    CHECK_EQ(last->tally.added, tried);
    CHECK_EQ(last->tally.count[BOUGH_NOT_STARTED], tried - started);
    CHECK_EQ(last->count, started);
    for (int i = 0; i < tried; i++)
        CHECK_EQ(things[i].destroyed, 1);
    return missing;
}

/* Each allocation fails once: the first, the second, ... until all succeed. */
TEST_LIMIT(each_allocation_may_fail, 60)
{
    long rounds = 0, calm = 0;
    for (; calm < 3 && rounds < 2000; rounds++)
        calm = try_with(rounds) ? 0 : calm + 1;
    t_note("%ld rounds", rounds);
    CHECK(rounds > 10 && calm == 3);
    check_all_works();
}

/* Fixed bug: the failure was lost, or all its evidence, and the branch succeeded. */
TEST(a_failure_without_memory_for_its_evidence_is_a_failure)
{
    BOUGH_BRANCH(warm)
        for (int i = 0; i < 4; i++)
            add(warm, work, bough_arg(NULL));
    bough_branch *b = bough_branch_open(NULL);
    struct t_gate gate = {0};
    add(b, wait_for_gate, bough_arg(&gate));
    memory_lasts_for(0);
    CHECK_EQ(bough_fail(b, EIO, "words"), EIO);
    t_gate_open(&gate);
    CHECK_EQ(bough_branch_end(b), EIO);
    memory_is_back();
    CHECK_EQ(bough_last_result(), EIO);
    CHECK_EQ(bough_last()->error->code, EIO);
    CHECK(strstr(bough_last()->error->message, "memory"));
    CHECK_STR(bough_last()->error->who, "the body");
}

static struct t_gate start_failing;

static int fail_at_gate(void *unused)
{
    (void)unused;
    t_gate_wait(&start_failing);
    return EIO;
}

TEST(a_childs_failure_without_memory_interrupts_its_siblings)
{
    bough_branch *b = bough_branch_open(NULL);
    add(b, fail_at_gate, bough_arg(NULL));
    add(b, until_stopped, bough_arg(NULL));
    memory_lasts_for(0);
    t_gate_open(&start_failing);
    CHECK_EQ(bough_branch_end(b), EIO);
    memory_is_back();
    CHECK_EQ(bough_last()->tally.count[BOUGH_ERROR], 1);
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 1);
    check_all_works();
}

/* ---- out of address space ---------------------------------------------------------------------------------------- */

static void run_out_of_address_space(void *unused)
{
    struct rlimit limit;
    int started = 0, error = 0;
    (void)unused;
    BOUGH_BRANCH(b) {
        add(b, until_stopped, thing_of(&things[0]));
        getrlimit(RLIMIT_AS, &limit);
        limit.rlim_cur = 1;
        CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
        struct bough_child_options o = {.fresh = 1};
        for (started = 1; started < 60; started++)
            if (!bough_add_with(b, until_stopped, thing_of(&things[started]), &o)) {
                error = errno;
                break;
            }
        limit.rlim_cur = limit.rlim_max;
        CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
        bough_interrupt(b, "test");
    }
    CHECK(error == EAGAIN || error == ENOMEM);
    for (int i = 0; i <= started; i++)
        CHECK_EQ(things[i].destroyed, 1);
    CHECK_EQ(bough_last_result(), 0);
    check_all_works();
}

TEST(an_add_without_address_space_fails_cleanly)
{
    if (T_ASAN || T_TSAN)
        SKIP("sanitizers need the address space");
    CHECK_EXITED(t_run_status(run_out_of_address_space, NULL), 0);
}

/* ---- out of threads ---------------------------------------------------------------------------------------------- */

enum { OTHER_USER = 61234 };

static void forbid_threads(int forbid)
{
    struct rlimit limit;
    CHECK_EQ(getrlimit(RLIMIT_NPROC, &limit), 0);
    limit.rlim_cur = forbid ? 0 : limit.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_NPROC, &limit), 0);
}

static void become_nobody_without_threads(void)
{
    if (geteuid() == 0) /* the limit does not apply to root */
        CHECK_EQ(setuid(OTHER_USER), 0);
    forbid_threads(1);
}

/* Not even the ticker can be started. */
static void begin_without_threads(void *unused)
{
    (void)unused;
    become_nobody_without_threads();
    CHECK_ERR(bough_branch_open(NULL), EAGAIN);
    BOUGH_BRANCH(b)
        FAIL("the block runs");
    CHECK_EQ(bough_last_result(), EAGAIN);
    forbid_threads(0);
    check_all_works();
}

TEST(a_branch_that_cant_be_opened_for_lack_of_threads_fails_cleanly)
{
    CHECK_EXITED(t_run_status(begin_without_threads, NULL), 0);
}

/* The program's signals stay as they are: there is no thread that would climb the ladder. */
static void take_signals_without_threads(void *unused)
{
    struct sigaction action;
    (void)unused;
    become_nobody_without_threads();
    CHECK_ERR(bough_signals(0), EAGAIN);
    CHECK_EQ(sigaction(SIGTERM, NULL, &action), 0);
    CHECK(action.sa_handler == SIG_DFL);
    forbid_threads(0);
    CHECK_EQ(bough_signals(0), 3);
    CHECK_EQ(bough_signals_undo(), 0);
}

TEST(signals_are_not_taken_over_without_threads)
{
    CHECK_EXITED(t_run_status(take_signals_without_threads, NULL), 0);
}

/* Interrupts and queries need no thread. */
static void interrupt_without_threads(void *unused)
{
    int fds[2];
    char byte = 'x';
    (void)unused;
    become_nobody_without_threads();
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(bough_write(fds[1], &byte, 1), 1);
    CHECK_EQ(bough_read(fds[0], &byte, 1), 1);
    CHECK_EQ(bough_interrupt(bough_self(), "by itself"), 0);
    CHECK_ERR(bough_read(fds[0], &byte, 1), ECANCELED);
    CHECK_EQ(bough_clear(NULL), 1);
    CHECK_EQ(bough_dump(STDERR_FILENO), 0);
    forbid_threads(0);
    check_all_works();
}

TEST(calls_and_interrupts_work_without_threads)
{
    static char text[1 << 16];
    CHECK_EXITED(t_run_output(interrupt_without_threads, NULL, text, sizeof text), 0);
    CHECK(strstr(text, "==== end ===="));
}

/* ---- no further descriptor, no queued signal --------------------------------------------------------------------- */

static void never_returns(void)
{
    for (;;)
        pause();
}

/* Rung 6, with time for the dump: the process ends when it is written. */
static void climb_to_the_end(void)
{
    const int64_t soon = BOUGH_MS(50);
    struct bough_ladder l = {.cap = BOUGH_SEC(600), .time = {0, soon, soon, soon, soon, soon, BOUGH_SEC(20)}};
    struct bough_event event = {.kind = BOUGH_OPERATOR, .reason = "the end"};
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &l), 0);
    atexit(never_returns);
    CHECK(bough_post_event(BOUGH_ROOT, &event).record);
    never_returns();
}

static void end_without_descriptors(void *unused)
{
    (void)unused;
    bough_self();
    limit_to(RLIMIT_NOFILE, 0);
    climb_to_the_end();
}

/* Fixed bug: log and dump called poll() to find out whether standard error accepts data, and poll() fails under that
 * limit. */
TEST_LIMIT(log_and_dump_need_no_further_descriptor, 60)
{
    static char text[1 << 16];
    CHECK_KILLED(t_run_output(end_without_descriptors, NULL, text, sizeof text), SIGKILL);
    CHECK(strstr(text, "bough: root: operator (the end)"));
    CHECK(strstr(text, "==== end ===="));
}

static void all_works_without_signals(void *unused)
{
    (void)unused;
    limit_to(RLIMIT_SIGPENDING, 0);
    bough_set_report(NULL);
    CHECK(bough_signals(0) >= 0);
    BOUGH_BRANCH(b, .timeout = BOUGH_MS(20))
        /* the grace period may be over already */
        CHECK(bough_add(b, until_stopped, bough_arg(NULL)) || errno == ECANCELED);
    CHECK_EQ(bough_last_result(), ETIMEDOUT);
    BOUGH_BRANCH(b, .timeout = BOUGH_SEC(1000)) {
        bough_thread *child = bough_add(b, until_stopped, bough_arg(NULL));
        bough_interrupt(child, "test");
    }
    CHECK_EQ(bough_last_result(), 0);
    check_all_works();
    CHECK_EQ(bough_signals_undo(), 0);
}

/* Fixed bug: no branch could be opened, because the ticker had no timer. */
TEST_LIMIT(everything_works_without_room_for_a_queued_signal, 60)
{
    CHECK_EXITED(t_run_status(all_works_without_signals, NULL), 0);
}

static void end_without_signals(void *unused)
{
    (void)unused;
    limit_to(RLIMIT_SIGPENDING, 0);
    climb_to_the_end();
}

TEST_LIMIT(without_room_for_a_queued_signal_the_warden_alone_enforces_the_cap, 60)
{
    static char text[1 << 16];
    CHECK_KILLED(t_run_output(end_without_signals, NULL, text, sizeof text), SIGKILL);
    CHECK(strstr(text, "cannot create the watchdog timer"));
}

/* ---- the ladder without threads ---------------------------------------------------------------------------------- */

static void end_without_threads(void *unused)
{
    const struct bough_ladder soon = {.cap = BOUGH_MS(200)};
    const struct bough_event event = {.kind = BOUGH_OPERATOR, .reason = "the end"};
    (void)unused;
    become_nobody_without_threads();
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &soon), 0);
    CHECK(bough_post_event(BOUGH_ROOT, &event).record);
    never_returns();
}

/* Without threads only the kernel's timer ends the process. */
TEST_LIMIT(without_threads_the_process_ends_at_the_cap, 60)
{
    CHECK_KILLED(t_run_status(end_without_threads, NULL), SIGKILL);
}

static void end_without_helpers(void *unused)
{
    (void)unused;
    bough_self(); /* starts the warden's thread, and no other */
    become_nobody_without_threads();
    climb_to_the_end();
}

/* The warden does the helpers' work: reports go to standard error at once. */
TEST_LIMIT(without_helpers_the_warden_writes_log_and_dump, 60)
{
    static char text[1 << 16];
    CHECK_KILLED(t_run_output(end_without_helpers, NULL, text, sizeof text), SIGKILL);
    CHECK(strstr(text, "rung 5 is not safe here: there is no thread to carry it out"));
    CHECK(strstr(text, "==== end ===="));
}

/* ---- standard error takes no more -------------------------------------------------------------------------------- */

/* Ends with an unread failure, which is reported. */
static void *ends_with_a_failure(void *unused)
{
    bough_branch *b = bough_branch_open(NULL);
    bough_fail(b, EIO, "unread");
    CHECK_EQ(bough_branch_end(b), EIO);
    return unused;
}

static void report_to(int fd)
{
    struct t_thread thread;
    CHECK_EQ(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    bough_set_report(NULL);
    t_spawn(&thread, ends_with_a_failure, NULL);
    t_join(&thread);
    check_all_works();
}

static void report_without_a_reader(void *unused)
{
    int fds[2];
    (void)unused;
    CHECK_EQ(pipe(fds), 0);
    close(fds[0]);
    report_to(fds[1]);
}

static void report_without_file_size(void *unused)
{
    (void)unused;
    int file = memfd_create("standard error", MFD_CLOEXEC);
    limit_to(RLIMIT_FSIZE, 0);
    report_to(file);
    CHECK_EQ(lseek(file, 0, SEEK_END), 0);
}

/* Fixed bug: the write raised SIGPIPE or SIGXFSZ, which ended the process. */
TEST(a_report_that_cant_be_written_ends_no_process)
{
    CHECK_EXITED(t_run_status(report_without_a_reader, NULL), 0);
    CHECK_EXITED(t_run_status(report_without_file_size, NULL), 0);
}

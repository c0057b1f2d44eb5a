/* SPDX-License-Identifier: MIT */
/* A process without memory for the library's tables: calls fail with an error, and later calls try again. */
#include "misuse/forks.h"
#include "scarce.h"

/* ---- from the start ---------------------------------------------------------------------------------------------- */

/* The library maps its tables when it is loaded, so the program is executed again with too little room for them. */
static void again_in_little_space(void *unused)
{
    static char path[512];
    const struct rlimit little = {64 << 20, 64 << 20};
    (void)unused;
    CHECK(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
    setenv("WITHOUT_TABLES_AGAIN", "1", 1);
    CHECK_EQ(setrlimit(RLIMIT_AS, &little), 0);
    execl(path, "without_tables", "--here", "without_room_for_its_tables_the_library_fails_cleanly", (char *)NULL);
    _exit(99);
}

static int to_resume(struct bough_incident *incident, void *unused)
{
    (void)incident;
    (void)unused;
    return 0;
}

/* `no_target` is the error of a post to the root. */
static void check_without_tables(int no_target)
{
    static struct bough_jmp jmp;
    struct bough_region region;
    struct bough_ladder ladder = {0};
    struct bough_record record;
    bough_mutex mutex = BOUGH_MUTEX_INIT;
    int fds[2];
    char text[4096] = "", byte = 'x';
    CHECK_ERR(bough_adopt("main"), ENOMEM);
    CHECK_ERR(bough_self(), ENOMEM);
    CHECK_ERR(bough_set_name("main"), ENOMEM);
    CHECK_ERR(bough_event_fd(), ENOMEM);
    CHECK_ERR(bough_release(), ENOENT);
    CHECK_ERR(bough_adopt_thread(getppid(), "other"), ENOMEM);
    CHECK_ERR(bough_thread_of(getpid()), ESRCH);
    CHECK_ERR(bough_branch_open(NULL), ENOMEM);
    BOUGH_BRANCH(b)
        FAIL("the block runs");
    CHECK_EQ(bough_last_result(), ENOMEM);
    CHECK_ERR(bough_take(), EPERM);
    CHECK_EQ(bough_fail(BOUGH_SELF, EIO, "words"), EPERM);
    CHECK_ERR(bough_critical_begin(&region, 0, __FILE__, __LINE__), ENOMEM);
    CHECK_ERR(bough_region_end(&region), EPERM);
    BOUGH_CLEANUP(0)
        CHECK_EQ(bough_check(), 0);
    CHECK_ERR(bough_handler_begin(&region, to_resume, NULL, 0, __FILE__, __LINE__), ENOMEM);
    CHECK_ERR(bough_ladder_get(BOUGH_ROOT, &ladder), ENOMEM);
    CHECK_ERR(bough_clear(BOUGH_ROOT), ENOMEM);
    CHECK_EQ(bough_level(), BOUGH_DEFERRED);
    CHECK_EQ(bough_deadline(), 0);
    CHECK_EQ(bough_interrupted(), 0);
    CHECK_ERR(bough_reason(&record), ENOENT);
    CHECK_ERR(bough_signals(0), ENOMEM);
    CHECK_EQ(bough_interrupt_all("test"), 0);
    CHECK_ERR(bough_interrupt(BOUGH_ROOT, "test"), no_target);
    CHECK_EQ(bough_post_status(bough_post_event(BOUGH_ROOT, NULL)), BOUGH_POST_GONE);
    CHECK_EQ(bough_mutex_lock(&mutex, 0), 0);
    CHECK_EQ(bough_mutex_unlock(&mutex), 0);
    CHECK_EQ(bough_nanosleep(&(struct timespec){0, 1}, NULL), 0);
    if (bough_setjmp(&jmp) == 0)
        bough_longjmp(&jmp, 1); /* the library reports this jump */
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(bough_write(fds[1], &byte, 1), 1);
    CHECK_EQ(bough_read(fds[0], &byte, 1), 1);
    CHECK_EQ(bough_dump(fds[1]), 0);
    CHECK(read(fds[0], text, sizeof text - 1) > 0);
    CHECK(strstr(text, "the library could not be set up in this process: there is no tree"));
    close(fds[0]);
    close(fds[1]);
}

/* Fixed bug: a dump, a report and bough_interrupt_all() crashed. */
TEST(without_room_for_its_tables_the_library_fails_cleanly)
{
    if (T_ASAN || T_TSAN)
        SKIP("sanitizers need the address space");
    if (getenv("WITHOUT_TABLES_AGAIN"))
        check_without_tables(EINVAL);
    else
        CHECK_EXITED(t_run_status(again_in_little_space, NULL), 0);
}

/* ---- since a fork ------------------------------------------------------------------------------------------------ */

enum when { BEFORE_THE_COPY, AFTER_THE_COPY };
static int starves;

static void starve(void)
{
    if (starves)
        limit_to(RLIMIT_AS, 1);
}

/* Runs before the library is loaded, so the handler runs after the library's in the parent: there is memory for the copy
 * of the thread, and none for the tables. */
static int has_registered;
static void register_handler(void)
{
    has_registered = pthread_atfork(starve, NULL, NULL) == 0;
}
__attribute__((section(".preinit_array"), used)) static void (*before_all)(void) = register_handler;

static void need_little_space(enum when when)
{
    if (T_ASAN || T_TSAN)
        SKIP("sanitizers need the address space");
    if (when == AFTER_THE_COPY && !has_registered)
        SKIP("this libc runs no code before the library is loaded");
}

static rlim_t space;

/* Forks a process without memory. Returns 0 in the new process. */
static pid_t fork_starving(enum when when)
{
    struct rlimit limit;
    CHECK_EQ(getrlimit(RLIMIT_AS, &limit), 0);
    space = limit.rlim_cur;
    if (when == BEFORE_THE_COPY)
        limit_to(RLIMIT_AS, 1);
    starves = when == AFTER_THE_COPY;
    pid_t pid = fork();
    starves = 0;
    if (pid)
        limit_to(RLIMIT_AS, space);
    else
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

static void feed(void)
{
    limit_to(RLIMIT_AS, space);
    check_all_works();
    CHECK_EQ(bough_interrupt(BOUGH_ROOT, "test"), 0);
    CHECK_ERR(bough_check(), ECANCELED);
    CHECK_EQ(bough_clear(BOUGH_ROOT), 1);
}

/* A process that is forked by a process without tables has no tables either. */
static void fork_again(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        check_without_tables(ESRCH);
        feed();
        _exit(0);
    }
    CHECK_EQ(waited(pid), 0);
}

static void fork_with_much_open(enum when when)
{
    struct bough_region region;
    CHECK_EQ(bough_critical_begin(&region, 0, __FILE__, __LINE__), 0);
    BOUGH_BRANCH(b) {
        bough_thread *child = bough_add(b, until_stopped, bough_arg(NULL));
        bough_post old = bough_post_event(BOUGH_ROOT, NULL);
        pid_t pid = fork_starving(when);
        if (pid == 0) {
            check_without_tables(ESRCH);
            CHECK_EQ(bough_branch_end(b), ESRCH);
            CHECK_ERR(bough_interrupt(child, "test"), ESRCH);
            CHECK(!bough_add(b, work, bough_arg(NULL)) && errno == ESRCH);
            CHECK_EQ(bough_post_status(old), BOUGH_POST_GONE);
            CHECK_ERR(bough_region_end(&region), EPERM);
            fork_again();
            feed();
            CHECK_EQ(bough_branch_end(b), ESRCH);
            CHECK_ERR(bough_interrupt(child, "test"), ESRCH);
            CHECK_EQ(bough_post_status(old), BOUGH_POST_GONE);
            bough_post new = bough_post_event(BOUGH_ROOT, NULL);
            CHECK_EQ(bough_post_status(new), BOUGH_POST_PENDING);
            CHECK_EQ(bough_post_status(old), BOUGH_POST_GONE);
            _exit(0);
        }
        CHECK_EQ(waited(pid), 0);
        CHECK_EQ(bough_clear(BOUGH_ROOT), 1);
        bough_interrupt(b, "test");
    }
    CHECK_EQ(bough_region_end(&region), 0);
}

/* Fixed bug: most functions of the library crashed in such a process. */
TEST_LIMIT(a_forked_process_without_memory_fails_cleanly, 60)
{
    need_little_space(BEFORE_THE_COPY);
    CHECK(bough_self());
    fork_with_much_open(BEFORE_THE_COPY);
    check_all_works();
}

TEST_LIMIT(a_forked_process_with_memory_for_its_thread_alone_fails_cleanly, 60)
{
    need_little_space(AFTER_THE_COPY);
    CHECK(bough_self());
    fork_with_much_open(AFTER_THE_COPY);
    check_all_works();
}

/* The result is not that of the branch before, which is 0. */
TEST(a_block_that_stayed_in_the_parent_has_not_succeeded)
{
    need_little_space(BEFORE_THE_COPY);
    BOUGH_BRANCH(first)
        add(first, work, bough_arg(NULL));
    BOUGH_BRANCH(b) {
        pid_t pid = fork_starving(BEFORE_THE_COPY);
        if (pid == 0)
            break;
        CHECK_EQ(waited(pid), 0);
    }
    if (bough_self()) {
        CHECK_EQ(bough_last_result(), 0);
        return;
    }
    _exit(bough_last_result() == ENOMEM ? 0 : 20); /* the new process */
}

static enum when child_starves;

static int fork_starving_and_return(void *unused)
{
    (void)unused;
    pid_t pid = fork_starving(child_starves);
    if (pid)
        return waited(pid);
    if (!bough_self() && errno == ENOMEM)
        return EIO; /* the process exits with 0 nevertheless */
    _exit(20);
}

TEST(a_child_that_forks_without_memory_ends_the_new_process_by_its_return)
{
    need_little_space(AFTER_THE_COPY);
    for (int i = 0; i < 2; i++) {
        struct thing thing = {0};
        child_starves = i ? AFTER_THE_COPY : BEFORE_THE_COPY;
        BOUGH_BRANCH(b)
            add(b, fork_starving_and_return, thing_of(&thing));
        CHECK_EQ(bough_last_result(), 0);
        CHECK_EQ(thing.destroyed, 1);
    }
}

/* No thread can be interrupted, so the signal has its default effect. */
TEST(a_signal_ends_a_forked_process_without_memory)
{
    need_little_space(BEFORE_THE_COPY);
    CHECK_EQ(bough_signals(BOUGH_SIGNALS_QUIET), 3);
    pid_t pid = fork_starving(BEFORE_THE_COPY);
    if (pid == 0) {
        bough_signal_event(SIGTERM);
        _exit(20);
    }
    CHECK_EQ(waited(pid), 128 + SIGTERM);
    pid = fork_starving(BEFORE_THE_COPY);
    if (pid == 0) {
        raise(SIGINT);
        _exit(20);
    }
    CHECK_EQ(waited(pid), 128 + SIGINT);
    CHECK_EQ(bough_signals_undo(), 0);
}

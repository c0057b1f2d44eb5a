/* SPDX-License-Identifier: MIT */
/* The arena's file: where there can be none all works the same, and nobody's descriptors are touched. */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "semantics/children.h"
#include "sync/not_under.h"

static char *self_path(void)
{
    static char path[512];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    return n > 0 ? path : NULL;
}

/* The descriptor of the arena's file; -1: there is none. */
static int arena_descriptor(void)
{
    for (int fd = 3; fd < 1024; fd++) {
        char path[64], target[64] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (readlink(path, target, sizeof target - 1) > 0 && strstr(target, "/memfd:bough"))
            return fd;
    }
    return -1;
}

static int named_hidden(void)
{
    char line[512];
    int found = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof line, maps))
        found |= strstr(line, "memfd:bough") != NULL;
    if (maps)
        fclose(maps);
    return !found;
}

static void all_works(void)
{
    BOUGH_BRANCH(b, .collect = 1) {
        for (int i = 0; i < 20; i++)
            add(b, i % 2 ? work : until_stopped, bough_arg(NULL));
        bough_interrupt(b, "test");
    }
    CHECK_EQ(bough_last_result(), 0);
    pid_t pid = fork();
    if (pid == 0) {
        BOUGH_BRANCH(b)
            add(b, work, bough_arg(NULL));
        _exit(bough_last_result());
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

/* The library looks at its surroundings when it is loaded: begin again in those. */
static int is_second(const char *what)
{
    const char *stage = getenv("HIDDEN_TEST");
    return stage && strcmp(stage, what) == 0;
}

static void again(void *test)
{
    setenv("HIDDEN_TEST", test, 1);
    execl(self_path(), "hidden", "--here", test, (char *)NULL);
    _exit(99);
}

static void again_hidden(void *test)
{
    setenv("BOUGH_HIDDEN", "1", 1);
    again(test);
}

static void again_limited(void *test)
{
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){1 << 20, 1 << 20});
    again(test);
}

TEST(asked_to_hide)
{
    needs_threads_after_fork();
    if (!is_second("asked_to_hide")) {
        CHECK_EXITED(t_run_status(again_hidden, (char[]){"asked_to_hide"}), 0);
        return;
    }
    CHECK(named_hidden());
    CHECK_EQ(arena_descriptor(), -1);
    all_works();
}

/* The kernel sends SIGXFSZ to who makes a file larger than its limit. */
TEST(no_large_files)
{
    needs_threads_after_fork();
    if (!is_second("no_large_files")) {
        CHECK_EXITED(t_run_status(again_limited, (char[]){"no_large_files"}), 0);
        return;
    }
    CHECK(named_hidden());
    all_works();
}

TEST(descriptors_begin_where_they_did)
{
    CHECK(bough_self());
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), arena = arena_descriptor();
    close(fd);
    CHECK(fd < 16);
    CHECK(arena > fd);
    CHECK(fcntl(arena, F_GETFD) & FD_CLOEXEC);
}

static void take_its_number(void *unused)
{
    (void)unused;
    int arena = arena_descriptor(), other = open("/dev/null", O_RDONLY | O_CLOEXEC), status;
    CHECK_EQ(dup2(other, arena), arena);
    all_works();
    pid_t pid = fork();
    if (pid == 0) {
        struct stat now, null;
        fstat(arena, &now);
        fstat(other, &null);
        int own = arena_descriptor();
        _exit(now.st_ino != null.st_ino ? 20 : own < 0 || own == arena ? 21 : 0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    _exit(7);
}

/* The mapping does not need it; and in the child of a fork its number is somebody else's. */
TEST(the_descriptor_was_closed_and_its_number_is_in_use)
{
    needs_threads_after_fork();
    if (arena_descriptor() < 0)
        SKIP("the arena is hidden");
    CHECK_EXITED(t_run_status(take_its_number, NULL), 7);
}

/* A child sees neither the parent's file nor its memory. */
TEST(a_child_has_a_file_of_its_own)
{
    struct stat mine, its;
    int arena = arena_descriptor(), status;
    if (arena < 0)
        SKIP("the arena is hidden");
    fstat(arena, &mine);
    pid_t pid = fork();
    if (pid == 0) {
        fstat(arena_descriptor(), &its);
        _exit(mine.st_ino == its.st_ino ? 20 : arena_descriptor() != arena ? 21 : 0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

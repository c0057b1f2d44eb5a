/* SPDX-License-Identifier: MIT */
/* Without the arena's file everything works as with it, and the descriptors of other code are not touched. */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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
        if (readlink(path, target, sizeof target - 1) > 0 && strcmp(target, "/memfd:bough (deleted)") == 0)
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
        found |= strstr(line, "memfd:bough") != NULL; /* the mailbox as well */
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

/* The library examines its environment when it is loaded, so run the program again in that environment. */
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

TEST(BOUGH_HIDDEN_hides_the_arena)
{
    needs_threads_after_fork();
    if (!is_second("BOUGH_HIDDEN_hides_the_arena")) {
        CHECK_EXITED(t_run_status(again_hidden, (char[]){"BOUGH_HIDDEN_hides_the_arena"}), 0);
        return;
    }
    CHECK(named_hidden());
    CHECK_EQ(arena_descriptor(), -1);
    all_works();
}

/* The kernel sends SIGXFSZ to a process that makes a file larger than its limit. */
TEST(a_limit_on_file_sizes_hides_the_arena)
{
    needs_threads_after_fork();
    if (!is_second("a_limit_on_file_sizes_hides_the_arena")) {
        CHECK_EXITED(t_run_status(again_limited, (char[]){"a_limit_on_file_sizes_hides_the_arena"}), 0);
        return;
    }
    CHECK(named_hidden());
    all_works();
}

/* ---- older kernels refuse unknown flags with EINVAL -------------------------------------------------------------- */

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

/* The call fails if that bit is set in its argument; of fcntl only F_ADD_SEALS. */
static void refuse(int call, unsigned argument, unsigned bit)
{
    const unsigned low = 4 * (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 5),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, args[1]) + low),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_ADD_SEALS, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)(offsetof(struct seccomp_data, args) + 8 * argument) + low),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bit, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    if (call != SYS_fcntl)
        steps[3] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, 0, 0, 0);
    struct sock_fprog filter = {sizeof steps / sizeof steps[0], steps};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        _exit(77);
}

static void again_on_linux_6_2(void *test)
{
    refuse(SYS_memfd_create, 1, MFD_NOEXEC_SEAL);
    again(test);
}

static void again_on_linux_5_0(void *test)
{
    refuse(SYS_fcntl, 2, F_SEAL_FUTURE_WRITE);
    again(test);
}

static void run_again(void (*how)(void *), const char *test)
{
    int status = t_run_status(how, (void *)(uintptr_t)test);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        SKIP("no filter for system calls here");
    CHECK_EXITED(status, 0);
}

static int seals(void)
{
    int fd = arena_descriptor();
    return fd < 0 ? -1 : fcntl(fd, F_GET_SEALS);
}

/* Fixed bug: on such a kernel the file was not sealed at all. */
TEST(linux_before_6_3_seals_the_arena_as_well)
{
    needs_threads_after_fork();
    if (!is_second("linux_before_6_3_seals_the_arena_as_well")) {
        run_again(again_on_linux_6_2, "linux_before_6_3_seals_the_arena_as_well");
        return;
    }
    CHECK_ERR((int)syscall(SYS_memfd_create, "test", MFD_NOEXEC_SEAL), EINVAL);
    CHECK((seals() & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE)) ==
          (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE));
    all_works();
}

/* A file that can't be sealed against writing is hidden. */
TEST(linux_before_5_1_hides_the_arena)
{
    needs_threads_after_fork();
    if (!is_second("linux_before_5_1_hides_the_arena")) {
        run_again(again_on_linux_5_0, "linux_before_5_1_hides_the_arena");
        return;
    }
    CHECK(named_hidden());
    CHECK_EQ(arena_descriptor(), -1);
    all_works();
}

TEST(the_programs_descriptors_keep_their_numbers)
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

/* The mapping does not need the descriptor, whose number may belong to other code in a forked process. */
TEST(a_closed_descriptor_whose_number_is_in_use_is_not_touched)
{
    needs_threads_after_fork();
    if (arena_descriptor() < 0)
        SKIP("the arena is hidden");
    CHECK_EXITED(t_run_status(take_its_number, NULL), 7);
}

/* A forked process sees neither the parent's file nor its memory. */
TEST(a_forked_process_has_a_separate_file)
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

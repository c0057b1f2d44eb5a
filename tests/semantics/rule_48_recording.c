/* SPDX-License-Identifier: MIT */
/* Rule 48: the file of a recording. tests/cli/recorded*.c test its contents. */
#include <bough.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "harness.h"

static const char *file_name(void)
{
    static char name[64];
    snprintf(name, sizeof name, "/tmp/bough-rule-48-%d", (int)getpid());
    return name;
}

static int start(size_t size)
{
    return bough_trace_start(
        &(struct bough_trace_options){.file = file_name(), .size = size, .flags = BOUGH_TRACE_ALL});
}

static struct stat status_of(const char *name)
{
    struct stat is;
    CHECK_EQ(lstat(name, &is), 0);
    return is;
}

static void make_file(const char *text)
{
    FILE *f = fopen(file_name(), "we");
    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

/* Writes enough events to fill a small recording several times. */
static void write_many(void)
{
    for (int i = 0; i < 20000; i++)
        bough_set_name(i % 2 ? "one" : "two");
}

TEST(its_mode_is_0600)
{
    mode_t before = umask(0);
    CHECK_EQ(start(0), 0);
    umask(before);
    struct stat is = status_of(file_name());
    CHECK_EQ(is.st_mode, S_IFREG | 0600);
    CHECK_EQ(is.st_size, 64 << 20);
    CHECK(is.st_blocks * 512 < 2 << 20);
    CHECK_ERR(start(0), EBUSY);
    CHECK_EQ(bough_trace_stop(), 0);
    CHECK_ERR(bough_trace_stop(), ENOENT);
    CHECK_EQ(unlink(file_name()), 0);
}

TEST(its_size_is_bounded)
{
    CHECK_EQ(start(1 << 20), 0);
    write_many();
    CHECK_EQ(bough_trace_stop(), 0);
    struct stat is = status_of(file_name());
    CHECK_EQ(is.st_size, 1 << 20);
    CHECK(is.st_blocks * 512 <= (1 << 20) + 65536);
    CHECK_EQ(unlink(file_name()), 0);
}

TEST(the_limit_of_file_sizes_is_kept)
{
    struct rlimit most = {1 << 20, RLIM_INFINITY}, none = {4096, RLIM_INFINITY};
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &most), 0);
    CHECK_EQ(start(0), 0);
    write_many();
    CHECK_EQ(status_of(file_name()).st_size, 1 << 20);
    CHECK_EQ(bough_trace_stop(), 0);
    CHECK_EQ(unlink(file_name()), 0);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
    CHECK_ERR(start(0), EFBIG);
    CHECK_ERR(access(file_name(), F_OK), ENOENT);
}

TEST(links_are_not_followed)
{
    char other[80];
    snprintf(other, sizeof other, "%s-other", file_name());
    CHECK_EQ(symlink(other, file_name()), 0);
    CHECK_ERR(start(0), ELOOP);
    CHECK_ERR(access(other, F_OK), ENOENT);
    CHECK_EQ(unlink(file_name()), 0);
    make_file("");
    CHECK_EQ(link(file_name(), other), 0);
    CHECK_ERR(start(0), EPERM);
    CHECK_EQ(unlink(file_name()), 0);
    CHECK_EQ(unlink(other), 0);
    CHECK_EQ(mkfifo(file_name(), 0600), 0);
    CHECK_ERR(start(0), EPERM);
    CHECK_EQ(unlink(file_name()), 0);
}

TEST(a_file_of_another_user_is_left_alone)
{
    if (geteuid() != 0)
        SKIP("only root can give a file to another user");
    CHECK_EQ(start(0), 0);
    CHECK_EQ(bough_trace_stop(), 0);
    CHECK_EQ(chown(file_name(), 65534, 65534), 0);
    CHECK_ERR(start(0), EPERM);
    CHECK_EQ(status_of(file_name()).st_uid, 65534);
    CHECK_EQ(unlink(file_name()), 0);
}

TEST(only_a_recording_is_replaced)
{
    make_file("my thesis\n");
    CHECK_ERR(start(0), EEXIST);
    CHECK_EQ(status_of(file_name()).st_size, 10);
    CHECK_EQ(unlink(file_name()), 0);
    CHECK_EQ(start(0), 0);
    ino_t first = status_of(file_name()).st_ino;
    CHECK_EQ(bough_trace_stop(), 0);
    int kept = open(file_name(), O_RDONLY | O_CLOEXEC); /* keeps the old file's inode number in use */
    CHECK_EQ(start(0), 0);
    CHECK(status_of(file_name()).st_ino != first);
    CHECK_EQ(bough_trace_stop(), 0);
    CHECK_EQ(unlink(file_name()), 0);
    close(kept);
}

TEST(wrong_options)
{
    CHECK_ERR(bough_trace_start(NULL), EINVAL);
    CHECK_ERR(bough_trace_start(&(struct bough_trace_options){.file = ""}), EINVAL);
    CHECK_ERR(bough_trace_start(&(struct bough_trace_options){.file = file_name(), .threshold = -1}), EINVAL);
    CHECK_ERR(bough_trace_start(&(struct bough_trace_options){.file = file_name(), .flags = 1u << 9}), EINVAL);
    CHECK_ERR(start(4096), EFBIG);
    CHECK_ERR(bough_trace_start(&(struct bough_trace_options){.file = "/nowhere/at/all"}), ENOENT);
}

static int descriptor_of_recording(void)
{
    char path[64], name[128];
    for (int fd = 3; fd < 1024; fd++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(path, name, sizeof name - 1);
        if (n > 0 && (name[n] = '\0', strcmp(name, file_name()) == 0))
            return fd;
    }
    return -1;
}

/* Daemons close all descriptors. The number may then belong to another file, which must not change. */
TEST(its_descriptor_may_be_closed)
{
    CHECK_EQ(start(8 << 20), 0);
    int fd = descriptor_of_recording(), other = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && other >= 0);
    CHECK_EQ(dup2(other, fd), fd);
    write_many();
    struct stat is;
    CHECK_EQ(fstat(other, &is), 0);
    CHECK_EQ(is.st_blocks, 0);
    CHECK_EQ(bough_trace_stop(), 0);
    CHECK_EQ(unlink(file_name()), 0);
    close(other);
    close(fd);
}

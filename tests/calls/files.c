/* SPDX-License-Identifier: MIT */
/* Files and descriptors: opening, closing, reading, writing, storage. */
#include "recipe.h"

#include <bough.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

/* ---- opening: a FIFO whose other end is not open ----------------------------------------------------------------- */

static void make_fifo(struct stage *s)
{
    snprintf(s->path, sizeof s->path, "/tmp/bough-fifo-%d", (int)getpid());
    unlink(s->path);
    CHECK_EQ(mkfifo(s->path, 0600), 0);
}

static void make_fifo_for_open(struct stage *s)
{
#ifdef INTERPOSED
    if (T_TSAN)
        SKIP("open() is the thread sanitizer's: bough replaces no function that another library has replaced");
#endif
    make_fifo(s);
}

static void open_other_end(struct stage *s)
{
    s->fd[0] = open(s->path, O_RDWR | O_CLOEXEC);
    CHECK(s->fd[0] >= 0);
}

static void opened(struct stage *s, long result)
{
    (void)s;
    CHECK(result >= 0);
    CHECK_EQ(close((int)result), 0);
}

static void remove_path(struct stage *s)
{
    unlink(s->path);
}

BOTH_AS(open, bough_open(s->path, O_RDONLY), open(s->path, O_RDONLY))
WRONG_AS(open, bough_open("/nowhere/x", O_RDWR | O_CREAT, 0600), open("/nowhere/x", O_RDWR | O_CREAT, 0600))
RECIPE(open, .how = BLOCKS, .prepare = make_fifo_for_open, .release = open_other_end, .untouched = no_descriptor,
       .done = opened, .clean = remove_path)

BOTH(openat, AT_FDCWD, s->path, O_WRONLY)
WRONG(openat, -1, "x", O_RDONLY)
RECIPE(openat, .how = BLOCKS, .prepare = make_fifo, .release = open_other_end, .untouched = no_descriptor,
       .done = opened, .clean = remove_path)

static int libc_openat2(int dirfd, const char *path, struct open_how *how, size_t size)
{
    return (int)syscall(SYS_openat2, dirfd, path, how, size);
}

static struct open_how how_to_read = {.flags = O_RDONLY};
BOTH_AS(openat2, bough_openat2(AT_FDCWD, s->path, &how_to_read, sizeof how_to_read),
        libc_openat2(AT_FDCWD, s->path, &how_to_read, sizeof how_to_read))
WRONG_AS(openat2, bough_openat2(AT_FDCWD, "/", &how_to_read, 1), libc_openat2(AT_FDCWD, "/", &how_to_read, 1))
RECIPE(openat2, .how = BLOCKS, .prepare = make_fifo, .release = open_other_end, .untouched = no_descriptor,
       .done = opened, .clean = remove_path)

BOTH(creat, s->path, 0600)
WRONG(creat, "/", 0600)
RECIPE(creat, .how = BLOCKS, .prepare = make_fifo, .release = open_other_end, .untouched = no_descriptor,
       .done = opened, .clean = remove_path)

static mode_t mode_of(int fd)
{
    struct stat status;
    CHECK_EQ(fstat(fd, &status), 0);
    close(fd);
    return status.st_mode & 0777;
}

/* The optional argument is passed on, also for a file without a name. */
TEST(open_passes_the_mode)
{
    struct stage s = {.fd = {-1, -1, -1, -1}};
    snprintf(s.path, sizeof s.path, "/tmp/bough-mode-%d", (int)getpid());
    CHECK_EQ(mode_of(bough_open(s.path, O_RDWR | O_CREAT | O_EXCL, 0640)), 0640);
    CHECK_ERR(bough_openat(AT_FDCWD, s.path, O_RDWR | O_CREAT | O_EXCL, 0640), EEXIST);
    unlink(s.path);
    CHECK_EQ(mode_of(bough_openat(AT_FDCWD, s.path, O_RDWR | O_CREAT, 0600)), 0600);
    unlink(s.path);
    int unnamed = bough_open("/tmp", O_RDWR | O_TMPFILE, 0604);
    if (unnamed < 0 && errno == EOPNOTSUPP)
        SKIP("no O_TMPFILE in /tmp");
    CHECK_EQ(mode_of(unnamed), 0604);
}

/* ---- closing ----------------------------------------------------------------------------------------------------- */

static void closed(struct stage *s, long result)
{
    CHECK_EQ(result, 0);
    CHECK_ERR(fcntl(s->fd[1], F_GETFD), EBADF);
    s->fd[1] = -1;
}

BOTH(close, s->fd[1])
WRONG(close, -1)
RECIPE(close, .how = NO_BLOCK, .prepare = make_pipe, .done = closed)

BOTH_AS(posix_close, bough_posix_close(s->fd[1], 0), close(s->fd[1]))
WRONG_AS(posix_close, bough_posix_close(-1, 0), close(-1))
RECIPE(posix_close, .how = NO_BLOCK, .prepare = make_pipe, .done = closed)

/* ---- reading: an empty pipe -------------------------------------------------------------------------------------- */

static void write_x(struct stage *s)
{
    CHECK_EQ(write(s->fd[1], "x", 1), 1);
}

static void nothing_read(struct stage *s)
{
    CHECK_EQ(s->buffer[0], 0);
}

static void read_x(struct stage *s, long result)
{
    CHECK_EQ(result, 1);
    CHECK_EQ(s->buffer[0], 'x');
}

static struct iovec *two_parts(struct stage *s)
{
    static struct iovec iov[2];
    iov[0] = (struct iovec){s->buffer, 1};
    iov[1] = (struct iovec){s->buffer + 1, 9};
    return iov;
}

BOTH(read, s->fd[0], s->buffer, 10)
WRONG(read, -1, s->buffer, 10)
RECIPE(read, .how = BLOCKS, .prepare = make_pipe, .release = write_x, .untouched = nothing_read, .done = read_x)

BOTH(readv, s->fd[0], two_parts(s), 2)
WRONG(readv, -1, two_parts(s), 2)
RECIPE(readv, .how = BLOCKS, .prepare = make_pipe, .release = write_x, .untouched = nothing_read, .done = read_x)

#ifndef __GLIBC__
static ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    return syscall(SYS_preadv2, fd, iov, count, offset, 0L, (long)flags);
}

static ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    return syscall(SYS_pwritev2, fd, iov, count, offset, 0L, (long)flags);
}
#endif

/* qemu-user has neither preadv2() nor pwritev2(). */
static void needs_call(long result)
{
    if (result < 0 && errno == ENOSYS)
        SKIP("this kernel does not have the call");
}

static void make_pipe_with_flags(struct stage *s)
{
    needs_call(syscall(SYS_preadv2, -1, NULL, 0, 0L, 0L, 0L));
    make_pipe(s);
}

/* At offset -1, which means the descriptor's offset, preadv2() reads a pipe. */
BOTH(preadv2, s->fd[0], two_parts(s), 2, -1, 0)
WRONG(preadv2, s->fd[0], two_parts(s), 2, 0, 0)
RECIPE(preadv2, .how = BLOCKS, .prepare = make_pipe_with_flags, .release = write_x, .untouched = nothing_read,
       .done = read_x)

/* ---- reading and writing at an offset: a file, which never blocks ------------------------------------------------ */

static void read_def(struct stage *s, long result)
{
    CHECK_EQ(result, 3);
    CHECK_EQ(memcmp(s->buffer, "def", 3), 0);
}

BOTH(pread, s->fd[0], s->buffer, 10, 3)
WRONG(pread, s->fd[0], s->buffer, 10, -3)
RECIPE(pread, .how = NO_BLOCK, .prepare = make_file, .untouched = nothing_read, .done = read_def)

BOTH(preadv, s->fd[0], two_parts(s), 2, 3)
WRONG(preadv, s->fd[0], two_parts(s), 2, -3)
RECIPE(preadv, .how = NO_BLOCK, .prepare = make_file, .untouched = nothing_read, .done = read_def)

static const char *content(struct stage *s)
{
    memset(s->buffer, 0, 10);
    CHECK(pread(s->fd[0], s->buffer, 9, 0) >= 0);
    return s->buffer;
}

static void nothing_written(struct stage *s)
{
    CHECK_STR(content(s), "abcdef");
}

static void wrote_def(struct stage *s, long result)
{
    CHECK_EQ(result, 3);
    CHECK_STR(content(s), "abcXYZ");
}

static struct iovec *xyz(void)
{
    static char text[] = "XYZ";
    static struct iovec iov[2] = {{text, 1}, {text + 1, 2}};
    return iov;
}

BOTH(pwrite, s->fd[0], "XYZ", 3, 3)
WRONG(pwrite, s->fd[0], "XYZ", 3, -3)
RECIPE(pwrite, .how = NO_BLOCK, .prepare = make_file, .untouched = nothing_written, .done = wrote_def)

BOTH(pwritev, s->fd[0], xyz(), 2, 3)
WRONG(pwritev, s->fd[0], xyz(), 2, -3)
RECIPE(pwritev, .how = NO_BLOCK, .prepare = make_file, .untouched = nothing_written, .done = wrote_def)

/* ---- writing: a full pipe ---------------------------------------------------------------------------------------- */

static void wrote_3(struct stage *s, long result)
{
    CHECK_EQ(result, 3);
    CHECK_EQ(t_bytes_in(s->fd[0]), s->size - 4096 + 3);
}

BOTH(write, s->fd[1], "XYZ", 3)
WRONG(write, -1, "XYZ", 3)
RECIPE(write, .how = BLOCKS, .prepare = make_full_pipe, .release = read_page, .untouched = still_full_pipe,
       .done = wrote_3)

BOTH(writev, s->fd[1], xyz(), 2)
WRONG(writev, s->fd[0], xyz(), 2)
RECIPE(writev, .how = BLOCKS, .prepare = make_full_pipe, .release = read_page, .untouched = still_full_pipe,
       .done = wrote_3)

BOTH(pwritev2, s->fd[1], xyz(), 2, -1, 0)
WRONG(pwritev2, s->fd[1], xyz(), 2, -1, 0x4000)
static void make_full_pipe_with_flags(struct stage *s)
{
    needs_call(syscall(SYS_pwritev2, -1, NULL, 0, 0L, 0L, 0L));
    make_full_pipe(s);
}

RECIPE(pwritev2, .how = BLOCKS, .prepare = make_full_pipe_with_flags, .release = read_page,
       .untouched = still_full_pipe, .done = wrote_3)

/* ---- storage: interrupted before it begins, or not at all -------------------------------------------------------- */

static void map_file(struct stage *s)
{
    make_file(s);
    s->memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd[0], 0);
    CHECK(s->memory != MAP_FAILED);
}

static void unmap(struct stage *s)
{
    munmap(s->memory, 4096);
}

BOTH(fsync, s->fd[0])
WRONG(fsync, -1)
RECIPE(fsync, .how = NO_BLOCK, .prepare = make_file, .done = result_is_0)

BOTH(fdatasync, s->fd[0])
WRONG(fdatasync, -1)
RECIPE(fdatasync, .how = NO_BLOCK, .prepare = make_file, .done = result_is_0)

BOTH(msync, s->memory, 4096, MS_SYNC)
WRONG(msync, s->memory, 4096, MS_SYNC | MS_ASYNC)
RECIPE(msync, .how = NO_BLOCK, .prepare = map_file, .done = result_is_0, .clean = unmap)

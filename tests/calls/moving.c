/* SPDX-License-Identifier: MIT */
/* Moving data between descriptors. */
#include "recipe.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>

/* fd[0], fd[1]: a pipe; fd[2], fd[3]: other descriptors that the call needs. */

static void moved_3(struct stage *s, long result)
{
    CHECK_EQ(result, 3);
    CHECK_EQ(t_bytes_in(s->fd[0]), s->size - 4096 + 3);
}

static int file_with(const char *text)
{
    int fd = (int)syscall(SYS_memfd_create, "file", 0);
    CHECK_EQ(pwrite(fd, text, strlen(text), 0), strlen(text));
    return fd;
}

/* ---- from a file, into a full pipe ------------------------------------------------------------------------------- */

static void make_file_and_full_pipe(struct stage *s)
{
    make_full_pipe(s);
    s->fd[2] = file_with("abc");
}

static void offset_untouched(struct stage *s)
{
    still_full_pipe(s);
    CHECK_EQ(lseek(s->fd[2], 0, SEEK_CUR), 0);
}

BOTH(sendfile, s->fd[1], s->fd[2], NULL, 3)
WRONG(sendfile, s->fd[1], -1, NULL, 3)
RECIPE(sendfile, .how = BLOCKS, .prepare = make_file_and_full_pipe, .release = read_page, .untouched = offset_untouched,
       .done = moved_3)

static struct iovec *xyz(void)
{
    static char text[] = "XYZ";
    static struct iovec iov = {text, 3};
    return &iov;
}

BOTH(vmsplice, s->fd[1], xyz(), 1, 0)
WRONG(vmsplice, -1, xyz(), 1, 0)
RECIPE(vmsplice, .how = BLOCKS, .prepare = make_full_pipe, .release = read_page, .untouched = still_full_pipe,
       .done = moved_3)

/* ---- from an empty pipe to another ------------------------------------------------------------------------------- */

static void make_two_pipes(struct stage *s)
{
    CHECK_EQ(pipe(s->fd), 0);
    CHECK_EQ(pipe(s->fd + 2), 0);
}

static void write_x(struct stage *s)
{
    CHECK_EQ(write(s->fd[1], "x", 1), 1);
}

static void nothing_arrived(struct stage *s)
{
    CHECK_EQ(t_bytes_in(s->fd[2]), 0);
}

static void x_was_moved(struct stage *s, long result)
{
    CHECK_EQ(result, 1);
    CHECK_EQ(t_bytes_in(s->fd[0]), 0);
    CHECK_EQ(t_bytes_in(s->fd[2]), 1);
}

static void x_was_copied(struct stage *s, long result)
{
    CHECK_EQ(result, 1);
    CHECK_EQ(t_bytes_in(s->fd[0]), 1);
    CHECK_EQ(t_bytes_in(s->fd[2]), 1);
}

BOTH(splice, s->fd[0], NULL, s->fd[3], NULL, 10, 0)
WRONG(splice, s->fd[0], NULL, -1, NULL, 10, 0)
RECIPE(splice, .how = BLOCKS, .prepare = make_two_pipes, .release = write_x, .untouched = nothing_arrived,
       .done = x_was_moved)

BOTH(tee, s->fd[0], s->fd[3], 10, 0)
WRONG(tee, s->fd[0], -1, 10, 0)
RECIPE(tee, .how = BLOCKS, .prepare = make_two_pipes, .release = write_x, .untouched = nothing_arrived,
       .done = x_was_copied)

/* ---- from file to file: never blocks ----------------------------------------------------------------------------- */

static void make_two_files(struct stage *s)
{
    s->fd[0] = file_with("abc");
    s->fd[1] = file_with("");
}

static void still_empty(struct stage *s)
{
    CHECK_EQ(lseek(s->fd[1], 0, SEEK_END), 0);
}

static void abc_was_copied(struct stage *s, long result)
{
    CHECK_EQ(result, 3);
    CHECK_EQ(pread(s->fd[1], s->buffer, 10, 0), 3);
    CHECK_STR(s->buffer, "abc");
}

BOTH(copy_file_range, s->fd[0], NULL, s->fd[1], NULL, 10, 0)
WRONG(copy_file_range, s->fd[0], NULL, -1, NULL, 10, 0)
RECIPE(copy_file_range, .how = NO_BLOCK, .prepare = make_two_files, .untouched = still_empty, .done = abc_was_copied)

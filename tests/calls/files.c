/* SPDX-License-Identifier: MIT */
/* Files and descriptors. */
#include "recipe.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <linux/filter.h>
#include <pty.h>
#include <signal.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <termios.h>

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

static void make_file(struct stage *s)
{
    s->fd[0] = (int)syscall(SYS_memfd_create, "file", 0);
    CHECK_EQ(pwrite(s->fd[0], "abcdef", 6, 0), 6);
}

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
    CHECK_EQ(bytes_in(s->fd[0]), s->size - 4096 + 3);
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

/* ---- locks: held by another process, or through another open file ------------------------------------------------ */

static struct flock whole_file(void)
{
    return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
}

static int has_lock_of(struct stage *s, int fd)
{
    struct flock lock = whole_file();
    (void)s;
    CHECK_EQ(fcntl(fd, F_OFD_GETLK, &lock), 0);
    return lock.l_type != F_UNLCK;
}

static void hold_lock(int fd, int ready, int until)
{
    struct flock lock = whole_file();
    char c;
    if (fcntl(fd, F_SETLK, &lock) != 0 || write(ready, "r", 1) != 1)
        _exit(1);
    while (read(until, &c, 1) > 0) {
    }
    _exit(0);
}

static void lock_in_child(struct stage *s)
{
    int ready[2], until[2];
    char c;
    make_file(s);
    CHECK_EQ(pipe(ready), 0);
    CHECK_EQ(pipe(until), 0);
    s->child = fork();
    if (s->child == 0) {
        close(until[1]);
        hold_lock(s->fd[0], ready[1], until[0]);
    }
    CHECK_EQ(read(ready[0], &c, 1), 1);
    close(ready[0]);
    close(ready[1]);
    close(until[0]);
    s->fd[1] = until[1];
}

static void end_child(struct stage *s)
{
    int status;
    close(s->fd[1]);
    s->fd[1] = -1;
    CHECK_EQ(waitpid(s->child, &status, 0), s->child);
    s->child = 0;
}

static void end_any_child(struct stage *s)
{
    if (s->child)
        end_child(s);
}

/* The lock is the child's: this process sees it, and has taken none itself. */
static void not_locked(struct stage *s)
{
    struct flock lock = whole_file();
    CHECK_EQ(fcntl(s->fd[0], F_GETLK, &lock), 0);
    CHECK_EQ(lock.l_pid, s->child);
    end_child(s);
    CHECK(!has_lock_of(s, s->fd[0]));
}

static void locked(struct stage *s, long result)
{
    CHECK_EQ(result, 0);
    CHECK(has_lock_of(s, s->fd[0]));
}

static struct flock wanted;
static struct flock *write_lock(void)
{
    wanted = whole_file();
    return &wanted;
}

BOTH(fcntl, s->fd[0], F_SETLKW, write_lock())
WRONG(fcntl, -1, F_SETLKW, write_lock())
RECIPE(fcntl, .how = BLOCKS, .prepare = lock_in_child, .release = end_child, .untouched = not_locked, .done = locked,
       .clean = end_any_child)

BOTH(lockf, s->fd[0], F_LOCK, 0)
WRONG(lockf, s->fd[0], 77, 0)
RECIPE(lockf, .how = BLOCKS, .prepare = lock_in_child, .release = end_child, .untouched = not_locked, .done = locked,
       .clean = end_any_child)

/* The same file, opened twice: fd[0] and fd[1]. */
static void open_twice(struct stage *s)
{
    char path[64];
    make_file(s);
    snprintf(path, sizeof path, "/proc/self/fd/%d", s->fd[0]);
    s->fd[1] = open(path, O_RDWR);
    CHECK(s->fd[1] >= 0);
}

static void lock_ofd(struct stage *s)
{
    open_twice(s);
    CHECK_EQ(fcntl(s->fd[1], F_OFD_SETLK, write_lock()), 0);
}

static void unlock_ofd(struct stage *s)
{
    struct flock lock = {.l_type = F_UNLCK};
    CHECK_EQ(fcntl(s->fd[1], F_OFD_SETLK, &lock), 0);
}

static void ofd_not_locked(struct stage *s)
{
    unlock_ofd(s);
    CHECK(!has_lock_of(s, s->fd[1]));
}

static void ofd_locked(struct stage *s, long result)
{
    CHECK_EQ(result, 0);
    CHECK(has_lock_of(s, s->fd[1]));
}

BOTH_AS(fcntl_ofd, bough_fcntl(s->fd[0], F_OFD_SETLKW, write_lock()), fcntl(s->fd[0], F_OFD_SETLKW, write_lock()))
WRONG_AS(fcntl_ofd, bough_fcntl(-1, F_OFD_SETLKW, write_lock()), fcntl(-1, F_OFD_SETLKW, write_lock()))
RECIPE_MORE(fcntl, fcntl_ofd, .how = BLOCKS, .prepare = lock_ofd, .release = unlock_ofd, .untouched = ofd_not_locked,
            .done = ofd_locked)

static void flock_other(struct stage *s)
{
    open_twice(s);
    CHECK_EQ(flock(s->fd[1], LOCK_EX), 0);
}

static void unflock_other(struct stage *s)
{
    CHECK_EQ(flock(s->fd[1], LOCK_UN), 0);
}

static void not_flocked(struct stage *s)
{
    CHECK_EQ(flock(s->fd[1], LOCK_EX | LOCK_NB), 0);
}

static void flocked(struct stage *s, long result)
{
    CHECK_EQ(result, 0);
    CHECK_ERR(flock(s->fd[1], LOCK_EX | LOCK_NB), EAGAIN);
}

BOTH(flock, s->fd[0], LOCK_EX)
WRONG(flock, s->fd[0], 77)
RECIPE(flock, .how = BLOCKS, .prepare = flock_other, .release = unflock_other, .untouched = not_flocked,
       .done = flocked)

/* A call that does not wait is no point, and works while an interrupt is due. */
TEST(fcntl_and_lockf_without_waiting_are_no_points)
{
    struct stage s = {.fd = {-1, -1, -1, -1}};
    make_file(&s);
    CHECK_EQ(bough_interrupt(bough_self(), NULL), 0);
    CHECK_EQ(bough_fcntl(s.fd[0], F_SETFD, FD_CLOEXEC), 0);
    CHECK_EQ(bough_fcntl(s.fd[0], F_GETFD), FD_CLOEXEC);
    CHECK_EQ(bough_fcntl(s.fd[0], F_SETLK, write_lock()), 0);
    CHECK_EQ(bough_lockf(s.fd[0], F_TEST, 0), 0);
    CHECK_EQ(bough_lockf(s.fd[0], F_ULOCK, 0), 0);
    CHECK_ERR(bough_lockf(s.fd[0], F_LOCK, 0), ECANCELED);
    CHECK_EQ(bough_clear(NULL), 1);
    close(s.fd[0]);
}

/* ---- devices ----------------------------------------------------------------------------------------------------- */

/* A request that blocks: SECCOMP_IOCTL_NOTIF_RECV waits until a filtered thread makes the call that its filter
 * hands to a supervisor; here an unused number. */
enum { TRAPPED = 1 << 20 };
static const bough_ioctl_request notif_recv = (bough_ioctl_request)SECCOMP_IOCTL_NOTIF_RECV,
                                 notif_send = (bough_ioctl_request)SECCOMP_IOCTL_NOTIF_SEND;

static void make_listener(struct stage *s)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TRAPPED, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    s->fd[0] = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (s->fd[0] < 0)
        SKIP("no seccomp listener here: %s", strerror(errno));
    s->memory = calloc(1, 4096);
}

static void *make_trapped_call(void *unused)
{
    (void)unused;
    syscall(TRAPPED);
    return NULL;
}

static struct t_thread trapped;

static void trap(struct stage *s)
{
    (void)s;
    t_spawn(&trapped, make_trapped_call, NULL);
}

static void got_notification(struct stage *s, long result)
{
    const struct seccomp_notif *request = s->memory;
    struct seccomp_notif_resp response = {.id = request->id, .error = -ENOSYS};
    CHECK_EQ(result, 0);
    CHECK_EQ(request->data.nr, TRAPPED);
    CHECK_EQ(ioctl(s->fd[0], notif_send, &response), 0);
    t_join(&trapped);
}

static void free_memory(struct stage *s)
{
    free(s->memory);
}

/* A process can have one listener, so each act is a separate test. */
static void play_listener(long (*function)(struct stage *s))
{
    static struct recipe recipe = {
        .how = BLOCKS,
        .prepare = make_listener,
        .release = trap,
        .done = got_notification,
        .clean = free_memory,
    };
    struct player player = {.recipe = &recipe};
    recipe.ours = function;
    play_whole(&player, function);
}

BOTH(ioctl, s->fd[0], notif_recv, s->memory)

TEST(ioctl_completes)
{
    play_listener(ours_ioctl);
}

TEST(ioctl_of_libc_completes)
{
    play_listener(theirs_ioctl);
}

RECIPE_CUT(ioctl, .how = BLOCKS, .prepare = make_listener, .clean = free_memory)

TEST(ioctl_fails_as_its_namesake)
{
    int window;
    CHECK_ERR(bough_ioctl(-1, FIONREAD, &window), EBADF);
    CHECK_ERR(bough_ioctl(0, TIOCGWINSZ, &window), ENOTTY);
}

static void make_terminal(struct stage *s)
{
    if (openpty(&s->fd[0], &s->fd[1], NULL, NULL, NULL) != 0)
        SKIP("no pseudo-terminal here: %s", strerror(errno));
}

/* A pseudo-terminal's output is sent at once: it can't block here. */
BOTH(tcdrain, s->fd[1])
WRONG(tcdrain, -1)
RECIPE(tcdrain, .how = NO_BLOCK, .prepare = make_terminal, .done = result_is_0)

#ifndef INTERPOSED
/* On powerpc64 libc's struct termios is not the kernel's. */
TEST(ioctl_takes_a_terminals_settings_as_libc_does)
{
    struct termios got, expected;
    int fd = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(fd >= 0);
    CHECK_EQ(bough_ioctl(fd, TCGETS, &got), 0);
    CHECK_EQ(tcgetattr(fd, &expected), 0);
    CHECK_EQ(got.c_lflag, expected.c_lflag);
    CHECK_EQ(got.c_cc[VEOF], expected.c_cc[VEOF]);
    got.c_lflag ^= ECHO;
    CHECK_EQ(bough_ioctl(fd, TCSETSW, &got), 0);
    CHECK_EQ(tcgetattr(fd, &expected), 0);
    CHECK_EQ(got.c_lflag, expected.c_lflag);
    close(fd);
}
#endif

/* SPDX-License-Identifier: MIT */
/* Locks of files, held by another process or through another open file. */
#include "recipe.h"

#include <bough.h>
#include <fcntl.h>
#include <sys/file.h>

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

/* The child holds the lock: this process sees that lock, and holds none. */
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

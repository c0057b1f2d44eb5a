/* SPDX-License-Identifier: MIT */
/* Rule 10: an interruptible call has its POSIX namesake's signature, result width and errno: a drop-in. Each play of
 * tests/calls checks that the errors agree. */
#include "harness.h"

#include <aio.h>
#include <bough.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <netdb.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <termios.h>
#include <threads.h>
#include <time.h>

/* Declarations, from the manual pages, of namesakes that this libc may not have. */
#pragma GCC diagnostic ignored "-Wredundant-decls"
struct open_how;
int openat2(int dirfd, const char *path, struct open_how *how, size_t size);
int posix_close(int fd, int flag);
int io_uring_enter(unsigned fd, unsigned to_submit, unsigned min_complete, unsigned flags, sigset_t *mask);
#ifndef __GLIBC__
int epoll_pwait2(int fd, struct epoll_event *events, int count, const struct timespec *timeout, const sigset_t *mask);
int pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock, const struct timespec *at);
int sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *at);
ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags);
ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags);
#endif

/* The signatures, one assertion for each row: a row that differs does not compile. */
#define CUSTOM(returns, name, ...)                                                                                 \
    _Static_assert(__builtin_types_compatible_p(__typeof__(bough_##name), __typeof__(name)), #name ": signature"); \
    static __typeof__(bough_##name) *const dropin_##name = bough_##name;
#include "../../src/calls/calls.def"

TEST(signatures_equal_those_of_the_namesakes)
{
#define CUSTOM(returns, name, ...) CHECK(dropin_##name != NULL);
#include "../../src/calls/calls.def"
}

/* A result wider than int is not truncated, nor is an offset. */
TEST(results_are_as_wide_as_the_namesakes)
{
    const off_t far_out = (off_t)3 << 32;
    char path[] = "/tmp/bough-wide-XXXXXX", c = 0;
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    unlink(path);
    CHECK_EQ(bough_pwrite(fd, "x", 1, far_out), 1);
    CHECK_EQ(lseek(fd, 0, SEEK_END), far_out + 1);
    CHECK_EQ(bough_pread(fd, &c, 1, far_out), 1);
    CHECK_EQ(c, 'x');
    struct iovec iov = {&c, 1};
    CHECK_EQ(bough_preadv(fd, &iov, 1, far_out), 1);
    CHECK_EQ(c, 'x');
    close(fd);
}

/* A call that succeeds leaves errno alone, and so does a call that returns an error number. */
TEST(a_successful_call_leaves_errno_alone)
{
    char c;
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    errno = 77;
    CHECK_EQ(bough_write(fds[1], "x", 1), 1);
    CHECK_EQ(bough_read(fds[0], &c, 1), 1);
    CHECK_EQ(bough_clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){0, -1}, NULL), EINVAL);
    CHECK_EQ(errno, 77);
    close(fds[0]);
    close(fds[1]);
}

/* ---- a handler of the program affects a call as it affects the namesake ------------------------------------------ */

static uint32_t handled;

static void handler(int signo)
{
    __atomic_store_n(&handled, (uint32_t)signo, __ATOMIC_RELEASE);
}

static void install(int flags)
{
    if (T_TSAN && (flags & SA_RESTART))
        SKIP("ThreadSanitizer delays handlers, and runs none while a system call continues");
    __atomic_store_n(&handled, 0, __ATOMIC_RELEASE);
    CHECK_EQ(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler, .sa_flags = flags}, NULL), 0);
}

/* First wait until the thread is adopted, then until it is in its call. */
static void signal_when_blocked(const struct t_thread *thread, uint32_t *known)
{
    t_until(__atomic_load_n(known, __ATOMIC_ACQUIRE));
    t_until_blocked(thread->tid);
    pthread_kill(thread->handle, SIGUSR1);
    t_until(__atomic_load_n(&handled, __ATOMIC_ACQUIRE));
}

struct reader {
    uint32_t known;
    int fd;
    long result;
    int error;
};

static void *read_one(void *argument)
{
    struct reader *reader = argument;
    char c;
    bough_self();
    __atomic_store_n(&reader->known, 1, __ATOMIC_RELEASE);
    reader->result = bough_read(reader->fd, &c, 1);
    reader->error = errno;
    return NULL;
}

static struct reader signal_reader(int flags)
{
    int fds[2];
    struct t_thread thread;
    CHECK_EQ(pipe(fds), 0);
    struct reader reader = {.fd = fds[0]};
    install(flags);
    t_spawn(&thread, read_one, &reader);
    signal_when_blocked(&thread, &reader.known);
    if (flags & SA_RESTART) {
        t_until_blocked(thread.tid);
        CHECK_EQ(write(fds[1], "x", 1), 1);
    }
    t_join(&thread);
    close(fds[0]);
    close(fds[1]);
    return reader;
}

TEST(a_handler_ends_a_call_with_eintr)
{
    struct reader reader = signal_reader(0);
    CHECK_EQ(reader.result, -1);
    CHECK_EQ(reader.error, EINTR);
}

TEST(a_handler_with_sa_restart_does_not_end_a_call)
{
    CHECK_EQ(signal_reader(SA_RESTART).result, 1);
}

struct taker {
    uint32_t known;
    sem_t semaphore;
};

static void *wait_for_token(void *argument)
{
    struct taker *taker = argument;
    bough_self();
    __atomic_store_n(&taker->known, 1, __ATOMIC_RELEASE);
    return (void *)(intptr_t)(bough_sem_wait(&taker->semaphore) == 0 ? 0 : errno);
}

static int signal_sem_wait(int flags)
{
    struct t_thread thread;
    struct taker taker = {.known = 0};
    CHECK_EQ(sem_init(&taker.semaphore, 0, 0), 0);
    install(flags);
    t_spawn(&thread, wait_for_token, &taker);
    signal_when_blocked(&thread, &taker.known);
    if (flags & SA_RESTART) {
        t_until_blocked(thread.tid);
        CHECK_EQ(sem_post(&taker.semaphore), 0);
    }
    int error = (int)(intptr_t)t_join(&thread);
    sem_destroy(&taker.semaphore);
    return error;
}

/* The library makes libc's sem_wait() with a deadline, and the kernel does not restart such a wait: callers must not
 * notice. */
TEST(sem_wait_ends_with_eintr)
{
    CHECK_EQ(signal_sem_wait(0), EINTR);
}

TEST(sem_wait_is_restarted)
{
    CHECK_EQ(signal_sem_wait(SA_RESTART), 0);
}

/* ---- ECANCELED from the kernel ----------------------------------------------------------------------------------- */

/* A timerfd's read returns it when the clock was set. Here a seccomp filter returns it, for reads of one descriptor
 * that does not exist: setting the clock takes privileges, and other programs would notice. */
enum { CANCELS = 999 };

static void need_reads_that_say_ECANCELED(void)
{
    static const struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                 offsetof(struct seccomp_data, args) + 4 * (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CANCELS, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ECANCELED),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof steps / sizeof steps[0], (struct sock_filter *)(uintptr_t)steps};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        SKIP("no filter for system calls here: %s", strerror(errno));
    if (read(CANCELS, NULL, 0) != -1 || errno != ECANCELED)
        SKIP("the filter for system calls has no effect here");
}

static int read_what_cancels(void *unused)
{
    (void)unused;
    char byte;
    CHECK_ERR(bough_read(CANCELS, &byte, 1), ECANCELED);
    return 7;
}

TEST(the_kernels_own_ECANCELED_is_an_error_like_any_other)
{
    char byte;
    need_reads_that_say_ECANCELED();
    CHECK_ERR(bough_read(CANCELS, &byte, 1), ECANCELED);
    CHECK_ERR(bough_syscall(SYS_read, CANCELS, &byte, 1), ECANCELED);
    CHECK_EQ(bough_interrupted(), 0);
    CHECK_EQ(bough_check(), 0);
    /* The child was not interrupted (rule 28). */
    BOUGH_BRANCH(b) {
        CHECK(bough_add(b, read_what_cancels, bough_arg(NULL)));
    }
    CHECK_EQ(bough_last_result(), 7);
    CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 0);
}

/* The same holds while a record is pending but not due, because a cleanup region is open. */
TEST(the_kernels_own_ECANCELED_is_returned_in_a_cleanup)
{
    char byte;
    need_reads_that_say_ECANCELED();
    CHECK_EQ(bough_interrupt(bough_self(), NULL), 0);
    CHECK_ERR(bough_check(), ECANCELED);
    BOUGH_CLEANUP(0) {
        CHECK_ERR(bough_read(CANCELS, &byte, 1), ECANCELED);
        CHECK_EQ(bough_check(), 0);
    }
    CHECK_EQ(bough_clear(NULL), 1);
}

/* SPDX-License-Identifier: MIT */
/* Rule 11: every cancellation point POSIX requires, each blocking call Linux adds, any other call by number. Names
 * are resolved in tests/calls/others.c, tests/sync tests the library's objects. */
#include "harness.h"

#include <bough.h>
#include <linux/futex.h>
#include <netdb.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#define CUSTOM(returns, name, ...) in_table_##name,
enum {
#include "../../src/calls/calls.def"
};

/* clang-format off */
/* XSH 2.9.5.2 of both editions, without STREAMS, which Linux does not have, and without pthread_testcancel, which is
 * bough_check(). A call that the table lacks does not compile. */
#define POSIX(X) \
    X(accept) X(accept4) X(aio_suspend) X(clock_nanosleep) X(close) X(cnd_timedwait) X(cnd_wait) X(connect) \
    X(creat) X(fcntl) X(fdatasync) X(fsync) X(lockf) X(mq_receive) X(mq_send) X(mq_timedreceive) X(mq_timedsend) \
    X(msgrcv) X(msgsnd) X(msync) X(nanosleep) X(open) X(openat) X(pause) X(poll) X(posix_close) X(ppoll) X(pread) \
    X(pselect) X(pthread_cond_clockwait) X(pthread_cond_timedwait) X(pthread_cond_wait) X(pthread_join) X(pwrite) \
    X(read) X(readv) X(recv) X(recvfrom) X(recvmsg) X(select) X(sem_clockwait) X(sem_timedwait) X(sem_wait) \
    X(send) X(sendmsg) X(sendto) X(sigsuspend) X(sigtimedwait) X(sigwait) X(sigwaitinfo) X(sleep) X(tcdrain) \
    X(thrd_join) X(thrd_sleep) X(wait) X(waitid) X(waitpid) X(write) X(writev)

/* Calls that Linux adds. */
#define LINUX(X) \
    X(copy_file_range) X(epoll_pwait) X(epoll_pwait2) X(epoll_wait) X(flock) X(getaddrinfo) X(getnameinfo) \
    X(getrandom) X(io_uring_enter) X(ioctl) X(openat2) X(preadv) X(preadv2) X(pwritev) X(pwritev2) X(recvmmsg) \
    X(semop) X(semtimedop) X(sendfile) X(sendmmsg) X(splice) X(tee) X(usleep) X(vmsplice) X(wait3) X(wait4)
/* clang-format on */

TEST(the_list_is_complete)
{
#define CHECK_CALL(name) CHECK(in_table_##name >= 0 && (void *)(intptr_t)bough_##name != NULL);
    POSIX(CHECK_CALL)
    LINUX(CHECK_CALL)
}

struct caller {
    bough_thread *thread;
    uint64_t value;
    uint32_t word;
    int fd;
};

static void interrupt_when_blocked(struct t_thread *thread, struct caller *caller)
{
    t_until(__atomic_load_n(&caller->thread, __ATOMIC_ACQUIRE));
    t_until_blocked(thread->tid);
    CHECK_EQ(bough_interrupt(caller->thread, NULL), 0);
    t_join(thread);
}

static void *read_by_number(void *argument)
{
    struct caller *c = argument;
    __atomic_store_n(&c->thread, bough_self(), __ATOMIC_RELEASE);
    CHECK_ERR(bough_syscall(SYS_read, c->fd, &c->value, sizeof c->value), ECANCELED);
    CHECK_EQ(bough_clear(NULL), 1);
    CHECK_EQ(eventfd_write(c->fd, 5), 0);
    CHECK_EQ(bough_syscall(SYS_read, c->fd, &c->value, sizeof c->value), 8);
    CHECK_EQ(c->value, 5);
    return NULL;
}

TEST(a_call_by_number_is_interrupted)
{
    struct t_thread thread;
    struct caller caller = {.fd = eventfd(0, 0)};
    t_spawn(&thread, read_by_number, &caller);
    interrupt_when_blocked(&thread, &caller);
    CHECK_EQ(bough_syscall(SYS_getpid), getpid());
    CHECK_ERR(bough_syscall(SYS_close, -1), EBADF);
    close(caller.fd);
}

/* All six arguments reach the kernel: the sixth argument of this call is a mask of bits that a waker has to match. */
TEST(a_call_by_number_passes_six_arguments)
{
    static uint32_t word;
    struct timespec moment = {0, 1000000};
    CHECK_ERR(bough_syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 0, &moment, NULL, 0), EINVAL);
    CHECK_ERR(bough_syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 0, &moment, NULL, 1), ETIMEDOUT);
}

static void *wait_on_futex(void *argument)
{
    struct caller *c = argument;
    __atomic_store_n(&c->thread, bough_self(), __ATOMIC_RELEASE);
    CHECK_ERR(bough_futex_wait(&c->word, 0, 0), ECANCELED);
    CHECK_EQ(bough_clear(NULL), 1);
    return NULL;
}

TEST(futex_wait_is_interrupted)
{
    struct t_thread thread;
    struct caller caller = {.word = 0};
    t_spawn(&thread, wait_on_futex, &caller);
    interrupt_when_blocked(&thread, &caller);
    CHECK_ERR(bough_futex_wait(&caller.word, 1, 0), EAGAIN);
    CHECK_ERR(bough_futex_wait(&caller.word, 0, bough_after(BOUGH_MS(2))), ETIMEDOUT);
}

static void *wait_until_woken(void *argument)
{
    struct caller *c = argument;
    __atomic_store_n(&c->thread, bough_self(), __ATOMIC_RELEASE);
    CHECK_EQ(bough_futex_wait(&c->word, 0, 0), 0);
    return NULL;
}

TEST(futex_wait_is_woken)
{
    struct t_thread thread;
    struct caller caller = {.word = 0};
    t_spawn(&thread, wait_until_woken, &caller);
    t_until(__atomic_load_n(&caller.thread, __ATOMIC_ACQUIRE));
    t_until_blocked(thread.tid);
    CHECK_EQ(syscall(SYS_futex, &caller.word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
    t_join(&thread);
}

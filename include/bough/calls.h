/* SPDX-License-Identifier: MIT */
/*
 * The list of interruptible calls. Made from src/calls/calls.def by tools/calls.py: change it there.
 *
 * Each call has the signature, result and errors of its namesake, and one more failure, ECANCELED (rules 9 to 11). The
 * call reports it as the namesake reports errors: by -1 with errno; by an error number, if the namesake returns one
 * (pthread_*, sigwait, clock_nanosleep); the comments of the few other calls describe their results. The sentence after
 * "Interrupted:" is true when the call fails with ECANCELED. All calls except close are [point]s.
 *
 * The calls are no cancellation points: pthread_cancel() acts only on those that wait inside libc (sem_wait and the
 * like). The wake signal (SIGURG) is removed from the masks of ppoll() and the like, and from the sets of sigwait() and
 * the like: no call can wait for it.
 */
#ifndef BOUGH_CALLS_H
#define BOUGH_CALLS_H

#include <bough/types.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct addrinfo;
struct aiocb;
struct epoll_event;
struct iovec;
struct mmsghdr;
struct open_how;
struct rusage;
struct sembuf;
struct timeval;

/* Where libcs differ in a namesake's types. */
#ifdef __GLIBC__
typedef unsigned long bough_ioctl_request;
typedef int bough_mmsg_flags;
#else
typedef int bough_ioctl_request;
typedef unsigned bough_mmsg_flags;
#endif

/*
 * Types that libc hides in strict ISO C and in old versions of POSIX (-std=c11, _POSIX_C_SOURCE=1). The functions are
 * declared all the same, with compatible types. A macro that libc defines with each type shows whether it is there.
 */
#ifdef SI_USER
typedef siginfo_t bough_siginfo;
#else
typedef struct bough_siginfo bough_siginfo;
#endif
#if !defined(__GLIBC__) || defined(__idtype_t_defined)
typedef idtype_t bough_idtype;
#else
typedef unsigned bough_idtype;
#endif
typedef unsigned bough_id; /* id_t */

/* ---- files and descriptors ---------------------------------------------------------------------- */

/* Open a file. Interrupted: no descriptor is open, no file was created. */
BOUGH_API int bough_open(const char *path, int flags, ...);
/* Open a file relative to a directory. Interrupted: no descriptor is open, no file was created. */
BOUGH_API int bough_openat(int dirfd, const char *path, int flags, ...);
/* Open a file, with rules for how its path is resolved. Interrupted: no descriptor is open, no file was created. */
BOUGH_API int bough_openat2(int dirfd, const char *path, struct open_how *how, size_t size);
/* Create a file, or empty one, and open it for writing. Interrupted: no file was created or emptied. */
BOUGH_API int bough_creat(const char *path, mode_t mode);
/* Close a descriptor. It is never interrupted and always closes; it does not fail with EINTR either. */
BOUGH_API int bough_close(int fd);
/* Close a descriptor. It is never interrupted and always closes; it does not fail with EINTR either. */
BOUGH_API int bough_posix_close(int fd, int flag);
/* Read from a descriptor. Interrupted: no byte was read. */
BOUGH_API ssize_t bough_read(int fd, void *buffer, size_t size);
/* Read from a descriptor into several buffers. Interrupted: no byte was read. */
BOUGH_API ssize_t bough_readv(int fd, const struct iovec *iov, int count);
/* Read at an offset. Interrupted: no byte was read. */
BOUGH_API ssize_t bough_pread(int fd, void *buffer, size_t size, off_t offset);
/* Read at an offset into several buffers. Interrupted: no byte was read. */
BOUGH_API ssize_t bough_preadv(int fd, const struct iovec *iov, int count, off_t offset);
/* Read at an offset into several buffers, with flags. Interrupted: no byte was read. */
BOUGH_API ssize_t bough_preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags);
/* Write to a descriptor. Interrupted: no byte was written; an interrupt in the middle of the write makes it return
 * the count. */
BOUGH_API ssize_t bough_write(int fd, const void *buffer, size_t size);
/* Write several buffers to a descriptor. Interrupted: no byte was written; an interrupt in the middle of the write
 * makes it return the count. */
BOUGH_API ssize_t bough_writev(int fd, const struct iovec *iov, int count);
/* Write at an offset. Interrupted: no byte was written. */
BOUGH_API ssize_t bough_pwrite(int fd, const void *buffer, size_t size, off_t offset);
/* Write several buffers at an offset. Interrupted: no byte was written. */
BOUGH_API ssize_t bough_pwritev(int fd, const struct iovec *iov, int count, off_t offset);
/* Write several buffers at an offset, with flags. Interrupted: no byte was written; an interrupt in the middle of
 * the write makes it return the count. */
BOUGH_API ssize_t bough_pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags);
/* Bring a file to its storage. Interrupted: the call was not started: once it has started, most filesystems cannot
 * be interrupted. */
BOUGH_API int bough_fsync(int fd);
/* Bring a file's data to its storage. Interrupted: the call was not started: once it has started, most filesystems
 * cannot be interrupted. */
BOUGH_API int bough_fdatasync(int fd);
/* Bring a mapping to its storage. Interrupted: the call was not started: once it has started, most filesystems
 * cannot be interrupted. */
BOUGH_API int bough_msync(void *address, size_t length, int flags);
/* Control a descriptor. Interrupted: no lock was taken. Only F_SETLKW and F_OFD_SETLKW are interruption points;
 * other commands never fail so. */
BOUGH_API int bough_fcntl(int fd, int command, ...);
/* Lock a part of a file. Interrupted: no lock was taken. Only F_LOCK is an interruption point; other commands never
 * fail so. */
BOUGH_API int bough_lockf(int fd, int command, off_t length);
/* Lock an open file. Interrupted: no lock was taken or changed. */
BOUGH_API int bough_flock(int fd, int operation);
/* Control a device. Interrupted: the driver reports that the request had no effect. Use it for requests that block. */
BOUGH_API int bough_ioctl(int fd, bough_ioctl_request request, ...);
/* Wait until a terminal has sent its output. Interrupted: the terminal continues to send the output. */
BOUGH_API int bough_tcdrain(int fd);

/* ---- moving data between descriptors ------------------------------------------------------------ */

/* Copy from a file to a descriptor. Interrupted: no byte was copied, the offset is untouched. */
BOUGH_API ssize_t bough_sendfile(int to, int from, off_t *offset, size_t size);
/* Move data to or from a pipe. Interrupted: no byte was moved. */
BOUGH_API ssize_t bough_splice(int from, off_t *from_offset, int to, off_t *to_offset, size_t size, unsigned flags);
/* Copy a pipe's content to another pipe. Interrupted: no byte was copied. */
BOUGH_API ssize_t bough_tee(int from, int to, size_t size, unsigned flags);
/* Map memory into a pipe. Interrupted: nothing was mapped into the pipe. */
BOUGH_API ssize_t bough_vmsplice(int fd, const struct iovec *iov, size_t count, unsigned flags);
/* Copy a part of a file to another. Interrupted: no byte was copied, the offsets are untouched. */
BOUGH_API ssize_t bough_copy_file_range(int from, off_t *from_offset, int to, off_t *to_offset, size_t size,
                                        unsigned flags);

/* ---- sockets ------------------------------------------------------------------------------------ */

/* Accept a connection. Interrupted: no connection was taken from the queue. */
BOUGH_API int bough_accept(int fd, struct sockaddr *address, socklen_t *length);
/* Accept a connection, with flags for its descriptor. Interrupted: no connection was taken from the queue. */
BOUGH_API int bough_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
/* Connect a socket. Interrupted: the kernel continues an interrupted connect that was waiting: call it again with
 * the same address to wait for its end, or close the socket. */
BOUGH_API int bough_connect(int fd, const struct sockaddr *address, socklen_t length);
/* Receive from a socket. Interrupted: no byte was received. */
BOUGH_API ssize_t bough_recv(int fd, void *buffer, size_t size, int flags);
/* Receive from a socket, with the sender's address. Interrupted: no byte was received. */
BOUGH_API ssize_t bough_recvfrom(int fd, void *buffer, size_t size, int flags, struct sockaddr *address,
                                 socklen_t *length);
/* Receive a message from a socket. Interrupted: no byte and no descriptor was received. */
BOUGH_API ssize_t bough_recvmsg(int fd, struct msghdr *message, int flags);
/* Receive several messages from a socket. Interrupted: no message was received; an interrupt after the first makes
 * the call return their count. */
BOUGH_API int bough_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, bough_mmsg_flags flags,
                             struct timespec *timeout);
/* Send on a socket. Interrupted: no byte was sent; an interrupt in the middle of the call makes it return the count. */
BOUGH_API ssize_t bough_send(int fd, const void *buffer, size_t size, int flags);
/* Send on a socket to an address. Interrupted: no byte was sent; an interrupt in the middle of the call makes it
 * return the count. */
BOUGH_API ssize_t bough_sendto(int fd, const void *buffer, size_t size, int flags, const struct sockaddr *address,
                               socklen_t length);
/* Send a message on a socket. Interrupted: no byte and no descriptor was sent; an interrupt in the middle of the
 * call makes it return the count. */
BOUGH_API ssize_t bough_sendmsg(int fd, const struct msghdr *message, int flags);
/* Send several messages on a socket. Interrupted: no message was sent; an interrupt after the first makes the call
 * return their count. */
BOUGH_API int bough_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, bough_mmsg_flags flags);

/* ---- waiting for descriptors -------------------------------------------------------------------- */

/* Wait for events on descriptors. Interrupted: no event has been reported. */
BOUGH_API int bough_poll(struct pollfd *fds, nfds_t count, int timeout);
/* Wait for events on descriptors, under a signal mask. Interrupted: no event has been reported. */
BOUGH_API int bough_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask);
/* Wait for descriptors to become ready. Interrupted: the sets and the timeout are untouched. */
BOUGH_API int bough_select(int count, fd_set *readable, fd_set *writable, fd_set *exceptional, struct timeval *timeout);
/* Wait for descriptors to become ready, under a signal mask. Interrupted: the sets are untouched. */
BOUGH_API int bough_pselect(int count, fd_set *readable, fd_set *writable, fd_set *exceptional,
                            const struct timespec *timeout, const sigset_t *mask);
/* Wait for events of an epoll instance. Interrupted: no event was taken. */
BOUGH_API int bough_epoll_wait(int fd, struct epoll_event *events, int count, int timeout);
/* Wait for events of an epoll instance, under a signal mask. Interrupted: no event was taken. */
BOUGH_API int bough_epoll_pwait(int fd, struct epoll_event *events, int count, int timeout, const sigset_t *mask);
/* Wait for events of an epoll instance, to the nanosecond, under a signal mask. Interrupted: no event was taken. */
BOUGH_API int bough_epoll_pwait2(int fd, struct epoll_event *events, int count, const struct timespec *timeout,
                                 const sigset_t *mask);
/* Submit to an io_uring and wait for completions. Interrupted: nothing was submitted; an interrupt after the
 * submission makes the call return the count. Operations submitted before continue in the kernel. */
BOUGH_API int bough_io_uring_enter(unsigned fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                                   sigset_t *mask);

/* ---- time --------------------------------------------------------------------------------------- */

/* Sleep. Interrupted: *left, if given, is the remaining time. */
BOUGH_API int bough_nanosleep(const struct timespec *time, struct timespec *left);
/* Sleep by a clock. Interrupted: *left, if given and without TIMER_ABSTIME, is the remaining time. */
BOUGH_API int bough_clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *left);
/* Sleep for seconds. Interrupted (errno is ECANCELED): the remaining seconds are returned, rounded up; errno
 * distinguishes an interrupt from a signal. */
BOUGH_API unsigned bough_sleep(unsigned seconds);
/* Sleep for microseconds. Interrupted: the sleep ended early. */
BOUGH_API int bough_usleep(unsigned microseconds);
/* Sleep. Interrupted (-2, errno is ECANCELED): *left, if given, is the remaining time. */
BOUGH_API int bough_thrd_sleep(const struct timespec *time, struct timespec *left);

/* ---- signals ------------------------------------------------------------------------------------ */

/* Wait for a signal handler to run. Interrupted: the interrupt ended the wait. EINTR means success: a handler of the
 * program has run. If a handler runs at the moment of the interrupt, the result is ECANCELED. */
BOUGH_API int bough_pause(void);
/* Wait for a signal handler to run, under a signal mask. Interrupted: the interrupt ended the wait. EINTR means
 * success: a handler of the program has run. If a handler runs at the moment of the interrupt, the result is
 * ECANCELED. */
BOUGH_API int bough_sigsuspend(const sigset_t *mask);
/* Take a pending signal. Interrupted: no signal was taken. The set is used without the wake signal. */
BOUGH_API int bough_sigwait(const sigset_t *set, int *signo);
/* Take a pending signal and what is known about it. Interrupted: no signal was taken. The set is used without the
 * wake signal. */
BOUGH_API int bough_sigwaitinfo(const sigset_t *set, bough_siginfo *info);
/* Take a pending signal, with a timeout. Interrupted: no signal was taken. The set is used without the wake signal. */
BOUGH_API int bough_sigtimedwait(const sigset_t *set, bough_siginfo *info, const struct timespec *timeout);

/* ---- processes ---------------------------------------------------------------------------------- */

/* Wait for a child process. Interrupted: no child was reaped. */
BOUGH_API pid_t bough_wait(int *status);
/* Wait for a child process. Interrupted: no child was reaped. */
BOUGH_API pid_t bough_waitpid(pid_t pid, int *status, int options);
/* Wait for a child process to change its state. Interrupted: no child was reaped. */
BOUGH_API int bough_waitid(bough_idtype type, bough_id id, bough_siginfo *info, int options);
/* Wait for a child process and what it used. Interrupted: no child was reaped. */
BOUGH_API pid_t bough_wait3(int *status, int options, struct rusage *usage);
/* Wait for a child process and what it used. Interrupted: no child was reaped. */
BOUGH_API pid_t bough_wait4(pid_t pid, int *status, int options, struct rusage *usage);

/* ---- Message queues and System V IPC ------------------------------------------------------------ */

/* Receive from a message queue. Interrupted: no message was taken. */
BOUGH_API ssize_t bough_mq_receive(mqd_t queue, char *message, size_t size, unsigned *priority);
/* Receive from a message queue, with a deadline. Interrupted: no message was taken. */
BOUGH_API ssize_t bough_mq_timedreceive(mqd_t queue, char *message, size_t size, unsigned *priority,
                                        const struct timespec *deadline);
/* Send to a message queue. Interrupted: nothing was sent. */
BOUGH_API int bough_mq_send(mqd_t queue, const char *message, size_t size, unsigned priority);
/* Send to a message queue, with a deadline. Interrupted: nothing was sent. */
BOUGH_API int bough_mq_timedsend(mqd_t queue, const char *message, size_t size, unsigned priority,
                                 const struct timespec *deadline);
/* Receive from a System V message queue. Interrupted: no message was taken. */
BOUGH_API ssize_t bough_msgrcv(int queue, void *message, size_t size, long type, int flags);
/* Send to a System V message queue. Interrupted: nothing was sent. */
BOUGH_API int bough_msgsnd(int queue, const void *message, size_t size, int flags);
/* Change System V semaphores. Interrupted: no semaphore was changed. */
BOUGH_API int bough_semop(int set, struct sembuf *operations, size_t count);
/* Change System V semaphores, with a timeout. Interrupted: no semaphore was changed. */
BOUGH_API int bough_semtimedop(int set, struct sembuf *operations, size_t count, const struct timespec *timeout);

/* ---- threads, conditions, semaphores, asynchronous input and output ----------------------------- */

/* Wait for a thread to end. Interrupted: the thread is not joined, and can be joined later. */
BOUGH_API int bough_pthread_join(pthread_t thread, void **result);
/* Wait for a condition. Interrupted: no wake-up was consumed, and the mutex is held again. EOWNERDEAD wins: the
 * mutex is held then, too. */
BOUGH_API int bough_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
/* Wait for a condition, with a deadline. Interrupted: no wake-up was consumed, and the mutex is held again.
 * EOWNERDEAD wins: the mutex is held then, too. */
BOUGH_API int bough_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                                           const struct timespec *deadline);
/* Wait for a condition, with a deadline by a clock. Interrupted: no wake-up was consumed, and the mutex is held
 * again. EOWNERDEAD wins: the mutex is held then, too. */
BOUGH_API int bough_pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock,
                                           const struct timespec *deadline);
/* Wait for a thread to end. Interrupted (thrd_error, errno is ECANCELED): the thread is not joined, and can be
 * joined later. */
BOUGH_API int bough_thrd_join(thrd_t thread, int *result);
/* Wait for a condition. Interrupted (thrd_error, errno is ECANCELED): no wake-up was consumed, and the mutex is held
 * again. */
BOUGH_API int bough_cnd_wait(cnd_t *cond, mtx_t *mutex);
/* Wait for a condition, with a deadline. Interrupted (thrd_error, errno is ECANCELED): no wake-up was consumed, and
 * the mutex is held again. */
BOUGH_API int bough_cnd_timedwait(cnd_t *cond, mtx_t *mutex, const struct timespec *deadline);
/* Take from a semaphore. Interrupted: no token was taken. */
BOUGH_API int bough_sem_wait(sem_t *semaphore);
/* Take from a semaphore, with a deadline. Interrupted: no token was taken. */
BOUGH_API int bough_sem_timedwait(sem_t *semaphore, const struct timespec *deadline);
/* Take from a semaphore, with a deadline by a clock. Interrupted: no token was taken. */
BOUGH_API int bough_sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *deadline);
/* Wait for asynchronous input or output. Interrupted: no operation is complete; the operations continue. */
BOUGH_API int bough_aio_suspend(const struct aiocb *const list[], int count, const struct timespec *timeout);

/* ---- names and random bytes --------------------------------------------------------------------- */

/* Look up a name's addresses. Interrupted (EAI_SYSTEM, errno is ECANCELED): there is no result. The look-up
 * continues in a thread of the library, which frees its result. */
BOUGH_API int bough_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                                struct addrinfo **result);
/* Look up an address's name. Interrupted (EAI_SYSTEM, errno is ECANCELED): there is no result. The look-up continues
 * in a thread of the library, which frees its result. */
BOUGH_API int bough_getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_size,
                                char *service, socklen_t service_size, int flags);
/* Get random bytes. Interrupted: the buffer is untouched. */
BOUGH_API ssize_t bough_getrandom(void *buffer, size_t size, unsigned flags);

#ifdef __cplusplus
}
#endif
#endif

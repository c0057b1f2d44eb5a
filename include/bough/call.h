/* SPDX-License-Identifier: MIT */
/*
 * Interruptible blocking calls.
 *
 * bough_NAME() is a drop-in for NAME(): same arguments, same result, same errno, and one more failure. ECANCELED
 * means that an interrupt is due and that the call has had no effect: no byte is read or written, no descriptor
 * opened, no child reaped. A call that has had an effect returns it, and the interrupt waits for the next
 * interruption point (rules 3, 8, 9, 10). The list is in <bough/calls.h>; each has a manual page.
 *
 * A thread that bough does not know is adopted by its first call. Any number of threads may use these calls. The
 * program's signal handlers may interrupt them, and may themselves call those that are async-signal-safe under their
 * POSIX name.
 */
#ifndef BOUGH_CALL_H
#define BOUGH_CALL_H

#include <sys/socket.h>
#include <bough/types.h>
#include <bough/calls.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Any system call by number, interruptibly, for system calls without a drop-in. As syscall(2), it returns -1 with
 * errno. Use it only for calls that have had no effect when they return EINTR. [point] [rule 11] */
#define bough_syscall(...) BOUGH_SYSCALL_(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define BOUGH_SYSCALL_(nr, a, b, c, d, e, f, ...) \
    bough_syscall6((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
BOUGH_API long bough_syscall6(long number, long a, long b, long c, long d, long e, long f);

/* ---- common combinations of calls ----------------------------------------------------------- */

/*
 * Read `size` bytes, or until end of file. *done (may be NULL) is set to the number of bytes in the buffer, also on
 * failure. Returns 0 (*done < size: end of file); -1 with read's errno, ECANCELED, or ETIMEDOUT when `deadline` (0:
 * none) passes. [point] [rules 9 and 11]
 */
BOUGH_API int bough_read_full(int fd, void *buffer, size_t size, size_t *done, bough_time deadline);

/* Write all `size` bytes; *done is set to the number of bytes written, also on failure. Returns 0; -1 with write's
 * errno, ECANCELED, ETIMEDOUT. SIGPIPE is left to the caller, as with write. [point] [rules 9 and 11] */
BOUGH_API int bough_write_all(int fd, const void *buffer, size_t size, size_t *done, bough_time deadline);

/*
 * Connect with a deadline. Works on blocking and O_NONBLOCK sockets and leaves the mode as it was. Returns 0; -1 with
 * connect's errno, ETIMEDOUT or ECANCELED. After ETIMEDOUT and ECANCELED the attempt continues in the kernel: close the
 * socket, it can't be used for another attempt (rule 9). [point] [rules 9 and 11]
 */
BOUGH_API int bough_connect_deadline(int fd, const struct sockaddr *address, socklen_t length, bough_time deadline);

/* Wait on a futex word of the program while *word == expected, at most until `deadline` (0: none). Returns 0 (woken,
 * perhaps spuriously); -1 with EAGAIN (another value), ETIMEDOUT, EINTR, ECANCELED. [point] [rule 11] */
BOUGH_API int bough_futex_wait(const uint32_t *word, uint32_t expected, bough_time deadline);

#ifdef __cplusplus
}
#endif
#endif

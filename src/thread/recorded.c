/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "thread/recorded.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include "arch/frame.h"
#include "state/safe_read.h"

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* How much of the stack above the calling function is certainly mapped: the frames of the functions around it. */
enum { STACK = 1024 };

/* Many arguments are variables of calling functions. Other memory may not be mapped, and is read by a system call. */
static bool read_memory(void *to, uintptr_t from, size_t size)
{
    uintptr_t frame = BO_FRAME();
    if (from < frame || from - frame > STACK - size)
        return from && bo_peek(to, from, size) == size;
    memcpy(to, (const void *)from, size);
    return true;
}

/* ---- times ------------------------------------------------------------------------------------------------------- */

/* A timeout in ms, rounded up, + 1, in the upper half. */
static uint64_t timeout_of_ns(uint64_t ns)
{
    uint64_t ms = ns / 1000000 + (ns % 1000000 != 0);
    return (ms < UINT32_MAX - 1 ? ms + 1 : UINT32_MAX) << 32;
}

static uint64_t timeout_of_ms(long ms)
{
    return ms < 0 ? 0 : (uint64_t)((uint32_t)ms + 1) << 32;
}

static uint64_t ns_of_time(const struct timespec *time)
{
    const int64_t most = INT64_MAX / 1000000000 - 1;
    return time->tv_sec < 0
               ? 0
               : (uint64_t)(time->tv_sec < most ? time->tv_sec : most) * 1000000000 + (uint64_t)time->tv_nsec;
}

static uint64_t timeout_at(long at)
{
    struct timespec time;
    return at && read_memory(&time, (uintptr_t)at, sizeof time) ? timeout_of_ns(ns_of_time(&time)) : 0;
}

static void set(struct bo_recorded *r, enum bo_trace_argument_kind kind, uint64_t value)
{
    r->argument.kind = kind;
    r->argument.value = value;
}

/* The duration of a sleep. If the call has a time on a clock, the duration from now until that time. */
static void set_sleep(struct bo_recorded *r, long clock, long flags, long at)
{
    struct timespec time, now;
    if (!read_memory(&time, (uintptr_t)at, sizeof time))
        return;
    uint64_t ns = ns_of_time(&time), from = 0;
    if (flags & TIMER_ABSTIME)
        from = clock_gettime((clockid_t)clock, &now) == 0 ? ns_of_time(&now) : ns;
    set(r, BO_TRACE_TIME, ns > from ? ns - from : 0);
}

/* ---- descriptors ------------------------------------------------------------------------------------------------- */

static void set_fd(struct bo_recorded *r, long fd, uint64_t timeout)
{
    set(r, BO_TRACE_FD, timeout | (uint32_t)fd);
}

/* A single descriptor is shown; of several descriptors, their number. */
static void set_polled(struct bo_recorded *r, long fds, long count, long timeout)
{
    struct pollfd one;
    if (count == 1 && read_memory(&one, (uintptr_t)fds, sizeof one))
        set_fd(r, one.fd, timeout_at(timeout));
    else
        set(r, BO_TRACE_COUNT, timeout_at(timeout) | (uint32_t)count);
}

static void set_socket(struct bo_recorded *r, long fd, long address, unsigned long length)
{
    set_fd(r, fd, 0);
    if (length > sizeof r->text)
        length = sizeof r->text;
    if (!address || length < sizeof(sa_family_t) || !read_memory(r->text, (uintptr_t)address, length))
        return;
    set(r, BO_TRACE_SOCKET, (uint32_t)fd);
    r->argument.length = (unsigned)length;
}

static void set_message(struct bo_recorded *r, long fd, long message)
{
    struct msghdr m;
    if (read_memory(&m, (uintptr_t)message, sizeof m))
        set_socket(r, fd, (long)m.msg_name, m.msg_namelen);
    else
        set_fd(r, fd, 0);
}

/* ---- paths ------------------------------------------------------------------------------------------------------- */

/* Appends to a path, of which only the last bytes are kept. */
static void add_to_path(struct bo_recorded *r, const char *text, size_t length, bool *is_cut)
{
    size_t most = sizeof r->text - strlen(BO_TRACE_CUT), used = r->argument.length;
    if (used + length > most) {
        size_t kept = length < most ? most - length : 0;
        *is_cut = true;
        memmove(r->text, r->text + used - kept, kept);
        text += length - (most - kept);
        length = most - kept;
        used = kept;
    }
    memcpy(r->text + used, text, length);
    r->argument.length = (unsigned)(used + length);
}

static void mark_cut(struct bo_recorded *r)
{
    memmove(r->text + strlen(BO_TRACE_CUT), r->text, r->argument.length);
    memcpy(r->text, BO_TRACE_CUT, strlen(BO_TRACE_CUT));
    r->argument.length += (unsigned)strlen(BO_TRACE_CUT);
}

static void set_path(struct bo_recorded *r, long folder, long path)
{
    enum { PIECE = 128, LONGEST = 4096 };
    char piece[PIECE];
    bool is_cut = false;
    size_t readable, length;
    uintptr_t at = (uintptr_t)path;
    do {
        readable = at ? bo_peek(piece, at, PIECE) : 0;
        length = strnlen(piece, readable);
        add_to_path(r, piece, length, &is_cut);
        at += length;
    } while (length == PIECE && at - (uintptr_t)path < LONGEST);
    if (!r->argument.length)
        return;
    if (is_cut)
        mark_cut(r);
    set(r, BO_TRACE_PATH, (uint32_t)folder);
}

/* ---- others ------------------------------------------------------------------------------------------------------ */

static void set_waitid(struct bo_recorded *r, long type, long id)
{
    if (type == P_PID || type == P_ALL)
        set(r, BO_TRACE_CHILD, (uint64_t)(int64_t)(type == P_ALL ? -1 : (int)id));
    else if (type == P_PGID)
        set(r, BO_TRACE_CHILD, (uint64_t) - (int64_t)(int)id);
    else
        set_fd(r, id, 0);
}

static void set_signals(struct bo_recorded *r, long mask)
{
    uint64_t signals;
    if (read_memory(&signals, (uintptr_t)mask, sizeof signals))
        set(r, BO_TRACE_SIGNALS, signals);
}

/* The kernel's number for a thread's processor-time clock contains the thread's id. */
static uint64_t id_of(pthread_t thread)
{
    clockid_t clock;
    return pthread_getcpuclockid(thread, &clock) == 0 ? (uint64_t)(uint32_t) ~(clock >> 3) : 0;
}

/* ---- the calls -----------------------------------------------------------------------------------------------------
 * */

/* Most blocking calls have the descriptor as their first argument; the cases are the other calls. bough_syscall() may
 * make any call: nothing is recorded for numbers that the library does not use itself. */
static void find_argument(struct bo_recorded *r, long nr, const long a[6])
{
    switch (nr) {
    case SYS_futex:
#ifdef SYS_futex_time64
    case SYS_futex_time64:
#endif
    case SYS_msync:
        set(r, BO_TRACE_ADDRESS, (uint64_t)a[0]);
        break;
    case SYS_ppoll:
        set_polled(r, a[0], a[1], a[2]);
        break;
    case SYS_pselect6:
        set(r, BO_TRACE_BELOW, timeout_at(a[4]) | (uint32_t)a[0]);
        break;
    case SYS_epoll_pwait:
        set_fd(r, a[0], timeout_of_ms((int)a[3]));
        break;
    case SYS_epoll_pwait2:
        set_fd(r, a[0], timeout_at(a[3]));
        break;
    case SYS_wait4:
        set(r, BO_TRACE_CHILD, (uint64_t)(int64_t)(int)a[0]);
        break;
    case SYS_waitid:
        set_waitid(r, a[0], a[1]);
        break;
    case SYS_msgrcv:
    case SYS_msgsnd:
    case SYS_semtimedop:
#ifdef SYS_semop
    case SYS_semop:
#endif
        set(r, BO_TRACE_ID, (uint64_t)a[0]);
        break;
    case SYS_clock_nanosleep:
        set_sleep(r, a[0], a[1], a[2]);
        break;
    case SYS_nanosleep:
        set_sleep(r, CLOCK_REALTIME, 0, a[0]);
        break;
    case SYS_rt_sigtimedwait:
        set_signals(r, a[0]);
        break;
    case SYS_openat:
    case SYS_openat2:
        set_path(r, a[0], a[1]);
        break;
#ifdef SYS_open
    case SYS_open:
#endif
    case SYS_truncate:
        set_path(r, AT_FDCWD, a[0]);
        break;
    case SYS_connect:
        set_socket(r, a[0], a[1], (unsigned long)a[2]);
        break;
    case SYS_sendto:
        set_socket(r, a[0], a[4], (unsigned long)a[5]);
        break;
    case SYS_sendmsg:
        set_message(r, a[0], a[1]);
        break;
    case SYS_mq_timedreceive:
    case SYS_mq_timedsend:
    case SYS_read:
    case SYS_readv:
    case SYS_pread64:
    case SYS_preadv:
    case SYS_preadv2:
    case SYS_write:
    case SYS_writev:
    case SYS_pwrite64:
    case SYS_pwritev:
    case SYS_pwritev2:
    case SYS_fsync:
    case SYS_fdatasync:
    case SYS_fcntl:
    case SYS_flock:
    case SYS_ioctl:
    case SYS_sendfile:
    case SYS_splice:
    case SYS_tee:
    case SYS_vmsplice:
    case SYS_copy_file_range:
#ifdef SYS_accept
    case SYS_accept:
#endif
    case SYS_accept4:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
    case SYS_sendmmsg:
#ifdef SYS_epoll_wait
    case SYS_epoll_wait:
#endif
    case SYS_io_uring_enter:
        set_fd(r, a[0], 0);
        break;
    default:
        break;
    }
}

static bool begin_argument(struct bo_recorded *r)
{
    r->argument = (struct bo_trace_argument){.kind = BO_TRACE_NOTHING, .text = r->text};
    return bo_tracing() && bo_trace_has_arguments();
}

void bo_record_argument(struct bo_recorded *r, long nr, const long a[6])
{
    if (begin_argument(r))
        find_argument(r, nr, a);
}

void bo_record_wait(struct bo_recorded *r, enum bo_trace_wait wait, uint64_t object)
{
    if (!begin_argument(r))
        return;
    if (wait == BO_TRACE_IN_JOIN)
        set(r, BO_TRACE_THREAD, id_of((pthread_t)object));
    else
        set(r, wait == BO_TRACE_IN_AIO ? BO_TRACE_COUNT : BO_TRACE_ADDRESS, object);
}

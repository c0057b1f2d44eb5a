/* SPDX-License-Identifier: MIT */
/*
 * The timer belongs to the kernel and sends SIGKILL: it needs no thread of this process, and no signal mask blocks it.
 * Process 1 of a pid namespace ignores that signal, as any other with the default action; there a dedicated thread ends
 * the process by exit_group.
 *
 * The kernel has no clock that stops with a process: a process that is stopped (SIGSTOP, a debugger) for longer than
 * the rest of its grace period is killed. The warden sets the timer again as soon as it detects that the process was
 * stopped.
 */
#define _GNU_SOURCE
#include "ladder/kill.h"
#include <bough/ladder.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/atomic.h"
#include "base/clock.h"
#include "base/futex.h"
#include "base/raw.h"
#include "inspect/dump.h"
#include "ladder/terminal.h"
#include "state/arena.h"
#include "state/library_threads.h"
#include "state/log.h"
#include "thread/adopt.h"

enum { KILLED = 128 + SIGKILL };
enum { UNMADE, BEING_MADE, MADE, BY_THREAD, NOT_POSSIBLE };

static _Atomic uint32_t timer_state;
static int kill_timer;
static _Atomic uint64_t armed;   /* the time of the kill, and a count of posters */
static _Atomic uint32_t armings; /* futex word for process 1's thread */

static char words_path[4096]; /* from the environment: opened when there is something to write */
static _Atomic int words_fd;  /* the descriptor + 1; 0: standard error */
static _Atomic uint32_t want_core;

/* ---- the time of the kill ---------------------------------------------------------------------------------------- */

/*
 * Time and count are in one word, so that the ticker does not cancel the time of a post that it has not seen: the time
 * in ms, 0 for never (40 bits), and a count of posters (24 bits). A poster increases the count also if it does not
 * change the time:
 *
 *      poster:  1. the record stands, with its cap        ticker:  1. load the count
 *               2. the ticker is to look at it                     2. look at those on its list: watched from now on
 *               3. count; the time, if it is earlier               3. the earliest cap of those watched: set it, if the
 *                                                                     count is the same
 *
 * If the ticker finds the same count, each poster that has increased it was on the ticker's list in time.
 */
enum { COUNT_BITS = 24 };
#define COUNT_MASK (((uint64_t)1 << COUNT_BITS) - 1)

static uint64_t armed_make(int64_t when, uint64_t count)
{
    uint64_t ms = ((uint64_t)when + BO_MS(1) - 1) / BO_MS(1);
    return ms << COUNT_BITS | (count & COUNT_MASK);
}

static int64_t time_of_kill(uint64_t a)
{
    return (int64_t)(a >> COUNT_BITS) * BO_MS(1);
}

uint64_t bo_kill_seen(void)
{
    return bo_load_seq(&armed);
}

/* ---- the timer ----------------------------------------------------------------------------------------------- */

static void *guard_main(void *unused)
{
    (void)unused;
    pthread_setname_np(pthread_self(), "bough-guard");
    bo_library_thread_begin();
    for (;;) {
        uint32_t seen = bo_load_seq(&armings);
        int64_t when = time_of_kill(bo_load_seq(&armed));
        if (when && bo_clock() >= when)
            bo_raw1(SYS_exit_group, KILLED);
        bo_futex_sleep(&armings, seen, when ? when : BO_FOREVER);
    }
    return NULL;
}

static bool start_guard(void)
{
    pthread_t thread;
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    bool started = pthread_create(&thread, NULL, guard_main, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return started && pthread_detach(thread) == 0;
}

static bool make_timer(void)
{
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGKILL;
    return bo_raw3(SYS_timer_create, CLOCK_MONOTONIC, (long)&event, (long)&kill_timer) == 0;
}

static void set_kernel_timer(int64_t when)
{
    struct itimerspec at = {.it_value = bo_timespec(when)};
    bo_add_seq(&armings, 1);
    if (bo_load_seq(&timer_state) == MADE)
        bo_raw4(SYS_timer_settime, kill_timer, TIMER_ABSTIME, (long)&at, 0);
    else
        bo_futex_wake(&armings, 1);
}

/* Two threads may set the timer in the wrong order, so each checks the time again. */
static void set_again(void)
{
    int64_t now;
    do
        set_kernel_timer(now = time_of_kill(bo_load_seq(&armed)));
    while (now != time_of_kill(bo_load_seq(&armed)));
}

/* Of several first callers only one creates the timer: a second timer could never be cancelled. */
void bo_kill_prepare(void)
{
    uint32_t state = UNMADE;
    if (bo_likely(bo_load_acquire(&timer_state) != UNMADE) || !bo_cas_seq(&timer_state, &state, BEING_MADE))
        return;
    uint32_t made = getpid() == 1 ? (start_guard() ? BY_THREAD : NOT_POSSIBLE) : make_timer() ? MADE : NOT_POSSIBLE;
    bo_store_seq(&timer_state, made);
    if (time_of_kill(bo_load_seq(&armed))) /* a post may have come before there was a timer to set */
        set_again();
    if (made == NOT_POSSIBLE)
        bo_report(
            "cannot create the watchdog timer (RLIMIT_SIGPENDING?): if all threads hang, bough-ticker alone ends the process");
}

void bo_kill_by(int64_t when)
{
    uint64_t now = bo_load_seq(&armed), next;
    int64_t before;
    do {
        before = time_of_kill(now);
        next = armed_make(before && before <= when ? before : when, now + 1);
    } while (!bo_cas_seq(&armed, &now, next));
    if (time_of_kill(next) != before)
        set_again();
}

bool bo_kill_set(int64_t when, uint64_t seen)
{
    uint64_t next = armed_make(when == BO_FOREVER ? 0 : when, seen);
    if (next == seen)
        return bo_load_seq(&armed) == seen;
    if (!bo_cas_seq(&armed, &seen, next))
        return false;
    set_again();
    return true;
}

/* A forked child does not inherit its parent's timers. */
void bo_kill_after_fork(void)
{
    bo_store_relaxed(&timer_state, UNMADE);
    bo_store_relaxed(&armed, 0);
}

/* ---- the last words ---------------------------------------------------------------------------------------------- */

/* A set-user-ID program, or one with more capabilities than its caller, must not write to files that the caller
 * names. */
static bool privileged(void)
{
    return getauxval(AT_SECURE) != 0;
}

/* Is the file owned by this user, so that another user can't redirect the output? Devices are exempt: a terminal or
 * /dev/null belongs to another user. */
static bool may_have_words(int fd)
{
    struct stat is;
    if (fstat(fd, &is) != 0)
        return false;
    if (!S_ISCHR(is.st_mode) && is.st_uid != geteuid())
        return errno = EPERM, false;
    if (S_ISREG(is.st_mode) && is.st_nlink > 1 && privileged())
        return errno = EMLINK, false;
    return true;
}

/* Opens the path, with %d replaced by the process id. */
static int open_words(const char *path)
{
    char name[4096];
    const char *id = strstr(path, "%d");
    int n = id ? snprintf(name, sizeof name, "%.*s%d%s", (int)(id - path), path, (int)getpid(), id + 2)
               : snprintf(name, sizeof name, "%s", path);
    if (n < 0 || (size_t)n >= sizeof name)
        return errno = ENAMETOOLONG, -1;
    int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (privileged() ? O_NOFOLLOW : 0);
    int fd = open(name, flags, 0600);
    if (fd < 0 || may_have_words(fd))
        return fd;
    int error = errno;
    close(fd);
    return errno = error, -1;
}

/* Moves the descriptor to a high number, out of the way of programs that choose descriptor numbers, as shells do. */
static int move_up(int fd)
{
    int up = fcntl(fd, F_DUPFD_CLOEXEC, 100);
    if (up < 0)
        return fd;
    close(fd);
    return up;
}

int bough_last_words(const char *path, int fd, unsigned flags)
{
    if ((flags & ~(unsigned)BOUGH_CORE) || (!path && fd < -1))
        return errno = EINVAL, -1;
    int opened = path ? open_words(path) : fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 100) : -1;
    if (opened < 0 && (path || fd >= 0))
        return -1;
    if (path)
        opened = move_up(opened);
    *words_path = '\0'; /* the program's setting overrides the environment's */
    int old = atomic_exchange(&words_fd, opened + 1);
    if (old > 0)
        close(old - 1);
    bo_store_seq(&want_core, flags & BOUGH_CORE);
    return 0;
}

__attribute__((constructor)) static void read_environment_kill(void)
{
    const char *path = secure_getenv("BOUGH_DUMP"), *core = secure_getenv("BOUGH_CORE");
    if (path && strlen(path) < sizeof words_path)
        strcpy(words_path, path);
    bo_store_relaxed(&want_core, core && *core && strcmp(core, "0") != 0);
}

/* If a file takes no more (a full disk, RLIMIT_FSIZE), all of the dump goes to standard error. EAGAIN: the time is
 * over. */
void bo_kill_dump(const char *why, int64_t until)
{
    const struct bo_dump_order order = {.flags = BO_DUMP_FATAL, .why = why, .until = until};
    int fd = atomic_load(&words_fd) - 1;
    if (fd < 0 && *words_path)
        fd = open_words(words_path);
    if (fd < 0 || (bo_dump_by(fd, &order) != 0 && errno != EAGAIN))
        bo_dump_by(STDERR_FILENO, &order);
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void abort_here(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t set;
    if (!privileged()) /* the core of a privileged program would belong to its caller */
        prctl(PR_SET_DUMPABLE, 1);
    sigaction(SIGABRT, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGABRT);
    bo_raise(SIGABRT);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* Ends with exit_group, because no signal kills process 1. */
void bo_kill_now(void)
{
    bo_terminals_put_back();
    if (bo_load_seq(&want_core))
        abort_here();
    bo_raw2(SYS_kill, getpid(), SIGKILL);
    for (;;)
        bo_raw1(SYS_exit_group, KILLED);
}

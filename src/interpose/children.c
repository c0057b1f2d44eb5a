/* SPDX-License-Identifier: MIT */
/*
 * Stand-ins for system() and pclose(), which wait for a child inside libc. They wait by bough's waitid(). If the wait
 * is interrupted, the child is killed and reaped, as glibc does for a thread that is cancelled there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bough/calls.h>
#include "base/futex.h"
#include "interpose/outcome.h"
#include "interpose/wrapper.h"
#include "thread/foreign.h"

/* Has the child ended, so that it can be reaped? */
static bool has_ended(pid_t pid)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | WNOHANG) == 0 && info.si_pid == pid;
}

/* Waits until the child can be reaped, or does not exist. False: the wait was interrupted, and the child was killed. */
static bool wait_for_child(struct bo_thread *t, pid_t pid)
{
    siginfo_t info;
    bool again = t != NULL;
    while (again) {
        bo_foreign_enter(t, BO_FOREIGN_CALL);
        again = bough_waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR;
        if (!bo_foreign_leave(t))
            continue;
        if (!has_ended(pid)) {
            kill(pid, SIGKILL);
            return false;
        }
        bo_foreign_ignore(t);
        again = false;
    }
    return true;
}

/* Makes the system call directly: in a program that bough is linked into, its calls of libc reach the stand-ins,
 * too. */
static int reap(pid_t pid)
{
    int status;
    while (syscall(SYS_wait4, pid, &status, 0, NULL) < 0)
        if (errno != EINTR)
            return -1;
    return status;
}

/* ---- system(), as POSIX defines it ----------------------------------------------------------------------- */

/* During a system() the process ignores SIGINT and SIGQUIT, which a terminal sends to its child too. All calls share
 * this state, also in threads that did not opt in: if each call restored the action that it had found, two overlapping
 * calls could leave the signals ignored. */
static struct bo_fork_lock children_lock;
static int children_running;
static const int ignored[] = {SIGINT, SIGQUIT};
enum { IGNORED = sizeof ignored / sizeof *ignored };
static struct sigaction ignored_before[IGNORED];

static void begin_to_ignore(sigset_t *restored)
{
    static const struct sigaction ignore = {.sa_handler = SIG_IGN};
    bo_fork_lock(&children_lock);
    if (children_running++ == 0)
        for (int i = 0; i < IGNORED; i++)
            sigaction(ignored[i], &ignore, &ignored_before[i]);
    sigemptyset(restored);
    for (int i = 0; i < IGNORED; i++)
        if (ignored_before[i].sa_handler != SIG_IGN)
            sigaddset(restored, ignored[i]);
    bo_fork_unlock(&children_lock);
}

static void end_to_ignore(void)
{
    bo_fork_lock(&children_lock);
    if (--children_running == 0)
        for (int i = 0; i < IGNORED; i++)
            sigaction(ignored[i], &ignored_before[i], NULL);
    bo_fork_unlock(&children_lock);
}

static void begin_fork(void)
{
    bo_fork_lock(&children_lock);
}

static void end_fork(void)
{
    bo_fork_unlock(&children_lock);
}

__attribute__((constructor)) static void keep_children_over_forks(void)
{
    pthread_atfork(begin_fork, end_fork, end_fork);
}

/* Returns an error number. */
static int spawn_shell(const char *command, const sigset_t *mask, const sigset_t *restored, pid_t *pid)
{
    const char *const arguments[] = {"sh", "-c", "--", command, NULL};
    posix_spawnattr_t how;
    int error = posix_spawnattr_init(&how);
    if (error != 0)
        return error;
    posix_spawnattr_setsigmask(&how, mask);
    posix_spawnattr_setsigdefault(&how, restored);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    error = posix_spawn(pid, "/bin/sh", NULL, &how, (char *const *)arguments, environ);
    posix_spawnattr_destroy(&how);
    return error;
}

static uintptr_t real_system;

static int stand_in_system(const char *command)
{
    struct bo_thread *t = bo_foreign_thread();
    const struct bo_site site = {"system", __builtin_return_address(0), BO_AT_ONCE, bo_on_nothing()};
    sigset_t child, mask, restored;
    pid_t pid;
    int status = 127 << 8; /* the status of a shell that could not be executed */
    bool cut = false;
    if (!command)
        return ((int (*)(const char *))real_system)(command);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    begin_to_ignore(&restored);
    pthread_sigmask(SIG_BLOCK, &child, &mask);
    int error = spawn_shell(command, &mask, &restored, &pid);
    if (error == 0) {
        cut = !wait_for_child(t, pid);
        status = reap(pid);
        error = status < 0 ? errno : 0;
    }
    end_to_ignore();
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    if (cut)
        return errno = bo_outcome_of(t, &site), -1;
    if (error != 0)
        errno = error;
    return status;
}

/* ---- pclose() --------------------------------------------------------------------------------------------- */

static uintptr_t real_pclose;

#ifdef __GLIBC__
/* glibc stores the child's id after the stream and its table of functions. If the value is not the id of a child, the
 * memory holds something else, and the result is 0. */
static pid_t child_of(FILE *stream)
{
    struct opened {
        FILE file;
        const void *functions;
        pid_t child;
    };
    pid_t pid = ((const struct opened *)stream)->child;
    siginfo_t info;
    return pid > 0 && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | WNOHANG) == 0 ? pid : 0;
}
#else
static pid_t child_of(FILE *stream)
{
    (void)stream;
    return 0;
}
#endif

/* The pipe has to be closed before the wait, and the stream after it. Meanwhile /dev/null is open on the descriptor. */
static bool close_pipe(FILE *stream)
{
    fflush(stream);
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (nothing < 0)
        return false;
    bool closed = dup3(nothing, fileno(stream), O_CLOEXEC) >= 0;
    close(nothing);
    return closed;
}

static int stand_in_pclose(FILE *stream)
{
    struct bo_thread *t = bo_foreign_thread();
    const struct bo_site site = {"pclose", __builtin_return_address(0), BO_AT_ONCE, bo_on_nothing()};
    pid_t pid = t ? child_of(stream) : 0;
    bool cut = pid > 0 && close_pipe(stream) && !wait_for_child(t, pid);
    int status = ((int (*)(FILE *))real_pclose)(stream); /* this reaps the child */
    return cut ? (errno = bo_outcome_of(t, &site), -1) : status;
}

const struct bo_wrapper bo_children_wrappers[] = {
    BO_STAND_IN(system, system),
    BO_STAND_IN(pclose, pclose),
    {0},
};

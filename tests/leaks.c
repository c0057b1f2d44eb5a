/* SPDX-License-Identifier: MIT */
/* The state that a test must leave unchanged: descriptors, threads, child processes, signals. */
#include "harness_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <time.h>

static int descriptors_expected;

void t_expect_descriptors(int count)
{
    descriptors_expected = count;
}

/* Calls back for each number in a /proc folder. */
static void each_number(const char *folder, void (*function)(void *, int), void *argument)
{
    DIR *directory = opendir(folder);
    if (!directory)
        return;
    struct dirent *entry;
    while ((entry = readdir(directory)))
        if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(directory))
            function(argument, atoi(entry->d_name));
    closedir(directory);
}

static void mark_descriptor(void *set, int fd)
{
    if (fd < T_DESCRIPTORS)
        ((unsigned char *)set)[fd / 8] |= (unsigned char)(1 << fd % 8);
}

static const char *const *threads_expected;

void t_expect_threads(const char *const names[])
{
    threads_expected = names;
}

static int may_stay(const char *name)
{
    for (const char *const *n = threads_expected; n && *n; n++)
        if (strcmp(name, *n) == 0)
            return 1;
    return strncmp(name, "bough", 5) == 0;
}

static int has(const unsigned char *set, int fd)
{
    return set[fd / 8] >> fd % 8 & 1;
}

static void add_thread(void *argument, int tid)
{
    struct t_state *state = argument;
    if (state->thread_count < T_THREADS)
        state->threads[state->thread_count++] = tid;
}

static void *nothing(void *argument)
{
    return argument;
}

/* ThreadSanitizer starts a thread when the program starts its first one. */
void t_settle(void)
{
    struct t_thread first;
    if (!T_TSAN)
        return;
    t_spawn(&first, nothing, NULL);
    t_join(&first);
}

void t_state_take(struct t_state *state)
{
    memset(state, 0, sizeof *state);
    each_number("/proc/self/fd", mark_descriptor, state->descriptors);
    each_number("/proc/self/task", add_thread, state);
    sigprocmask(SIG_BLOCK, NULL, &state->mask);
}

void t_read_task(pid_t pid, pid_t tid, const char *file, char *text, size_t size)
{
    char path[96];
    snprintf(path, sizeof path, "/proc/%d/task/%d/%s", (int)pid, (int)tid, file);
    text[0] = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t length = read(fd, text, size - 1);
    close(fd);
    if (length < 0)
        length = 0;
    if (length > 0 && text[length - 1] == '\n')
        length--;
    text[length] = 0;
}

static void describe_thread(void *argument, int tid)
{
    pid_t pid = *(pid_t *)argument;
    char name[64], call[200], where[64], stat[512];
    t_read_task(pid, tid, "comm", name, sizeof name);
    t_read_task(pid, tid, "syscall", call, sizeof call);
    t_read_task(pid, tid, "wchan", where, sizeof where);
    t_read_task(pid, tid, "stat", stat, sizeof stat);
    const char *state = strrchr(stat, ')');
    t_note("thread %d '%s': state %c, in %s, system call %s", tid, name, state ? state[2] : '?', where, call);
}

void t_describe_threads(pid_t pid)
{
    char folder[64];
    snprintf(folder, sizeof folder, "/proc/%d/task", (int)pid);
    each_number(folder, describe_thread, &pid);
}

/* ---- comparison of each kind ------------------------------------------------------------------------------------- */

/* The library's threads may stay: its ticker, and workers that are parked for the next branch. */
static int leaked_threads(const struct t_state *before, const struct t_state *now, int say)
{
    int count = 0;
    for (int i = 0; i < now->thread_count; i++) {
        int known = 0;
        for (int j = 0; j < before->thread_count; j++)
            known |= before->threads[j] == now->threads[i];
        char name[64];
        t_read_task(getpid(), now->threads[i], "comm", name, sizeof name);
        name[strcspn(name, "\n")] = '\0';
        if (known || !name[0] || may_stay(name))
            continue;
        count++;
        if (say) {
            pid_t pid = getpid();
            t_note("leaked thread:");
            describe_thread(&pid, now->threads[i]);
        }
    }
    return count;
}

static int leaked_descriptors(const struct t_state *before, const struct t_state *now, int say)
{
    int opened = 0, closed = 0;
    for (int fd = 0; fd < T_DESCRIPTORS; fd++) {
        int was = has(before->descriptors, fd), is = has(now->descriptors, fd);
        opened += is && !was;
        closed += was && !is;
        if (!say || was == is)
            continue;
        char path[64], target[256] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (is && readlink(path, target, sizeof target - 1) < 0)
            target[0] = 0;
        t_note(is ? "leaked descriptor %d: %s" : "descriptor %d was closed%s", fd, target);
    }
    return (opened > descriptors_expected ? opened - descriptors_expected : 0) + closed;
}

static int leaked_children(void)
{
    int status;
    pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid < 0)
        return 0;
    t_note(pid ? "leaked child process: %d has ended and was not waited for" : "leaked child process, which runs",
           (int)pid);
    return 1;
}

static int leaked_mask(const struct t_state *before, const struct t_state *now)
{
    int count = 0;
    for (int signo = 1; signo < 65; signo++) {
        int was = sigismember(&before->mask, signo) == 1, is = sigismember(&now->mask, signo) == 1;
        if (was == is)
            continue;
        count++;
        t_note("leaked signal mask: %d (%s) is %s now", signo, strsignal(signo), is ? "blocked" : "not blocked");
    }
    return count;
}

/* The wake signal: untouched, or with a handler that restarts calls and uses an alternate stack. */
static int wake_signal_spoilt(void)
{
    struct sigaction action;
    if (getenv("BOUGH_SIGNAL") || sigaction(SIGURG, NULL, &action) != 0)
        return 0;
    if (!(action.sa_flags & SA_SIGINFO) && action.sa_handler == SIG_DFL)
        return 0;
    int flags = SA_SIGINFO | SA_ONSTACK; /* SA_RESTART is set only if this machine has a window */
    if ((action.sa_flags & flags) == flags)
        return 0;
    t_note("the wake signal SIGURG is %s, flags %#x",
           !(action.sa_flags & SA_SIGINFO) && action.sa_handler == SIG_IGN ? "ignored" : "handled",
           (unsigned)action.sa_flags);
    return 1;
}

int t_state_compare(const struct t_state *before)
{
    static struct t_state now; /* large, and used by one thread at the end */
    /* A joined thread stays in /proc for a moment: the kernel removes its entry after it has reported its end. */
    int64_t begin = t_now();
    t_state_take(&now);
    while ((leaked_threads(before, &now, 0) || leaked_descriptors(before, &now, 0)) &&
           !t_is_over(begin, 2 * t_scale())) {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
        t_state_take(&now);
    }
    int count = leaked_children() + leaked_mask(before, &now) + wake_signal_spoilt();
    if (leaked_threads(before, &now, 0))
        count += leaked_threads(before, &now, 1);
    if (leaked_descriptors(before, &now, 0))
        count += leaked_descriptors(before, &now, 1);
    return count;
}

/* SPDX-License-Identifier: MIT */
/* exits HOW: a program that was not written for bough. It waits in a read() until that fails, and then ends in the way
 * HOW. It prints the statuses of its child processes. tests/preload.py runs it. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void by_exit(void)
{
    exit(3);
}

static void by__exit(void)
{
    _exit(3);
}

static void by__Exit(void)
{
    _Exit(3);
}

static void say_handler(void)
{
    printf("handler\n");
    fflush(stdout);
}

static void by_quick_exit(void)
{
    at_quick_exit(say_handler);
    quick_exit(3);
}

static void from_an_exit_handler(void)
{
    atexit(by__exit);
    exit(4);
}

/* ---- in another thread, for which main waits --------------------------------------------------------------------- */

static void *run_in_thread(void *argument)
{
    (*(void (**)(void))argument)();
    return NULL;
}

static void in_thread(void (*end)(void))
{
    pthread_t thread;
    pthread_create(&thread, NULL, run_in_thread, &end);
    pthread_join(thread, NULL);
}

static void by_exit_in_a_thread(void)
{
    in_thread(by_exit);
}

static void by__exit_in_a_thread(void)
{
    in_thread(by__exit);
}

static void by_quick_exit_in_a_thread(void)
{
    in_thread(by_quick_exit);
}

/* ---- in another process ------------------------------------------------------------------------------------------ */

/* Prints its exit status (-1: none) and the signal that has ended it (0: none). */
static void print_end_of(pid_t pid)
{
    int status = 0;
    waitpid(pid, &status, 0);
    printf("child %d %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    fflush(stdout);
    _exit(4);
}

static void in_child(void (*end)(void))
{
    pid_t pid = fork();
    if (pid == 0)
        end();
    print_end_of(pid);
}

static void by__exit_of_a_child(void)
{
    in_child(by__exit);
}

static void by_exit_of_a_child(void)
{
    in_child(by_exit);
}

static void by_quick_exit_of_a_child(void)
{
    in_child(by_quick_exit);
}

static void by__exit_of_a_vfork(void)
{
    pid_t pid = vfork(); // NOLINT(clang-analyzer-security.insecureAPI.vfork): vfork() is tested here
    if (pid == 0)
        _exit(3);
    print_end_of(pid);
}

/* Forks by the bare system call, which does not run the handlers of pthread_atfork(). */
static void by_exit_of_a_bare_fork(void)
{
    pid_t pid = _Fork();
    if (pid == 0)
        exit(3);
    print_end_of(pid);
}

/* The child process gets the signal. */
static void by__exit_of_a_child_that_was_signalled(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        raise(SIGTERM);
        _exit(3);
    }
    print_end_of(pid);
}

/* ---- behaviour that does not change ------------------------------------------------------------------------------ */

static void by_abort(void)
{
    abort();
}

static void by_exec(void)
{
    execl("/bin/sh", "sh", "-c", "exit 5", (char *)NULL);
}

static void by__exit_without_a_signal(void)
{
    _exit(3);
}

static void exit_in_handler(int signo)
{
    (void)signo;
    _exit(3);
}

static void by__exit_when_raised(void)
{
    raise(SIGTERM);
    _exit(3);
}

static void takes_it(void)
{
    signal(SIGTERM, exit_in_handler);
}

static void nothing(void)
{
}

static const struct {
    const char *name;
    void (*before)(void), (*end)(void);
} ways[] = {
#define WAY(name)            \
    {                        \
#name, nothing, name \
    }
    WAY(by_exit),
    WAY(by__exit),
    WAY(by__Exit),
    WAY(by_quick_exit),
    WAY(from_an_exit_handler),
    WAY(by_exit_in_a_thread),
    WAY(by__exit_in_a_thread),
    WAY(by_quick_exit_in_a_thread),
    WAY(by__exit_of_a_child),
    WAY(by_exit_of_a_child),
    WAY(by_quick_exit_of_a_child),
    WAY(by__exit_of_a_vfork),
    WAY(by_exit_of_a_bare_fork),
    WAY(by__exit_of_a_child_that_was_signalled),
    WAY(by_abort),
    WAY(by_exec),
    {"by__exit_without_a_signal", by__exit_without_a_signal, nothing},
    {"by__exit_when_raised", by__exit_when_raised, nothing},
    {"takes_it", takes_it, nothing},
};

int main(int count, char **arguments)
{
    int fds[2];
    char byte;
    for (size_t i = 0; count == 2 && i < sizeof ways / sizeof *ways; i++)
        if (strcmp(arguments[1], ways[i].name) == 0 && pipe(fds) == 0) {
            ways[i].before();
            while (read(fds[0], &byte, 1) >= 0)
                continue;
            ways[i].end();
        }
    return 99;
}

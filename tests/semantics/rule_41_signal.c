/* SPDX-License-Identifier: MIT */
/* Rule 41: a signal writes the tree. The signal's previous action follows on request, and is restored at the end. */
#include <signal.h>
#include <sys/wait.h>
#include "../inspect/dumps.h"

static _Atomic int before, elsewhere;
static int pipe_fds[2];

static void previous(int signo)
{
    before += signo == SIGUSR1;
}

static void *blocked(void *unused)
{
    char c;
    bough_adopt("the reader");
    elsewhere = t_tid();
    CHECK_EQ(read(pipe_fds[0], &c, 1), 1); /* restarted after the signal */
    return unused;
}

TEST(a_dump_by_a_signal)
{
    int fd = memory_file();
    CHECK_EQ(bough_dump_on_signal(SIGUSR1, fd, 0), 0);
    BOUGH_BRANCH(nest) {
        raise(SIGUSR1);
    }
    CHECK_EQ(bough_dump_on_signal_undo(SIGUSR1), 1);
    CHECK_EQ(bough_dump_on_signal_undo(SIGUSR1), 0);
    char *text = text_of(fd);
    CHECK(strstr(text, "the tree: "));
    CHECK(strstr(text, "branch nest"));
    CHECK(strstr(text, "==== end ===="));
    free(text);
}

TEST(of_the_thread_that_the_signal_reaches)
{
    struct t_thread thread;
    int fd = memory_file();
    CHECK_EQ(pipe(pipe_fds), 0);
    signal(SIGUSR1, previous);
    CHECK_EQ(bough_dump_on_signal(SIGUSR1, fd, BOUGH_DUMP_THREAD | BOUGH_DUMP_CHAIN), 0);
    t_spawn(&thread, blocked, NULL);
    t_until(elsewhere);
    t_until_blocked(elsewhere);
    pthread_kill(thread.handle, SIGUSR1);
    if (!T_TSAN) /* ThreadSanitizer delays the handler until read() has returned */
        t_until(before == 1);
    CHECK_EQ(write(pipe_fds[1], "", 1), 1);
    t_join(&thread);
    CHECK_EQ(before, 1);
    char *text = text_of(fd);
    CHECK(strstr(text, "the reader"));
    CHECK(!strstr(text, "the tree: "));
    CHECK(!strstr(text, "root"));
    free(text);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

TEST(the_action_from_before_comes_back)
{
    struct sigaction now;
    signal(SIGUSR1, previous);
    CHECK_EQ(bough_dump_on_signal(SIGUSR1, STDERR_FILENO, 0), 0);
    CHECK_EQ(bough_dump_on_signal(SIGUSR1, STDERR_FILENO, BOUGH_DUMP_THREAD), 0);
    CHECK_EQ(bough_dump_on_signal_undo(SIGUSR1), 1);
    raise(SIGUSR1);
    CHECK_EQ(before, 1);
    CHECK_EQ(bough_dump_on_signal(SIGUSR1, STDERR_FILENO, 0), 0);
    signal(SIGUSR1, SIG_IGN); /* the program has changed the action meanwhile, so it stays */
    CHECK_EQ(bough_dump_on_signal_undo(SIGUSR1), 1);
    CHECK_EQ(sigaction(SIGUSR1, NULL, &now), 0);
    CHECK(now.sa_handler == SIG_IGN);
}

TEST(the_default_action_follows)
{
    int fd = memory_file(), status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (bough_dump_on_signal(SIGUSR2, fd, BOUGH_DUMP_CHAIN) == 0)
            raise(SIGUSR2);
        _exit(1);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR2);
    char *text = text_of(fd);
    CHECK(strstr(text, "==== end ===="));
    free(text);
}

TEST(what_is_refused)
{
    static const int wrong[] = {0, -1, 65, 1000, SIGKILL, SIGSTOP, SIGSEGV, SIGABRT, SIGURG, 32};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        errno = 0;
        CHECK_EQ(bough_dump_on_signal(wrong[i], STDERR_FILENO, 0), -1);
        CHECK_EQ(errno, EINVAL);
        CHECK_EQ(bough_dump_on_signal_undo(wrong[i]), 0);
    }
    CHECK_EQ(bough_dump_on_signal(SIGUSR1, STDERR_FILENO, 4), -1);
    CHECK_EQ(errno, EINVAL);
    CHECK_EQ(bough_dump_on_signal(SIGUSR1, -1, 0), -1);
    CHECK_EQ(errno, EBADF);
}

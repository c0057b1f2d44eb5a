/* SPDX-License-Identifier: MIT */
/* Rule 32: a signal ends everything cleanly, and the exit status is the one that a shell expects. */
#include "program.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

/* ---- by each signal, by handler and by sigwait ------------------------------------------------------------------- */

struct way {
    int signo;
    unsigned flags;
};

static void stopped_by(void *argument)
{
    const struct way *way = argument;
    struct p_sender sender = {.to_itself = 0};
    struct bough_record record;
    CHECK_EQ(bough_signals(way->flags), 3);
    p_send_when_blocked(&sender, way->signo);
    p_until_stopped();
    CHECK_EQ(bough_reason(&record), 0);
    CHECK_EQ(record.kind, BOUGH_SIGNAL);
    CHECK_EQ(record.signo, way->signo);
    CHECK_EQ(record.count, 1);
    t_join(&sender.thread);
}

TEST(the_process_dies_of_each_signal)
{
    for (int i = 0; i < 3; i++)
        CHECK_KILLED(t_run_status(stopped_by, &(struct way){p_signals[i], 0}), p_signals[i]);
}

TEST(the_process_dies_of_each_signal_that_a_daemon_waits_for)
{
    for (int i = 0; i < 3; i++)
        CHECK_KILLED(t_run_status(stopped_by, &(struct way){p_signals[i], BOUGH_SIGNALS_WAIT}), p_signals[i]);
}

static void blocks_all_signals(void *signo)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    stopped_by(&(struct way){*(int *)signo, BOUGH_SIGNALS_WAIT});
}

TEST(a_daemon_that_blocks_all_signals_dies_of_the_signal)
{
    for (int i = 0; i < 3; i++)
        CHECK_KILLED(t_run_status(blocks_all_signals, (void *)(uintptr_t)&p_signals[i]), p_signals[i]);
}

static void exits_in_main(void *unused)
{
    (void)unused;
    bough_signals(0);
    raise(SIGTERM);
    p_until_stopped();
    exit(3);
}

TEST(exit_in_main_equals_a_return)
{
    CHECK_KILLED(t_run_status(exits_in_main, NULL), SIGTERM);
}

static void ignores_the_interrupt(void *unused)
{
    (void)unused;
    bough_signals(0);
    raise(SIGINT);
}

TEST(main_dies_of_the_signal_although_it_has_not_checked)
{
    CHECK_KILLED(t_run_status(ignores_the_interrupt, NULL), SIGINT);
}

/* Runs as process 1 of a container, where a default action has no effect. */
static void as_init(void *argument)
{
    int status = 0;
    if (unshare(CLONE_NEWPID) != 0)
        SKIP("no new pid namespace: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        CHECK_EQ(getpid(), 1);
        stopped_by(argument);
        exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EXITED(status, 128 + ((struct way *)argument)->signo);
}

TEST(process_1_exits_with_the_signals_status)
{
    CHECK_EXITED(t_run_status(as_init, &(struct way){SIGTERM, 0}), 0);
    CHECK_EXITED(t_run_status(as_init, &(struct way){SIGINT, BOUGH_SIGNALS_WAIT}), 0);
}

/* ---- the status in a shell and on a terminal --------------------------------------------------------------------- */

/* Programs that the shell runs: this program, with --here. */
TEST(bad_victim_int)
{
    stopped_by(&(struct way){SIGINT, 0});
    exit(0);
}

TEST(bad_victim_term)
{
    stopped_by(&(struct way){SIGTERM, BOUGH_SIGNALS_WAIT});
    exit(0);
}

static void shell(void *command)
{
    char self[400], text[600];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    CHECK(length > 0);
    self[length] = 0;
    snprintf(text, sizeof text, "'%s' --here %s; echo \"status $?\"", self, (const char *)command);
    prctl(PR_SET_DUMPABLE, 1);
    execl("/bin/sh", "sh", "-c", text, (char *)NULL);
    FAIL("no shell: %s", strerror(errno));
}

static void check_shell(const char *victim, const char *wanted)
{
    char text[2000];
    CHECK_EXITED(t_run_output(shell, (void *)(uintptr_t)victim, text, sizeof text), 0);
    if (strstr(text, "status 126"))
        SKIP("a shell can't run this program here");
    if (!strstr(text, wanted))
        FAIL("a shell sees not \"%s\" but \"%s\"", wanted, text);
}

TEST(a_shell_sees_130_and_143)
{
    check_shell("bad_victim_int", "status 130\n");
    check_shell("bad_victim_term", "status 143\n");
}

/* The terminal sends SIGINT to its foreground group, as when the key is pressed. */
static void on_terminal(const char *name, int flags)
{
    setsid();
    int terminal = open(name, O_RDWR);
    CHECK(terminal >= 0);
    CHECK_EQ(ioctl(terminal, TIOCSCTTY, 0), 0);
    CHECK_EQ(bough_signals((unsigned)flags), 3);
    CHECK_EQ(write(terminal, "ready", 5), 5);
    p_until_stopped();
    exit(0);
}

static int hit_ctrl_c(unsigned flags)
{
    char text[8] = "";
    int status, master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0)
        SKIP("no terminal: %s", strerror(errno));
    const char *name = ptsname(master);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        on_terminal(name, (int)flags);
    CHECK_EQ(read(master, text, 5), 5);
    CHECK_STR(text, "ready");
    CHECK_EQ(write(master, "\x03", 1), 1);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    close(master);
    return status;
}

TEST(ctrl_c_on_a_terminal_ends_the_program)
{
    CHECK_KILLED(hit_ctrl_c(0), SIGINT);
    CHECK_KILLED(hit_ctrl_c(BOUGH_SIGNALS_WAIT), SIGINT);
}

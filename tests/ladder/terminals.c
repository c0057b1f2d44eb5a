/* SPDX-License-Identifier: MIT */
/* Each end of the ladder, rungs 4, 5 and 6, restores a terminal in raw mode without echo. The test checks that from the
 * terminal's other side. */
#include <fcntl.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <termios.h>
#include "../semantics/climber.h"
#include "../signals/program.h"

/* ---- a terminal, and both sides of it ---------------------------------------------------------------------------- */

struct stage {
    int master, last_rung;
    bool background; /* the program is not in the terminal's foreground */
    char name[64];
};

static void set_up(struct stage *s)
{
    needs_threads_after_fork();
    s->master = posix_openpt(O_RDWR | O_NOCTTY);
    if (s->master < 0 || grantpt(s->master) != 0 || unlockpt(s->master) != 0)
        SKIP("no terminal: %s", strerror(errno));
    snprintf(s->name, sizeof s->name, "%s", ptsname(s->master));
}

/* The terminal's settings can be read from the other side too. */
static bool is_cooked(int fd)
{
    struct termios t;
    CHECK_EQ(tcgetattr(fd, &t), 0);
    tcflag_t both = t.c_lflag & (tcflag_t)(ECHO | ICANON);
    CHECK(both == 0 || both == (tcflag_t)(ECHO | ICANON));
    return both;
}

/* Works in the background as well. */
static void make_raw(int fd)
{
    struct termios t;
    CHECK_EQ(tcgetattr(fd, &t), 0);
    t.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
    signal(SIGTTOU, SIG_IGN);
    CHECK_EQ(tcsetattr(fd, TCSANOW, &t), 0);
    signal(SIGTTOU, SIG_DFL);
    CHECK(!is_cooked(fd));
}

/* ---- the program ------------------------------------------------------------------------------------------------- */

static int terminal;

/* Makes a new session, with this terminal. */
static void sit_down(const struct stage *s)
{
    setsid();
    terminal = open(s->name, O_RDWR);
    CHECK(terminal >= 0 && ioctl(terminal, TIOCSCTTY, 0) == 0);
}

/* Continues in a process of another group, whose parent ends with the same status, or with 99 if it was stopped. */
static void go_to_background(void)
{
    int status;
    pid_t pid = fork();
    if (pid) {
        CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
        if (WIFSTOPPED(status))
            kill(pid, SIGKILL);
        else if (WIFSIGNALED(status))
            raise(WTERMSIG(status));
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
    }
    CHECK_EQ(setpgid(0, 0), 0);
    CHECK(tcgetpgrp(terminal) != getpgrp());
}

static void never_returns(void)
{
    for (;;)
        pause();
}

/* At a point that the thread ignores it can be frozen; without a point only the whole process can be ended. */
static int edits(void *last_rung)
{
    CHECK(bough_closer_terminal(terminal));
    make_raw(terminal);
    for (;;)
        if (*(int *)last_rung == BOUGH_RUNG_CLOSE)
            bough_usleep(1000);
        else
            usleep(1000);
}

static void runs_out(void *argument)
{
    struct stage *s = argument;
    struct bough_ladder l = {.cap = BOUGH_SEC(600), .time = {0, STEP_NS, STEP_NS, STEP_NS, STEP_NS, STEP_NS, STEP_NS}};
    sit_down(s);
    if (s->background)
        go_to_background();
    l.time[s->last_rung] = BOUGH_SEC(10);
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &l), 0);
    bough_set_report(c_silent);
    if (s->last_rung == BOUGH_RUNG_KILL) {
        CHECK_EQ(bough_last_words("/dev/null", -1, 0), 0);
        atexit(never_returns);
    }
    BOUGH_BRANCH(b) {
        CHECK(bough_add(b, edits, bough_arg(&s->last_rung)));
        t_until(!is_cooked(terminal));
        bough_post_event(b, &(struct bough_event){.kind = BOUGH_OPERATOR, .reason = "enough"});
    }
    CHECK(is_cooked(terminal)); /* the thread's closer has restored the terminal, and the process continues */
    _exit(7);
}

static int run_out(int last_rung, bool background)
{
    struct stage s = {.last_rung = last_rung, .background = background};
    set_up(&s);
    CHECK(is_cooked(s.master));
    int status = t_run_status(runs_out, &s);
    CHECK(is_cooked(s.master));
    close(s.master);
    return status;
}

/* ---- the rungs --------------------------------------------------------------------------------------------------- */

TEST_LIMIT(the_closer_of_a_frozen_thread_restores_the_terminal, 60)
{
    CHECK_EXITED(run_out(BOUGH_RUNG_CLOSE, false), 7);
}

TEST_LIMIT(the_exit_restores_the_terminal, 60)
{
    CHECK_EXITED(run_out(BOUGH_RUNG_EXIT, false), BOUGH_EXIT_STATUS);
}

TEST_LIMIT(the_kill_restores_the_terminal, 60)
{
    CHECK_KILLED(run_out(BOUGH_RUNG_KILL, false), SIGKILL);
}

/* The library's threads block all signals. The program's threads do not. */
static void drops(void *stage)
{
    sit_down(stage);
    go_to_background();
    bough_closer *c = bough_closer_terminal(terminal);
    CHECK(c);
    make_raw(terminal);
    CHECK_EQ(bough_closer_drop(c, 1), 0);
    CHECK(is_cooked(terminal));
    _exit(7);
}

TEST(its_owner_restores_the_terminal_in_the_background)
{
    struct stage s = {0};
    set_up(&s);
    CHECK_EXITED(t_run_status(drops, &s), 7);
    close(s.master);
}

TEST_LIMIT(restoring_the_terminal_in_the_background_stops_no_process, 60)
{
    CHECK_EXITED(run_out(BOUGH_RUNG_CLOSE, true), 7);
    CHECK_EXITED(run_out(BOUGH_RUNG_EXIT, true), BOUGH_EXIT_STATUS);
    CHECK_KILLED(run_out(BOUGH_RUNG_KILL, true), SIGKILL);
}

/* ---- another terminal, or none ----------------------------------------------------------------------------------- */

/* The descriptor's number belongs to another terminal by now, which is not changed. */
TEST(another_terminal_of_the_same_number_is_left_alone)
{
    struct stage kept = {0}, other = {0};
    set_up(&kept);
    set_up(&other);
    int fd = open(kept.name, O_RDWR | O_NOCTTY), second = open(other.name, O_RDWR | O_NOCTTY);
    CHECK(fd >= 0 && second >= 0);
    bough_closer *first = bough_closer_terminal(fd), *gone = bough_closer_terminal(fd);
    CHECK(first && gone);
    make_raw(fd);
    make_raw(second);
    int spare = dup(fd);
    CHECK_EQ(dup2(second, fd), fd);
    CHECK_EQ(bough_closer_drop(first, 1), 0);
    CHECK(!is_cooked(second));
    CHECK(!is_cooked(spare));
    CHECK_EQ(dup2(spare, fd), fd);
    CHECK_EQ(bough_closer_drop(gone, 1), 0);
    CHECK(is_cooked(fd));
    close(spare);
    close(second);
    close(fd);
    close(kept.master);
    close(other.master);
}

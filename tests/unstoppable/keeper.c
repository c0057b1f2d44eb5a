/* SPDX-License-Identifier: MIT */
#include "keeper.h"
#include <time.h>

static int to_keeper[2], to_way[2];
static pid_t keeper;
static _Atomic pid_t sleeper;

pid_t keep(void)
{
    char answer[200] = "";
    MUST(pipe(to_keeper) == 0 && pipe(to_way) == 0);
    keeper = fork();
    if (keeper == 0) {
        setsid(); /* in the way's process group it would be killed with the way */
        outlives_the_watcher = true;
        signal(SIGPIPE, SIG_IGN);
        close(to_keeper[1]);
        close(to_way[0]);
        return 0;
    }
    close(to_keeper[0]);
    close(to_way[1]);
    if (read(to_way[0], answer, sizeof answer - 1) <= 0)
        skip("what is needed for this could not be set up");
    if (*answer)
        skip("%s", answer);
    return keeper;
}

/* A failure is ignored: the way may have ended. */
static void answer(const char *text)
{
    ssize_t heard = write(to_way[1], text, strlen(text) + 1);
    (void)heard;
}

void keeper_is_ready(void)
{
    answer("");
}

void keeper_skips(const char *what)
{
    char text[200];
    snprintf(text, sizeof text, "%s: %s", what, strerror(errno));
    answer(text);
    _exit(0);
}

void keeper_wait(void)
{
    char byte;
    ssize_t n;
    while ((n = read(to_keeper[0], &byte, 1)) < 0 && errno == EINTR)
        continue;
    if (n > 0)
        answer("");
}

void keeper_begin(void)
{
    char byte;
    MUST(write(to_keeper[1], "", 1) == 1);
    while (read(to_way[0], &byte, 1) < 0 && errno == EINTR)
        continue;
}

/* The keeper does not use the library, so it takes the times from the table. */
static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t keeper_end(void)
{
    const char *grace = getenv("BOUGH_GRACE");
    return now_ms() + (int64_t)((grace ? atof(grace) : 30) * 1500);
}

bool keeper_holds(int64_t end)
{
    return now_ms() < end;
}

int keeper_waits_at(void)
{
    return to_keeper[0];
}

void keeper_hold(void)
{
    for (int64_t end = keeper_end(); keeper_holds(end);)
        rest(10);
}

const char *keeper_path(const char *path)
{
    static char text[200];
    snprintf(text, sizeof text, "/proc/%d/root%s", (int)keeper, path);
    return text;
}

/* ---- a child that is asleep -------------------------------------------------------------------------------------- */

void about_to_sleep(void)
{
    sleeper = (pid_t)syscall(SYS_gettid);
}

static char state_of(pid_t tid)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof text - 1) < 0)
        text[0] = '\0';
    if (fd >= 0)
        close(fd);
    const char *state = strrchr(text, ')');
    return state && state[1] ? state[2] : 'R';
}

/* Waits until the child is asleep, and in the same state at a second check. */
void wait_until_asleep(const char *states)
{
    while (!sleeper)
        rest(1);
    for (int looks = 0; looks < 5; rest(2))
        looks = strchr(states, state_of(sleeper)) ? looks + 1 : 0;
}

void with_child_that_sleeps(bough_fn *child, const char *states)
{
    BOUGH_BRANCH(work) {
        MUST(bough_add(work, child, bough_arg(work)));
        wait_until_asleep(states);
        begin(work);
    }
}

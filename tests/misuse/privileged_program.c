/* SPDX-License-Identifier: MIT */
/*
 * A program that tests/misuse/privileged.c makes set-user-ID and runs as another user.
 *
 *   end         climbs the ladder to rung 6: its exit hangs
 *   settings    prints the grace in ms, the wake signal, and whether the tree can be seen
 *   words PATH  prints the errno of bough_last_words(PATH), 0 for success
 */
#include <bough.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void hang(void)
{
    for (;;)
        pause();
}

static void end(void)
{
    /* for the dump: the process ends when it is written */
    const int64_t soon = BOUGH_MS(50), long_enough = BOUGH_SEC(20);
    struct bough_ladder l = {.cap = BOUGH_SEC(600), .time = {0, soon, soon, soon, soon, soon, long_enough}};
    struct bough_event event = {.kind = BOUGH_OPERATOR, .reason = "the end"};
    bough_ladder_set(BOUGH_ROOT, &l);
    atexit(hang);
    bough_post_event((bough_target)bough_root(), &event);
    hang();
}

/* The signal, of the two candidates, for which the kernel has a handler. A sanitizer handles other signals, and its
 * sigaction() returns only handlers that were set by it. */
static int wake_signal(void)
{
    static const int could_be[] = {SIGUSR2, SIGURG};
    static const char by_default[64];
    char action[64] = "";
    bough_self();
    for (int i = 0; i < 2; i++)
        if (syscall(SYS_rt_sigaction, could_be[i], NULL, action, sizeof(uint64_t)) == 0 &&
            memcmp(action, by_default, sizeof action) != 0)
            return could_be[i];
    return 0;
}

static void settings(void)
{
    struct bough_ladder l;
    char line[512];
    int seen = 0, signo = wake_signal();
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof line, maps))
        seen |= strstr(line, "/memfd:bough") != NULL;
    bough_ladder_get(NULL, &l);
    printf("%lld %d %d\n", (long long)(l.grace / BOUGH_MS(1)), signo, seen);
}

int main(int count, char **arguments)
{
    if (count < 2)
        return 2;
    if (strcmp(arguments[1], "end") == 0)
        end();
    else if (strcmp(arguments[1], "settings") == 0)
        settings();
    else if (count > 2)
        printf("%d\n", bough_last_words(arguments[2], -1, BOUGH_CORE) == 0 ? 0 : errno);
    return 0;
}

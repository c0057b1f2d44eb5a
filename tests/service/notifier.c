/* SPDX-License-Identifier: MIT */
/*
 * A program under a service manager, which service.py examines. Each argument is a step:
 *   ready, feed, interval   calls one of bough's functions, and prints its result and errno
 *   fork                    the child process executes the steps that follow
 *   in-handler              as `ready`, in a signal handler
 *   serve                   works until it is interrupted, and feeds the watchdog meanwhile
 *   forget                  works until it is interrupted, and does not feed the watchdog
 *   deaf                    ignores SIGTERM; the ladder ends the process
 *   linger                  ends by SIGTERM, after a cleanup that takes twice the watchdog's interval
 */
#include <bough.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *what, long long result)
{
    printf("%s %lld %d\n", what, result, result < 0 ? errno : 0);
    fflush(stdout);
}

static int result_in_handler;

static void on_signal(int signo)
{
    (void)signo;
    result_in_handler = bough_notify_ready();
}

static void in_handler(void)
{
    signal(SIGUSR1, on_signal);
    raise(SIGUSR1);
    say("in-handler", result_in_handler);
}

static void serve(bool feeds)
{
    bough_signals(0);
    for (say("serves", 0); bough_usleep(10000) == 0;)
        if (feeds)
            bough_watchdog_feed();
}

static void linger(void)
{
    serve(true);
    int64_t interval = bough_watchdog_interval();
    BOUGH_CLEANUP(10 * interval)
        bough_usleep((useconds_t)(2 * interval / 1000));
}

static void deaf(void)
{
    bough_signals(0);
    bough_adopt("main");
    for (say("deaf", 0);;)
        pause();
}

static void fork_here(void)
{
    pid_t child = fork();
    if (child > 0) {
        waitpid(child, NULL, 0);
        _exit(0);
    }
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "ready") == 0)
            say("ready", bough_notify_ready());
        else if (strcmp(argv[i], "feed") == 0)
            say("feed", bough_watchdog_feed());
        else if (strcmp(argv[i], "interval") == 0)
            say("interval", bough_watchdog_interval());
        else if (strcmp(argv[i], "in-handler") == 0)
            in_handler();
        else if (strcmp(argv[i], "fork") == 0)
            fork_here();
        else if (strcmp(argv[i], "serve") == 0)
            serve(true);
        else if (strcmp(argv[i], "forget") == 0)
            serve(false);
        else if (strcmp(argv[i], "linger") == 0)
            linger();
        else if (strcmp(argv[i], "deaf") == 0)
            deaf();
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* The ladder, as a demonstration: a server of four threads is asked to stop. One behaves, one is slow, one is in a
 * critical section, one hangs. Ctrl-C (again: it climbs faster), or `ladder --demo`, which stops itself. */
#include <arpa/inet.h>
#include <bough.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PLAIN = 0, GREEN = 32, YELLOW = 33, RED = 31 };
static const int colours[BOUGH_RUNGS] = {GREEN, PLAIN, YELLOW, YELLOW, RED, RED, RED};
static int on_a_terminal;

/* One line, with the time since the stop was asked for. */
static __attribute__((format(printf, 3, 4))) void say(bough_time since, int colour, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    double seconds = (double)(bough_now() - since) / 1e9;
    if (colour && on_a_terminal)
        printf("\033[%dm%4.1f s  %s\033[0m\n", colour, seconds, line);
    else
        printf("%4.1f s  %s\n", seconds, line);
}

/* When the stop was requested, from the calling thread's record. */
static bough_time asked(void)
{
    struct bough_record why;
    bough_self(); /* the exit's thread is not known yet */
    return bough_reason(&why) == 0 ? why.since : bough_now();
}

static void tell(const struct bough_transition *t, void *unused)
{
    static const char *const now[BOUGH_RUNGS] = {
        "it is over",
        "the flag is raised",
        "threads with a handler run it",
        "threads with a final handler run it",
        "the threads are frozen, and what they have open is closed",
        "the process exits",
        "the process writes its dump and kills itself",
    };
    const char *also = *t->place ? "; " : "", *what = t->to == t->from ? "and its time is over" : now[t->to];
    (void)unused;
    say(t->since, colours[t->to], "rung %d, %s: %s%s%s", t->to ? t->to : t->from, what, t->why, also, t->place);
}

static void be_silent(const char *line)
{
    (void)line; /* for a log; tell() already prints the same here */
}

static void close_accounts(void *unused)
{
    (void)unused;
    say(asked(), PLAIN, "the accounts are closed: a function for the exit, which does not need the threads");
}

/* Each point fails as soon as the flag is raised: it leaves, and that is all. */
static int behaves(void *listener)
{
    int conn;
    while ((conn = bough_accept(bough_fd_of(listener), NULL, NULL)) >= 0) {
        bough_write_all(conn, "hello\n", 6, NULL, 0);
        close(conn);
    }
    say(asked(), GREEN, "the flag is raised; `behaves` leaves its accept() and ends");
    return ECANCELED;
}

static int ask_for_time(struct bough_incident *incident, void *promised)
{
    *(int *)promised = 1;
    say(incident->record.since, PLAIN, "the handler of `slow` asks for half a second more");
    incident->resume_until = bough_after(BOUGH_MS(500));
    return BOUGH_RESUME;
}

/* It stops for nobody in the middle of its work. But it has a handler, and that one knows how long the work takes. */
static int slow(void *unused)
{
    int promised = 0;
    (void)unused;
    BOUGH_HANDLE(ask_for_time, &promised) {
        do
            usleep(20000);
        while (bough_check() == 0 || !promised);
    }
    say(asked(), GREEN, "`slow` has used it, and ends");
    return ECANCELED;
}

/* What must not be left in its middle: but not for longer than a second and a half. */
static int books(void *unused)
{
    (void)unused;
    BOUGH_CRITICAL(BOUGH_MS(1500)) {
        while (bough_usleep(20000) == 0)
            continue;
    }
    say(asked(), GREEN, "the budget of the critical section is used up: it protects no longer, `books` ends");
    return ECANCELED;
}

static int hangs(void *unused)
{
    (void)unused;
    for (;;)
        usleep(1000); /* no point of bough's, and no handler: it never hears of it */
    return 0;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int demo = argc > 1 && strcmp(argv[1], "--demo") == 0, listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, SOMAXCONN) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        return perror("ladder"), 1;
    on_a_terminal = isatty(STDOUT_FILENO);
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    bough_ladder_set(BOUGH_ROOT, &(struct bough_ladder){.grace = BOUGH_SEC(6)}); /* 30 s in earnest */
    bough_on_transition(tell, NULL);
    bough_set_report(be_silent);
    bough_exit_tier(0, close_accounts, NULL);
    bough_signals(0);
    BOUGH_BRANCH(server) {
        bough_add_with(server, behaves, bough_fd(listener), &(struct bough_child_options){.name = "behaves"});
        bough_add_with(server, slow, bough_arg(NULL), &(struct bough_child_options){.name = "slow"});
        bough_add_with(server, books, bough_arg(NULL), &(struct bough_child_options){.name = "books"});
        bough_add_with(server, hangs, bough_arg(NULL), &(struct bough_child_options){.name = "hangs"});
        printf("Port %d. Watch it: bough tree %d. Stop it: Ctrl-C.\n", ntohs(address.sin_port), (int)getpid());
        if (demo && bough_usleep(300000) == 0)
            kill(getpid(), SIGTERM);
    }
    return 0; /* not reached: `hangs` has no end */
}

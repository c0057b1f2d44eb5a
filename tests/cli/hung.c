/* SPDX-License-Identifier: MIT */
/* A program with a tree that hangs, which commands.py examines. It prints "ready", and hangs until it is killed. hung
 * odd: with names that are hard to show. hung headless: without its main thread. hung stranger: with a thread that
 * bough does not know. hung spoof, hung traced: with a name that looks like a line in the kernel's files. hung masked:
 * with all signals blocked. hung idle: with workers that wait for work. hung exists: ends at once. hung busy: beside
 * it, threads and branches come and go. hung many: with 10,000 threads. hung crowd, hung crowd masked: with 300
 * threads; with all signals blocked. hung replaced: executes another program at SIGUSR1. */
#include <bough.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static int pipe_ends[2], begun[2];

static int reads(void *unused)
{
    char byte;
    (void)unused;
    return bough_read(pipe_ends[0], &byte, 1) < 0 ? errno : 0;
}

static int has_a_child(void *unused)
{
    BOUGH_BRANCH(further)
        if (bough_add(further, reads, bough_arg(unused)) && write(begun[1], "", 1) != 1)
            return errno;
    return 0;
}

/* Ignores its interrupt. */
static int is_critical(void *unused)
{
    (void)unused;
    BOUGH_CRITICAL(BOUGH_SEC(1000)) {
        bough_interrupt(bough_self(), "say \"please\"\n");
        bough_interrupt(bough_self(), "again");
        write(begun[1], "", 1) == 1 ? pause() : 0;
    }
    return 0;
}

/* A file name that lies on two pages, and a thread name that is truncated in the middle of a character; the kernel's
 * name has a line break. */
static void be_odd(void)
{
    const long page = sysconf(_SC_PAGESIZE);
    char *file = mmap(NULL, (size_t)(2 * page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    file += page - 6;
    strcpy(file, "on two pages.c");
    struct bough_branch_options options = {.label = "ääääääääääääääääääää", .file = file, .line = 73};
    bough_branch_open(&options);
    prctl(PR_SET_NAME, "a\nb) c");
}

enum { WORKERS = 5 };
static pthread_barrier_t all_run;

static int runs_with_others(void *unused)
{
    (void)unused;
    pthread_barrier_wait(&all_run);
    return 0;
}

/* Leaves workers that wait for work, and a thread that only has a worker's name. */
static void leave_workers(void)
{
    pthread_barrier_init(&all_run, NULL, WORKERS);
    BOUGH_BRANCH(b)
        for (int i = 0; i < WORKERS; i++)
            bough_add(b, runs_with_others, bough_arg(NULL));
}

static void *hang(void *unused);

static void *be_a_stranger(void *unused)
{
    prctl(PR_SET_NAME, unused ? unused : "stranger");
    for (;;)
        pause();
    return NULL;
}

static int ends(void *unused)
{
    (void)unused;
    return bough_interrupted() ? ECANCELED : 0;
}

static void *come_and_go(void *unused)
{
    for (;;)
        BOUGH_BRANCH(passing, .timeout = BOUGH_SEC(1)) {
            for (int i = 0; i < 4; i++)
                bough_add(passing, ends, bough_arg(NULL));
            BOUGH_CRITICAL(BOUGH_MS(1))
                bough_interrupt(passing, "for a moment");
        }
    return unused;
}

enum { MANY = 10000, CROWD = 300 };

/* Hangs in a branch with so many children that read. */
static int have_many(int count)
{
    struct bough_child_options child = {.name = "one of many"};
    if (pipe(pipe_ends) != 0)
        return errno;
    BOUGH_BRANCH(many) {
        for (int i = 1; i <= count; i++) {
            if (i == count)
                child.name = "last of many";
            if (bough_add_with(many, reads, bough_arg(NULL), &child) == 0)
                return errno;
        }
        puts("ready");
        fflush(stdout);
        for (;;)
            pause();
    }
    return 0;
}

static void become_another(int unused)
{
    (void)unused;
    execl("/bin/sleep", "sleep", "600", (char *)NULL);
}

int main(int argc, char **argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pthread_t other;
    char worker[] = "bough-worker";
    if (argc > 1 && strcmp(argv[1], "exists") == 0)
        return 0;
    if (argc > 1 && strcmp(argv[1], "many") == 0)
        return have_many(MANY);
    if (argc > 1 && strcmp(argv[1], "replaced") == 0)
        signal(SIGUSR1, become_another);
    sigset_t all;
    sigfillset(&all);
    if (argc > 1 && strcmp(argv[argc - 1], "masked") == 0)
        pthread_sigmask(SIG_BLOCK, &all, NULL); /* all threads inherit that */
    if (argc > 1 && strcmp(argv[1], "crowd") == 0)
        return have_many(CROWD);
    if (argc > 1 && strcmp(argv[1], "spoof") == 0)
        prctl(PR_SET_NAME, "\nNSpid:\t7\t9");
    if (argc > 1 && strcmp(argv[1], "traced") == 0)
        prctl(PR_SET_NAME, "TracerPid:\t9");
    if (argc > 1 && strcmp(argv[1], "stranger") == 0)
        pthread_create(&other, NULL, be_a_stranger, NULL);
    if (argc > 1 && strcmp(argv[1], "idle") == 0 && pthread_create(&other, NULL, be_a_stranger, worker) == 0)
        leave_workers();
    for (int i = 0; i < 2 && argc > 1 && strcmp(argv[1], "busy") == 0; i++)
        pthread_create(&other, NULL, come_and_go, NULL);
    if (argc > 1 && strcmp(argv[1], "odd") == 0)
        be_odd();
    if (argc < 2 || strcmp(argv[1], "headless") != 0)
        hang(NULL);
    if (pthread_create(&other, NULL, hang, NULL) == 0)
        pthread_exit(NULL);
    return 1;
}

static void *hang(void *unused)
{
    struct bough_child_options reader = {.name = "reader"}, stubborn = {.name = "stubborn"};
    if (pipe(pipe_ends) != 0 || pipe(begun) != 0)
        return unused;
    bough_adopt("main");
    BOUGH_BRANCH(outer, .timeout = BOUGH_SEC(1000))
        BOUGH_BRANCH(inner, .label = "in\033[1m") {
            char byte;
            bough_add_with(outer, is_critical, bough_arg(NULL), &stubborn);
            bough_add_with(inner, has_a_child, bough_arg(NULL), &reader);
            for (int i = 0; i < 2;)
                i += read(begun[0], &byte, 1) == 1;
            puts("ready");
            fflush(stdout);
            for (;;)
                pause();
        }
    return unused;
}

/* SPDX-License-Identifier: MIT */
/* Rung 4: resources are closed without the thread's help. */
#include "program.h"
#include <sys/socket.h>

static int peers[2];

static void say(void *text)
{
    note("closed: %s", (const char *)text);
}

static void hang_in_closer(void *unused)
{
    (void)unused;
    note("closed: never");
    hang();
}

/* In a call of bough, in a cleanup region that protects it. */
static void block_in_a_call(void)
{
    char byte;
    in_place();
    while (bough_sleep(600) == 0)
        continue;
    BOUGH_CLEANUP(BOUGH_SEC(600))
        while (bough_read(peers[0], &byte, 1) != 0)
            continue;
}

static int has_closers(void *unused)
{
    static char first[] = "the first", second[] = "the second";
    (void)unused;
    MUST(bough_closer_fn(say, first) && bough_closer_fd(peers[0]) && bough_closer_fn(say, second));
    block_in_a_call();
    return 0;
}

static void *sees_the_end(void *unused)
{
    char byte;
    (void)unused;
    note("the peer sees %s", read(peers[1], &byte, 1) == 0 ? "EOF" : "an error");
    return NULL;
}

static pthread_t peer;

static void start_peer(void)
{
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, peers) == 0);
    MUST(pthread_create(&peer, NULL, sees_the_end, NULL) == 0);
}

WAY(closed_without_the_thread)
{
    bough_signals(0);
    start_peer();
    with_child(has_closers);
    pthread_join(peer, NULL);
    note("%d was lost", (int)bough_last()->tally.count[BOUGH_LOST]);
}

static int has_a_closer_that_hangs(void *unused)
{
    (void)unused;
    MUST(bough_closer_fn(hang_in_closer, NULL));
    block_in_a_call();
    return 0;
}

WAY(closer_hangs)
{
    bough_signals(0);
    start_peer();
    with_child(has_a_closer_that_hangs);
}

static void crash_in_closer(void *unused)
{
    static int *volatile nowhere;
    (void)unused;
    note("the closer crashes");
    *nowhere = 1;
}

static int has_a_closer_that_crashes(void *unused)
{
    static char first[] = "the first";
    (void)unused;
    MUST(bough_closer_fn(say, first) && bough_closer_fn(crash_in_closer, NULL));
    block_in_a_call();
    return 0;
}

WAY(closer_crashes)
{
    bough_signals(0);
    start_peer();
    with_child(has_a_closer_that_crashes);
    note("%d was lost", (int)bough_last()->tally.count[BOUGH_LOST]);
}

static int computes_closably(void *unused)
{
    static volatile unsigned long work;
    (void)unused;
    MUST(bough_closer_fd(peers[0]));
    BOUGH_CLOSABLE {
        in_place();
        for (;;)
            work++;
    }
    return 0;
}

WAY(closable_loop)
{
    bough_signals(0);
    start_peer();
    with_child(computes_closably);
    pthread_join(peer, NULL);
    note("%d was lost", (int)bough_last()->tally.count[BOUGH_LOST]);
}

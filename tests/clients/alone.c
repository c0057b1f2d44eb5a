/* SPDX-License-Identifier: MIT */
/*
 * A program that was not written for bough, whose main thread waits in a client library (wait.h).
 *
 *   ./uv-alone --list    name, library, call, and the reason why the call is not interruptible
 *   ./uv-alone uv_run    prints "ready" and waits; status 3 if the wait ends
 */
#include "wait.h"

enum { MOST = 32, ENDED = 3 };

static struct {
    const struct client_wait *wait;
    const char *name;
} waits[MOST];
static int count;

void wait_register(const struct client_wait *wait, const char *name)
{
    if (count == MOST)
        abort();
    waits[count].wait = wait;
    waits[count++].name = name;
}

void wait_is_over(void)
{
}

void wait_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, what);
    exit(4);
}

static void list(void)
{
    for (int i = 0; i < count; i++) {
        const struct client_wait *w = waits[i].wait;
        printf("%s|%s|%s|%s\n", waits[i].name, w->library, w->call, w->why ? w->why : "");
    }
}

static int run(const struct client_wait *w)
{
    if (w->prepare)
        w->prepare();
    puts("ready");
    fflush(stdout);
    w->run();
    return ENDED;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return fprintf(stderr, "usage: %s --list | NAME\n", argv[0]), 2;
    if (strcmp(argv[1], "--list") == 0)
        return list(), 0;
    for (int i = 0; i < count; i++)
        if (strcmp(waits[i].name, argv[1]) == 0)
            return run(waits[i].wait);
    return fprintf(stderr, "%s: no such wait\n", argv[1]), 2;
}

/* SPDX-License-Identifier: MIT */
/* A wait of a client library is interrupted 200 times, or `count` times (wait.h). */
#include "wait.h"
#include "client.h"

void wait_is_over(void)
{
    client_back();
}

void wait_test(const struct client_wait *wait)
{
    char what[200];
    snprintf(what, sizeof what, "%s|%s", wait->library, wait->call);
    if (wait->prepare)
        wait->prepare();
    client.request = wait->run;
    client.check = wait->check;
    client.blocked = wait->ready;
    client.not_interruptible = wait->why;
    client.source = wait->line;
    client.anywhere = wait->anywhere;
    client.dumped = wait->dumped;
    client.release = wait->release;
    client_cut(what, wait->count ? wait->count : 200);
    if (wait->finish)
        wait->finish();
}

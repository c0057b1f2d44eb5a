/* SPDX-License-Identifier: MIT */
/* c-ares with a silent name server. The library does not block; its caller's loop does. There are two kinds of
 * loops. */
#include "silent.h"
#include <ares.h>
#include <netdb.h>
#include <sys/select.h>

static void begin(void)
{
    CHECK_EQ(ares_library_init(ARES_LIB_INIT_ALL), 0);
    silent_begin(SOCK_DGRAM);
}

static void end(void)
{
    silent_end();
    ares_library_cleanup();
}

static void on_answer(void *status, int code, int unused, struct hostent *host)
{
    (void)unused, (void)host;
    *(int *)status = code;
}

static ares_channel ask(int *status)
{
    ares_channel channel;
    char where[40], lookups[] = "b";
    struct ares_options options = {.timeout = 3600000, .tries = 1, .lookups = lookups};
    CHECK_EQ(ares_init_options(&channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS), 0);
    snprintf(where, sizeof where, "127.0.0.1:%d", silent_port);
    CHECK_EQ(ares_set_servers_ports_csv(channel, where), 0);
    ares_gethostbyname(channel, "silent.example", AF_INET, on_answer, status);
    return channel;
}

/* One turn of the manual page's loop. Returns select()'s result, or -2 if there is nothing to wait for. */
static int wait_for_server(ares_channel channel, bool process_after_failure)
{
    fd_set in, out;
    FD_ZERO(&in);
    FD_ZERO(&out);
    struct timeval time;
    int count = ares_fds(channel, &in, &out);
    if (count == 0)
        return -2;
    int n = select(count, &in, &out, NULL, ares_timeout(channel, NULL, &time));
    if (n >= 0 || process_after_failure)
        ares_process(channel, &in, &out);
    return n;
}

static int ask_and_look_at_failures(void)
{
    int status = -1;
    ares_channel channel = ask(&status);
    while (wait_for_server(channel, false) >= 0)
        ;
    ares_destroy(channel);
    return status != ARES_EDESTRUCTION;
}

WAIT(caller_cancels, .library = "c-ares", .call = "select() in a loop that ends when it fails", .prepare = begin,
     .run = ask_and_look_at_failures, .finish = end)

static int ask_and_ignore_failures(void)
{
    int status = -1;
    ares_channel channel = ask(&status);
    while (wait_for_server(channel, true) != -2)
        ;
    ares_destroy(channel);
    return status == ARES_SUCCESS;
}

WAIT(caller_ignores, .library = "c-ares", .call = "select() in a loop as in ares_process(3), failure ignored",
     .prepare = begin, .run = ask_and_ignore_failures, .finish = end)

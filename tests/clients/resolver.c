/* SPDX-License-Identifier: MIT */
/* libcurl with a silent name server: its resolver thread waits for the answer, and curl_easy_cleanup() joins that
 * thread. Fixed bug: when that join was interrupted, each interrupt leaked a thread and its stack of 8 MiB. */
#include "wait.h"
#include <curl/curl.h>
#include "../resolve/namespace.h"

static int server;

static void begin(void)
{
    server = name_server("timeout:30 attempts:1");
    int room = 8 << 20; /* for the queries that were not read yet */
    CHECK_EQ(setsockopt(server, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room), 0);
    CHECK_EQ(curl_global_init(CURL_GLOBAL_ALL), 0);
}

static void end(void)
{
    curl_global_cleanup();
    close(server);
}

static int perform_with(long quick_exit)
{
    CURL *c = curl_easy_init();
    CHECK(c);
    curl_easy_setopt(c, CURLOPT_QUICK_EXIT, quick_exit);
    curl_easy_setopt(c, CURLOPT_URL, "http://silent.example./");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    CURLcode code = curl_easy_perform(c);
    curl_easy_cleanup(c);
    return code == CURLE_OK;
}

static int perform(void)
{
    return perform_with(0);
}

static int perform_quickly(void)
{
    return perform_with(1);
}

/* Answers that there is no such name. */
static bool answer_one(int flags)
{
    unsigned char text[600];
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    ssize_t size = recvfrom(server, text, sizeof text, flags, (struct sockaddr *)&from, &length);
    if (size < 12)
        return false;
    text[2] |= 0x80;
    text[3] = 0x83;
    CHECK_EQ(sendto(server, text, (size_t)size, 0, (struct sockaddr *)&from, length), size);
    return true;
}

/* One query for IPv4 and one for IPv6. */
static void answer(void)
{
    CHECK(answer_one(0));
    CHECK(answer_one(0));
    while (answer_one(MSG_DONTWAIT))
        ;
}

WAIT(curl_easy_perform, .library = "libcurl", .call = "curl_easy_perform(), silent name server", .prepare = begin,
     .run = perform, .release = answer, .finish = end,
     .why = "joins its resolver thread; the answer or the timeout ends it", .line = "lib/asyn-thread.c:496",
     .dumped = "joins thread")

/* The thread that the library leaves behind ends when the answer comes. */
WAIT(curl_easy_perform_quick_exit, .library = "libcurl",
     .call = "curl_easy_perform(), silent name server, CURLOPT_QUICK_EXIT", .prepare = begin, .run = perform_quickly,
     .check = answer, .finish = end)

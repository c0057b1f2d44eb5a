/* SPDX-License-Identifier: MIT */
/* libcurl with a real nginx over TLS: a slow body, a silent server, an upload that the server does not read. */
#include "client.h"
#include <curl/curl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/ioctl.h>

static const char *path;
static bool uploads;
static _Atomic size_t moved;
static _Atomic int connected; /* the descriptor of the request's connection */

static size_t drop(char *data, size_t size, size_t count, void *unused)
{
    (void)data;
    (void)unused;
    moved += size * count;
    return size * count;
}

static size_t give(char *data, size_t size, size_t count, void *unused)
{
    (void)unused;
    memset(data, 'x', size * count);
    moved += size * count;
    return size * count;
}

static int note_socket(void *unused, curl_socket_t fd, curlsocktype type)
{
    (void)unused;
    (void)type;
    connected = fd;
    return CURL_SOCKOPT_OK;
}

static void signal_server(int signo)
{
    CHECK_EQ(kill(atoi(getenv("CLIENTS_WEB_PID")), signo), 0);
}

static CURL *handle(const char *where)
{
    char url[200];
    snprintf(url, sizeof url, "%s%s", getenv("CLIENTS_WEB"), where);
    CURL *c = curl_easy_init();
    CHECK(c);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_CAINFO, getenv("CLIENTS_CA"));
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, drop);
    return c;
}

static int transfer(void)
{
    CURL *c = handle(path);
    if (uploads) {
        curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(c, CURLOPT_READFUNCTION, give);
        curl_easy_setopt(c, CURLOPT_SOCKOPTFUNCTION, note_socket);
    }
    CURLcode code = curl_easy_perform(c);
    client_back();
    signal_server(SIGCONT);
    curl_easy_cleanup(c);
    moved = 0; /* reset here, so that the next request does not start with this count */
    return code == CURLE_OK;
}

static char said[200];

static size_t keep(char *data, size_t size, size_t count, void *unused)
{
    (void)unused;
    snprintf(said + strlen(said), sizeof said - strlen(said), "%.*s", (int)(size * count), data);
    return size * count;
}

/* The server's count, which includes this connection. */
static int connections(void)
{
    int n = -1;
    CURL *c = handle("/status");
    said[0] = '\0';
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, keep);
    CHECK_EQ(curl_easy_perform(c), CURLE_OK);
    curl_easy_cleanup(c);
    CHECK_EQ(sscanf(said, "Active connections: %d", &n), 1);
    return n;
}

static void check_new_connection(void)
{
    CURL *c = handle("/quick");
    long status = 0;
    CHECK_EQ(curl_easy_perform(c), CURLE_OK);
    CHECK_EQ(curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status), CURLE_OK);
    CHECK_EQ(status, 200);
    curl_easy_cleanup(c);
    moved = 0;
    t_until(connections() == 1);
}

/* The client waits for more data: it has received some, and no more comes. */
static bool stands(void)
{
    size_t before = moved;
    usleep(20000);
    return moved == before && before > 0;
}

/* The client waits for room in the socket, which does not become free: the server is stopped, and its kernel has
 * announced that there is no more room (all data is acknowledged), or has not answered for so long that data was sent
 * again. A client that merely waits for a slow server would continue after an EINTR, which is no retry (rule 46). */
static bool is_full(void)
{
    struct tcp_info info;
    int unsent = 0;
    if (moved == 0)
        return false;
    signal_server(SIGSTOP);
    t_until_blocked(client.tid);
    CHECK_EQ(getsockopt(connected, IPPROTO_TCP, TCP_INFO, &info, &(socklen_t){sizeof info}), 0);
    CHECK_EQ(ioctl(connected, SIOCOUTQNSD, &unsent), 0);
    return unsent > 0 && (info.tcpi_unacked == 0 || info.tcpi_retransmits > 0);
}

static bool asked(void)
{
    usleep(20000);
    return true;
}

static void run(const char *what, const char *where, bool upload, bool (*blocked)(void), int count)
{
    CHECK_EQ(curl_global_init(CURL_GLOBAL_ALL), 0);
    path = where;
    uploads = upload;
    client.request = transfer;
    client.check = check_new_connection;
    client.blocked = blocked;
    client_cut(what, count);
    curl_global_cleanup();
}

TEST_LIMIT(a_slow_body_is_interrupted, 300)
{
    run("libcurl|curl_easy_perform(), a slow body", "/slow", false, stands, 200);
}

TEST_LIMIT(a_silent_server_is_interrupted, 300)
{
    run("libcurl|curl_easy_perform(), a silent server", "/silent", false, asked, 200);
}

TEST_LIMIT(an_upload_that_the_server_does_not_read_is_interrupted, 300)
{
    run("libcurl|curl_easy_perform(), an upload", "/upload", true, is_full, 100);
}

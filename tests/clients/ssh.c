/* SPDX-License-Identifier: MIT */
/* libssh2 with a real sshd: a channel to a silent port; and with a silent host. */
#include "silent.h"
#include <libssh2.h>
#include <netinet/tcp.h>

static int connect_to(int port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    CHECK_EQ(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
    return fd;
}

static void begin(void)
{
    CHECK_EQ(libssh2_init(0), 0);
}

/* ---- a channel --------------------------------------------------------------------------------------------------- */

static LIBSSH2_SESSION *log_in(int fd)
{
    const char *user = getenv("CLIENTS_SSH_USER"), *key = getenv("CLIENTS_SSH_KEY");
    char public[300];
    snprintf(public, sizeof public, "%s.pub", key);
    LIBSSH2_SESSION *s = libssh2_session_init();
    CHECK(s);
    if (libssh2_session_handshake(s, fd) != 0 || libssh2_userauth_publickey_fromfile(s, user, public, key, NULL) != 0) {
        char *text = NULL;
        libssh2_session_last_error(s, &text, NULL, 0);
        FAIL("%s", text);
    }
    return s;
}

static LIBSSH2_SESSION *session;
static int session_fd;

static void begin_session(void)
{
    begin();
    silent_begin(SOCK_STREAM);
    session_fd = connect_to(atoi(getenv("CLIENTS_SSH")));
    session = log_in(session_fd);
}

static void end_session(void)
{
    libssh2_session_disconnect(session, "bye");
    libssh2_session_free(session);
    close(session_fd);
    silent_end();
    libssh2_exit();
}

static volatile bool reads;

static bool is_reading(void)
{
    return reads;
}

/* Checks that the session can still be used. */
static int read_channel(void)
{
    char byte;
    reads = false;
    LIBSSH2_CHANNEL *c = libssh2_channel_direct_tcpip(session, "127.0.0.1", silent_port);
    CHECK(c);
    reads = true;
    ssize_t n = libssh2_channel_read(c, &byte, 1);
    wait_is_over();
    libssh2_channel_free(c);
    return n >= 0;
}

WAIT(libssh2_channel_read, .library = "libssh2", .call = "libssh2_channel_read()", .prepare = begin_session,
     .run = read_channel, .ready = is_reading, .finish = end_session)

/* ---- a silent host ----------------------------------------------------------------------------------------------- */

static void begin_silence(void)
{
    begin();
    silent_begin(SOCK_STREAM);
}

static int shake_hands_in_vain(void)
{
    int fd = connect_to(silent_port);
    LIBSSH2_SESSION *s = libssh2_session_init();
    int code = libssh2_session_handshake(s, fd);
    libssh2_session_free(s);
    close(fd);
    return code == 0;
}

static void end_silence(void)
{
    silent_end();
    libssh2_exit();
}

WAIT(libssh2_session_handshake, .library = "libssh2", .call = "libssh2_session_handshake() with a silent host",
     .prepare = begin_silence, .run = shake_hands_in_vain, .finish = end_silence)

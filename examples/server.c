/* SPDX-License-Identifier: MIT */
/* An echo server, a thread for each client. Ctrl-C ends it cleanly, whatever its clients are doing: `make demo`. */
#include <arpa/inet.h>
#include <bough.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static int handle_client(void *conn)
{
    char data[4096];
    for (ssize_t size; (size = bough_read(bough_fd_of(conn), data, sizeof data)) > 0;)
        if (bough_write_all(bough_fd_of(conn), data, (size_t)size, NULL, 0) != 0)
            break;
    return bough_check() == 0 ? 0 : ECANCELED; /* a client that goes away is no failure */
}

static int accept_loop(int server)
{
    BOUGH_BRANCH(clients) { /* at its end all of them have been joined */
        int conn;
        while ((conn = bough_accept(server, NULL, NULL)) >= 0)
            bough_add(clients, handle_client, bough_fd(conn)); /* which is closed when the handler returns */
        bough_fail(clients, errno, "accept");                  /* leaving by failure interrupts the handlers */
    }
    return bough_last_result();
}

int main(int argc, char **argv)
{
    in_port_t port = htons((uint16_t)atoi(argc > 1 ? argv[1] : "7000"));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int server = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(server, (struct sockaddr *)&address, sizeof address) != 0 || listen(server, SOMAXCONN) != 0)
        return perror("server"), 1;
    signal(SIGPIPE, SIG_IGN); /* a client that goes away is an error of write() */
    bough_signals(0);         /* Ctrl-C and SIGTERM interrupt everything; the shell sees 130 and 143 */
    return bough_notify_ready(), accept_loop(server) != 0; /* ready for systemd: deploy/bough-server.service */
}

/* SPDX-License-Identifier: MIT */
/* ZeroMQ: its threads run a poll loop; the application's thread waits for their messages. It aborts on every error but
 * EINTR, which it returns to the caller. */
#include "wait.h"
#include <time.h>
#include <zmq.h>

static void *context, *server;
static char address[64];
static bool waits_long;

static int receive(void)
{
    char byte;
    void *s = zmq_socket(context, ZMQ_PULL);
    CHECK_EQ(zmq_connect(s, address), 0);
    int n = zmq_recv(s, &byte, 1, 0), error = errno;
    CHECK_EQ(zmq_close(s), 0);
    return n != -1 || error != EINTR;
}

static int poll_items(void)
{
    void *s = zmq_socket(context, ZMQ_PULL);
    CHECK_EQ(zmq_connect(s, address), 0);
    zmq_pollitem_t item = {.socket = s, .events = ZMQ_POLLIN};
    int n = zmq_poll(&item, 1, -1), error = errno;
    CHECK_EQ(zmq_close(s), 0);
    return n != -1 || error != EINTR;
}

/* A socket notices changes of its peers only when it is used. */
static void attend(void)
{
    int events;
    size_t size = sizeof events;
    CHECK_EQ(zmq_getsockopt(server, ZMQ_EVENTS, &events, &size), 0);
}

/* Ready after a pause in which the connection is made. */
static bool waits(void)
{
    attend();
    waits_long = !waits_long;
    if (waits_long)
        nanosleep(&(struct timespec){0, 5000000}, NULL);
    return !waits_long;
}

static void check_new_connection(void)
{
    char byte = 0;
    void *from = zmq_socket(context, ZMQ_PAIR), *to = zmq_socket(context, ZMQ_PAIR);
    CHECK_EQ(zmq_bind(from, "inproc://check"), 0);
    CHECK_EQ(zmq_connect(to, "inproc://check"), 0);
    CHECK_EQ(zmq_send(from, "x", 1, 0), 1);
    CHECK_EQ(zmq_recv(to, &byte, 1, 0), 1);
    CHECK_EQ(byte, 'x');
    zmq_close(to);
    zmq_close(from);
    for (int i = 0; i < 50; i++) {
        attend();
        nanosleep(&(struct timespec){0, 2000000}, NULL);
    }
}

static void begin(void)
{
    size_t size = sizeof address;
    context = zmq_ctx_new();
    server = zmq_socket(context, ZMQ_PUSH);
    CHECK_EQ(zmq_bind(server, "tcp://127.0.0.1:*"), 0);
    CHECK_EQ(zmq_getsockopt(server, ZMQ_LAST_ENDPOINT, address, &size), 0);
}

static void end(void)
{
    zmq_close(server);
    CHECK_EQ(zmq_ctx_term(context), 0);
}

WAIT(zmq_recv, .library = "ZeroMQ", .call = "zmq_recv()", .prepare = begin, .run = receive, .ready = waits,
     .check = check_new_connection, .finish = end)

WAIT(zmq_poll, .library = "ZeroMQ", .call = "zmq_poll()", .prepare = begin, .run = poll_items, .ready = waits,
     .check = check_new_connection, .finish = end)

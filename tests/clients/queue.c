/* SPDX-License-Identifier: MIT */
/* ZeroMQ: threads and a poll loop of its own; the application's thread waits for its messages. It expects no error but EINTR
 * in its wait, and passes that on. */
#include "client.h"
#include <zmq.h>

static void *context, *server;
static char address[64];
static int64_t asked;

static int receive(void)
{
    char byte;
    void *s = zmq_socket(context, ZMQ_PULL);
    CHECK_EQ(zmq_connect(s, address), 0);
    int n = zmq_recv(s, &byte, 1, 0), error = errno;
    client_back();
    CHECK_EQ(zmq_close(s), 0);
    return n != -1 || error != EINTR;
}

/* A socket sees to what has become of its peers only when it is used. */
static void attend(void)
{
    int events;
    size_t size = sizeof events;
    CHECK_EQ(zmq_getsockopt(server, ZMQ_EVENTS, &events, &size), 0);
}

static bool waits(void)
{
    attend();
    if (!asked)
        asked = t_now();
    if (t_now() - asked < 5000000)
        return false;
    asked = 0;
    return true;
}

/* A message of its own way. */
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
        usleep(2000);
    }
}

TEST_LIMIT(a_wait_for_a_message, 300)
{
    size_t size = sizeof address;
    context = zmq_ctx_new();
    server = zmq_socket(context, ZMQ_PUSH);
    CHECK_EQ(zmq_bind(server, "tcp://127.0.0.1:*"), 0);
    CHECK_EQ(zmq_getsockopt(server, ZMQ_LAST_ENDPOINT, address, &size), 0);
    client.request = receive;
    client.check = check_new_connection;
    client.blocked = waits;
    client.ways.error = EINTR;
    client_cut("zmq_recv", 500);
    zmq_close(server);
    CHECK_EQ(zmq_ctx_term(context), 0);
}

/* SPDX-License-Identifier: MIT */
/* libmosquitto with a real broker: a library that retries on every error. After each failure in its wait
 * mosquitto_loop_forever() pauses and reconnects; only a second interrupt, in that pause, ends it. So the interrupt has
 * to be delivered twice, a grace period apart (rule 22); this test counts the deliveries. */
#include "client.h"
#include <mosquitto.h>

enum { GRACE_MS = 2, MOST_TOLD = 16 };

static _Atomic int connected;
static int delivered,
    by_delivered[MOST_TOLD + 1]; /* deliveries in this request; the number of requests by their deliveries */
static int64_t last_delivered, worst_after;

static int count_delivery(void *unused, const struct bough_cut *cut)
{
    (void)unused, (void)cut;
    delivered++;
    last_delivered = t_now();
    return 0;
}

static void on_connect(struct mosquitto *m, void *unused, int code)
{
    (void)m, (void)unused;
    connected += code == 0;
}

static struct mosquitto *connect_to_it(void)
{
    struct mosquitto *m = mosquitto_new(NULL, true, NULL);
    CHECK(m);
    mosquitto_connect_callback_set(m, on_connect);
    CHECK_EQ(mosquitto_connect(m, "127.0.0.1", atoi(getenv("CLIENTS_BROKER")), 60), MOSQ_ERR_SUCCESS);
    return m;
}

static void note_delivered(void)
{
    int64_t after = t_now() - last_delivered;
    worst_after = after > worst_after ? after : worst_after;
    by_delivered[delivered < MOST_TOLD ? delivered : MOST_TOLD]++;
}

static int listen_for_ever(void)
{
    connected = 0;
    delivered = 0;
    struct mosquitto *m = connect_to_it();
    int code = mosquitto_loop_forever(m, -1, 1);
    client_back();
    note_delivered();
    mosquitto_destroy(m);
    return code == MOSQ_ERR_SUCCESS;
}

static bool listens(void)
{
    return connected == 1;
}

/* ---- a client that is not interrupted: the broker's status, and a message there and back ------------------------- */

static char heard[32];

static void on_message(struct mosquitto *m, void *unused, const struct mosquitto_message *message)
{
    (void)m, (void)unused;
    snprintf(heard, sizeof heard, "%.*s", message->payloadlen, (const char *)message->payload);
}

static bool hears(struct mosquitto *m, const char *what)
{
    CHECK_EQ(mosquitto_loop(m, 100, 1), MOSQ_ERR_SUCCESS);
    return strcmp(heard, what) == 0;
}

static void check_new_connection(void)
{
    struct mosquitto *m = connect_to_it();
    mosquitto_message_callback_set(m, on_message);
    CHECK_EQ(mosquitto_subscribe(m, NULL, "test", 1), MOSQ_ERR_SUCCESS);
    CHECK_EQ(mosquitto_publish(m, NULL, "test", 5, "hello", 1, true), MOSQ_ERR_SUCCESS);
    t_until(hears(m, "hello"));
    CHECK_EQ(mosquitto_unsubscribe(m, NULL, "test"), MOSQ_ERR_SUCCESS);
    CHECK_EQ(mosquitto_subscribe(m, NULL, "$SYS/broker/clients/connected", 0), MOSQ_ERR_SUCCESS);
    t_until(hears(m, "1")); /* only this client is connected */
    CHECK_EQ(mosquitto_disconnect(m), MOSQ_ERR_SUCCESS);
    mosquitto_destroy(m);
}

TEST_LIMIT(a_library_that_retries_ends_when_it_is_interrupted_again, 300)
{
    CHECK_EQ(mosquitto_lib_init(), MOSQ_ERR_SUCCESS);
    client.request = listen_for_ever;
    client.check = check_new_connection;
    client.blocked = listens;
    client.ways = (struct bough_foreign){.grace = BOUGH_MS(GRACE_MS), .on_cut = count_delivery};
    client_cut("libmosquitto|mosquitto_loop_forever()", 500);
    t_note("grace periods of %d ms; after the last delivery it returned within %.3f ms at worst", GRACE_MS,
           (double)worst_after / 1e6);
    for (int i = 0; i <= MOST_TOLD; i++)
        if (by_delivered[i])
            t_note("delivered %d times: %d requests", i, by_delivered[i]);
    CHECK_EQ(by_delivered[0] + by_delivered[1],
             0); /* the library retries after EINTR and after the error that follows, and then ends */
    /* if the library's steps take longer than the grace period, more of them are interrupted */
    mosquitto_lib_cleanup();
}

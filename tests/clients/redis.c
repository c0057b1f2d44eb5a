/* SPDX-License-Identifier: MIT */
/* hiredis with a real Redis: a command that blocks until the list has an element, which never comes. */
#include "wait.h"
#include <hiredis/hiredis.h>

static redisContext *connect_to_it(void)
{
    redisContext *c = redisConnect("127.0.0.1", atoi(getenv("CLIENTS_REDIS")));
    CHECK(c);
    if (c->err)
        FAIL("%s", c->errstr);
    return c;
}

static volatile bool connected;

static bool is_connected(void)
{
    return connected;
}

static redisContext *connect_to_be_interrupted(void)
{
    connected = false;
    redisContext *c = connect_to_it();
    connected = true;
    return c;
}

static int pop(void)
{
    redisContext *c = connect_to_be_interrupted();
    redisReply *reply = redisCommand(c, "BLPOP nothing 0");
    int wrong = reply || c->err != REDIS_ERR_IO;
    redisFree(c);
    return wrong;
}

static int subscribe(void)
{
    redisContext *c = connect_to_be_interrupted();
    redisReply *reply = redisCommand(c, "SUBSCRIBE nothing"); /* may be interrupted already */
    if (reply) {
        freeReplyObject(reply);
        CHECK_EQ(redisGetReply(c, (void **)&reply), REDIS_ERR);
    }
    int wrong = c->err != REDIS_ERR_IO;
    redisFree(c);
    return wrong;
}

static void check_new_connection(void)
{
    redisContext *c = connect_to_it();
    redisReply *reply = redisCommand(c, "PING");
    CHECK(reply);
    CHECK_STR(reply->str, "PONG");
    freeReplyObject(reply);
    redisFree(c);
}

WAIT(blpop, .library = "hiredis", .call = "redisCommand(), BLPOP", .run = pop, .ready = is_connected,
     .check = check_new_connection)

WAIT(subscription, .library = "hiredis", .call = "redisGetReply() of a subscription", .run = subscribe,
     .ready = is_connected, .check = check_new_connection)

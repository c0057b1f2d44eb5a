/* SPDX-License-Identifier: MIT */
/* gethostbyname() and related functions, called by foreign code. */
#include "harness.h"

#ifdef __GLIBC__

#include <stdbool.h>
#include "../resolve/server.h"

struct caller {
    struct t_thread thread;
    struct t_gate known;
    bough_thread *self;
    bool reentrant;
    int code, error, host_error;
    bool found;
    char address[64];
};

static void call_reentrant(struct caller *c)
{
    struct hostent host, *result = NULL;
    char buffer[1024];
    c->code = gethostbyname_r("some.example.", &host, buffer, sizeof buffer, &result, &c->host_error);
    c->found = result != NULL;
    c->error = errno;
    if (result)
        inet_ntop(result->h_addrtype, result->h_addr_list[0], c->address, sizeof c->address);
}

static void call(struct caller *c)
{
    struct hostent *result = gethostbyname("some.example.");
    c->error = errno;
    c->host_error = h_errno;
    c->found = result != NULL;
    if (result)
        inet_ntop(result->h_addrtype, result->h_addr_list[0], c->address, sizeof c->address);
}

static void *caller_main(void *argument)
{
    struct caller *c = argument;
    c->self = bough_self();
    t_gate_open(&c->known);
    BOUGH_FOREIGN
    {
        c->reentrant ? call_reentrant(c) : call(c);
    }
    return NULL;
}

static struct caller caller;

static void start_caller(bool reentrant)
{
    CHECK(bough_interpose((const char *const[]){"", NULL}, 0) > 0);
    caller = (struct caller){.reentrant = reentrant};
    t_spawn(&caller.thread, caller_main, &caller);
    t_gate_wait(&caller.known);
}

static void cut_one(bool reentrant)
{
    int fd = server_start("timeout:30 attempts:5");
    struct query q;
    start_caller(reentrant);
    server_receive(fd, &q);
    CHECK_EQ(bough_interrupt(caller.self, "test"), 0);
    t_join(&caller.thread);
    CHECK_EQ(caller.found, false);
    CHECK_EQ(caller.error, ECANCELED);
    CHECK_EQ(caller.host_error, NETDB_INTERNAL);
    server_answer(fd, &q);
    t_until(helpers() == 0);
}

TEST(a_hanging_gethostbyname_is_interrupted)
{
    cut_one(false);
}

TEST(a_hanging_gethostbyname_r_is_interrupted)
{
    cut_one(true);
    CHECK_EQ(caller.code, ECANCELED);
}

static void answer_one(bool reentrant)
{
    int fd = server_start("timeout:30 attempts:5");
    struct query q;
    start_caller(reentrant);
    server_receive(fd, &q);
    server_answer(fd, &q);
    t_join(&caller.thread);
    CHECK_EQ(caller.found, true);
    CHECK_STR(caller.address, "192.0.2.9");
}

TEST(an_answer_is_stored_in_memory_of_the_thread)
{
    answer_one(false);
}

TEST(an_answer_is_stored_in_the_callers_memory)
{
    answer_one(true);
}

#else

TEST(the_older_resolver_functions_are_interrupted)
{
    SKIP("musl's resolver is not replaced");
}

#endif

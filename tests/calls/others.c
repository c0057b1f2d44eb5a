/* SPDX-License-Identifier: MIT */
/* Names and random bytes, which can't be made to block here: they are interrupted before they begin. */
#include "recipe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/random.h>

static const struct addrinfo numeric = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};

static struct addrinfo **result_of(struct stage *s)
{
    return (struct addrinfo **)&s->memory;
}

static void no_result(struct stage *s)
{
    CHECK_EQ(s->memory, NULL);
}

static void one_address(struct stage *s, long result)
{
    CHECK_EQ(result, 0);
    const struct sockaddr_in *address = (struct sockaddr_in *)(*result_of(s))->ai_addr;
    CHECK_EQ(address->sin_port, htons(80));
    freeaddrinfo(*result_of(s));
}

BOTH(getaddrinfo, "127.0.0.1", "80", &numeric, result_of(s))
WRONG(getaddrinfo, "name", "80", &numeric, result_of(s))
RECIPE(getaddrinfo, .how = NO_BLOCK, .untouched = no_result, .done = one_address)

static const struct sockaddr *localhost(void)
{
    static struct sockaddr_in address;
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    return (struct sockaddr *)&address;
}

static void buffer_untouched(struct stage *s)
{
    CHECK_STR(s->buffer, "");
}

static void is_localhost(struct stage *s, long result)
{
    CHECK_EQ(result, 0);
    CHECK_STR(s->buffer, "127.0.0.1");
}

BOTH(getnameinfo, localhost(), sizeof(struct sockaddr_in), s->buffer, 100, NULL, 0, NI_NUMERICHOST)
WRONG(getnameinfo, localhost(), sizeof(struct sockaddr_in), s->buffer, 2, NULL, 0, NI_NUMERICHOST)
RECIPE(getnameinfo, .how = NO_BLOCK, .untouched = buffer_untouched, .done = is_localhost)

static void all_random(struct stage *s, long result)
{
    (void)s;
    CHECK_EQ(result, 100);
}

BOTH(getrandom, s->buffer, 100, 0)
WRONG(getrandom, s->buffer, 100, 0xff00)
RECIPE(getrandom, .how = NO_BLOCK, .untouched = buffer_untouched, .done = all_random)

/* SPDX-License-Identifier: MIT */
/* The results equal libc's: numbers, /etc/hosts, errors. */
#include <signal.h>
#include "server.h"

static void check_same(const char *node, const char *service, const struct addrinfo *hints)
{
    struct addrinfo *of_bough = NULL, *of_libc = NULL;
    int code = bough_getaddrinfo(node, service, hints, &of_bough);
    CHECK_EQ(code, getaddrinfo(node, service, hints, &of_libc));
    const struct addrinfo *a = of_bough, *b = of_libc;
    for (; code == 0 && a && b; a = a->ai_next, b = b->ai_next) {
        CHECK_EQ(a->ai_family, b->ai_family);
        CHECK_EQ(a->ai_socktype, b->ai_socktype);
        CHECK_EQ(a->ai_protocol, b->ai_protocol);
        CHECK_EQ(a->ai_addrlen, b->ai_addrlen);
        CHECK_EQ(memcmp(a->ai_addr, b->ai_addr, a->ai_addrlen), 0);
        CHECK_EQ(!a->ai_canonname, !b->ai_canonname);
        if (a->ai_canonname)
            CHECK_STR(a->ai_canonname, b->ai_canonname);
    }
    CHECK_EQ(a, NULL);
    CHECK_EQ(b, NULL);
    if (code != 0)
        return;
    freeaddrinfo(of_bough);
    freeaddrinfo(of_libc);
}

TEST(numbers_need_no_helper)
{
    struct addrinfo passive = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo number = {.ai_flags = AI_NUMERICHOST};
    struct addrinfo six = {.ai_family = AF_INET6};
    check_same("127.0.0.1", "80", NULL);
    check_same("::1", "80", &six);
    check_same("::1", NULL, NULL);
    check_same("127.0.0.1", "80", &six); /* an error */
    check_same(NULL, "80", &passive);
    check_same(NULL, NULL, NULL);
    check_same("localhost", "80", &number);
    CHECK_EQ(helpers(), 0);
}

TEST(names_are_looked_up)
{
    struct addrinfo canonical = {.ai_flags = AI_CANONNAME, .ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    check_same("localhost", NULL, NULL);
    check_same("localhost", "80", &canonical);
    check_same("localhost", "no such service", &canonical);
    check_same(NULL, "no such service", NULL);
    check_same("127.1", "80", &canonical);
    CHECK(helpers() <= 1); /* the same helper each time; it ends when it was idle for 2 s */
}

static struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_port = 0x5000};

static void check_same_name(socklen_t host_size, socklen_t service_size, int flags)
{
    char host[2][300] = {"untouched", "untouched"}, service[2][300] = {"untouched", "untouched"};
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const struct sockaddr *address = (const struct sockaddr *)&loopback;
    int of_bough = bough_getnameinfo(address, sizeof loopback, host_size ? host[0] : NULL, host_size,
                                     service_size ? service[0] : NULL, service_size, flags);
    int of_libc = getnameinfo(address, sizeof loopback, host_size ? host[1] : NULL, host_size,
                              service_size ? service[1] : NULL, service_size, flags);
    CHECK_EQ(of_bough, of_libc);
    CHECK_STR(host[0], of_bough ? "untouched" : host[1]);
    CHECK_STR(service[0], of_bough ? "untouched" : service[1]);
}

TEST(addresses_are_looked_up)
{
    check_same_name(100, 100, NI_NUMERICHOST | NI_NUMERICSERV);
    CHECK_EQ(helpers(), 0);
    check_same_name(100, 100, 0);
    check_same_name(100, 0, NI_NAMEREQD);
    check_same_name(0, 100, NI_DGRAM);
    check_same_name(2, 100, NI_NUMERICSERV); /* too small */
    check_same_name(0, 0, 0);
    CHECK(helpers() <= 1);
}

TEST(both_functions_are_interruption_points)
{
    struct addrinfo *list = (struct addrinfo *)&loopback;
    char host[100] = "untouched";
    bough_interrupt(bough_self(), "test");
    for (int numeric = 0; numeric < 2; numeric++) {
        errno = 0;
        CHECK_EQ(bough_getaddrinfo(numeric ? "127.0.0.1" : "localhost", "80", NULL, &list), EAI_SYSTEM);
        CHECK_EQ(errno, ECANCELED);
        errno = 0;
        CHECK_EQ(bough_getnameinfo((struct sockaddr *)&loopback, sizeof loopback, host, sizeof host, NULL, 0,
                                   numeric ? NI_NUMERICHOST : 0),
                 EAI_SYSTEM);
        CHECK_EQ(errno, ECANCELED);
    }
    CHECK_EQ(list, &loopback);
    CHECK_STR(host, "untouched");
    CHECK_EQ(helpers(), 0);
    bough_clear(NULL);
}

/* ---- helpers ----------------------------------------------------------------------------------------------------- */

TEST(there_are_few_helpers_and_they_end)
{
    static struct lookup l[64];
    for (int i = 0; i < 64; i++)
        lookup_start(&l[i], "localhost");
    CHECK(helpers() <= 16);
    for (int i = 0; i < 64; i++)
        lookup_end(&l[i], "127.0.0.1");
    CHECK(helpers() <= 16);
    t_until(helpers() == 0);
    struct lookup again;
    lookup_start(&again, "localhost");
    lookup_end(&again, "127.0.0.1");
}

static volatile sig_atomic_t on_main;

static void note_thread(int signo)
{
    (void)signo;
    on_main += t_tid() == getpid();
}

TEST(helpers_take_no_signals)
{
    struct sigaction action = {.sa_handler = note_thread};
    sigset_t usr1;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigaction(SIGUSR1, &action, NULL);
    check_same("localhost", NULL, NULL);
    CHECK(helpers() <= 1);
    pthread_sigmask(SIG_BLOCK, &usr1, NULL); /* only a helper could receive the signal now */
    kill(getpid(), SIGUSR1);
    check_same("localhost", NULL, NULL); /* the helper has run again */
    pthread_sigmask(SIG_UNBLOCK, &usr1, NULL);
    CHECK_EQ(on_main, 1);
}

TEST(a_forked_child_starts_new_helpers)
{
    needs_threads_after_fork();
    check_same("localhost", NULL, NULL);
    CHECK(helpers() <= 1);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK_EQ(helpers(), 0);
        check_same("localhost", NULL, NULL);
        CHECK(helpers() <= 1);
        _exit(0);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EXITED(status, 0);
}

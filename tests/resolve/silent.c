/* SPDX-License-Identifier: MIT */
/* A name server that does not answer. libc's getaddrinfo() would wait for it uninterruptibly. */
#include "server.h"

enum { HELPERS = 16 };

static const char patient[] = "timeout:30 attempts:5", hasty[] = "timeout:4 attempts:1";

/* The resolver's threads end by themselves, some time after they have given up waiting for the server. */
static void check_helpers_end(void)
{
    t_until(helpers() == 0);
}

TEST(a_hanging_lookup_is_interrupted_at_once)
{
    int fd = server_start(patient);
    struct lookup l;
    struct query q;
    lookup_start(&l, "silent.example.");
    server_receive(fd, &q); /* libc has sent its query, and waits */
    t_until_blocked(l.thread.tid);
    int64_t begun = t_now();
    CHECK_EQ(bough_interrupt(l.self, "test"), 0);
    lookup_end_cut(&l);
    double ms = (double)(t_now() - begun) / 1e6;
    t_note("interrupted after %.3f ms", ms);
    CHECK(ms < 15000); /* without the interrupt the lookup would have taken twice as long */
    CHECK_EQ(helpers(), 1);
    server_answer(fd, &q); /* without an answer the helper would wait for minutes */
    check_helpers_end();
}

TEST(an_answer_is_returned)
{
    int fd = server_start(patient);
    struct lookup l;
    struct query q;
    lookup_start(&l, "answered.example.");
    server_receive(fd, &q);
    server_answer(fd, &q);
    lookup_end(&l, "192.0.2.9");
}

/* The memory of the late answer is freed, which the leak sanitizer checks. */
TEST(a_late_answer_is_dropped)
{
    int fd = server_start(patient);
    struct lookup l;
    struct query q;
    for (int i = 0; i < 3; i++) {
        lookup_start(&l, "late.example.");
        server_receive(fd, &q);
        CHECK_EQ(bough_interrupt(l.self, "test"), 0);
        lookup_end_cut(&l);
        server_answer(fd, &q);
    }
    check_helpers_end();
}

TEST(the_helper_of_an_interrupted_caller_gives_up_like_libc)
{
    int fd = server_start(hasty);
    struct lookup l;
    struct query q;
    lookup_start(&l, "silent.example.");
    server_receive(fd, &q);
    CHECK_EQ(bough_interrupt(l.self, "test"), 0);
    lookup_end_cut(&l);
    check_helpers_end();
}

TEST(a_deadline_ends_a_lookup)
{
    int fd = server_start(hasty);
    struct addrinfo *list = NULL;
    int code = 0, error = 0;
    BOUGH_DEADLINE(BOUGH_MS(50)) {
        code = bough_getaddrinfo("silent.example.", NULL, NULL, &list);
        error = errno;
    }
    CHECK_EQ(code, EAI_SYSTEM);
    CHECK_EQ(error, ECANCELED);
    CHECK_EQ(bough_last_result(), ETIMEDOUT);
    CHECK_EQ(list, NULL);
    (void)fd;
    check_helpers_end();
}

/* ---- reverse lookups --------------------------------------------------------------------------------------------- */

static void *look_up_address(void *argument)
{
    struct lookup *l = argument;
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[100] = "untouched";
    inet_pton(AF_INET, "192.0.2.1", &address.sin_addr);
    l->self = bough_self();
    t_gate_open(&l->known);
    l->code = bough_getnameinfo((struct sockaddr *)&address, sizeof address, host, sizeof host, NULL, 0, 0);
    l->error = errno;
    CHECK_STR(host, "untouched");
    return NULL;
}

TEST(a_hanging_reverse_lookup_is_interrupted)
{
    int fd = server_start(hasty);
    struct lookup l = {0};
    struct query q;
    t_spawn(&l.thread, look_up_address, &l);
    t_gate_wait(&l.known);
    server_receive(fd, &q);
    CHECK_EQ(bough_interrupt(l.self, "test"), 0);
    lookup_end_cut(&l);
    check_helpers_end();
}

/* ---- more callers than helpers ----------------------------------------------------------------------------------- */

static void start_hanging(struct lookup *l, int count, int fd, struct query *q)
{
    for (int i = 0; i < count; i++)
        lookup_start(&l[i], "silent.example.");
    for (int i = 0; i < count && i < HELPERS; i++)
        server_receive(fd, &q[i]);
}

TEST(callers_that_wait_for_a_helper_are_interrupted_too)
{
    static struct lookup l[HELPERS + 4];
    static struct query q[HELPERS];
    int fd = server_start(patient);
    start_hanging(l, HELPERS + 4, fd, q);
    CHECK_EQ(helpers(), HELPERS);
    for (int i = HELPERS + 3; i >= 0; i--)
        CHECK_EQ(bough_interrupt(l[i].self, "test"), 0);
    for (int i = 0; i < HELPERS + 4; i++)
        lookup_end_cut(&l[i]);
    for (int i = 0; i < HELPERS; i++)
        server_answer(fd, &q[i]);
    check_helpers_end();
    struct pollfd more = {.fd = fd, .events = POLLIN};
    CHECK_EQ(poll(&more, 1, 0), 0); /* no query is sent for callers that were interrupted */
}

TEST(a_waiting_caller_gets_the_first_helper_that_is_free)
{
    static struct lookup l[HELPERS], waiting;
    static struct query q[HELPERS];
    int fd = server_start(patient);
    start_hanging(l, HELPERS, fd, q);
    lookup_start(&waiting, "known");
    t_until_blocked(waiting.thread.tid);
    server_answer(fd, &q[5]);
    lookup_end(&waiting, "192.0.2.7");
    for (int i = 0; i < HELPERS; i++)
        if (i != 5)
            server_answer(fd, &q[i]);
    for (int i = 0; i < HELPERS; i++)
        lookup_end(&l[i], "192.0.2.9");
}

TEST(a_child_forked_meanwhile_can_resolve)
{
    needs_threads_after_fork();
    static struct lookup l[HELPERS];
    static struct query q[HELPERS];
    int fd = server_start(patient);
    start_hanging(l, HELPERS, fd, q);
    pid_t pid = fork();
    if (pid == 0) {
        struct lookup own;
        lookup_start(&own, "known");
        lookup_end(&own, "192.0.2.7");
        _exit(0);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EXITED(status, 0);
    for (int i = 0; i < HELPERS; i++)
        server_answer(fd, &q[i]);
    for (int i = 0; i < HELPERS; i++)
        lookup_end(&l[i], "192.0.2.9");
}

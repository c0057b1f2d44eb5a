/* SPDX-License-Identifier: MIT */
/* Lookups are interrupted at random moments: each has its result or was interrupted, and no helper is lost. */
#include "server.h"

struct caller {
    struct t_thread thread;
    struct t_gate known;
    bough_thread *self;
    _Atomic long cut, done;
    _Atomic int over;
};

static void *look_up_and_again(void *argument)
{
    struct caller *c = argument;
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    c->self = bough_self();
    t_gate_open(&c->known);
    while (!c->over) {
        struct addrinfo *list = NULL;
        int code = bough_getaddrinfo("localhost", NULL, &hints, &list);
        if (code == 0) {
            CHECK(list);
            freeaddrinfo(list);
            c->done++;
            continue;
        }
        CHECK_EQ(code, EAI_SYSTEM);
        CHECK_EQ(errno, ECANCELED);
        CHECK_EQ(list, NULL);
        bough_clear(NULL);
        c->cut++;
    }
    return NULL;
}

TEST_LIMIT(lookups_may_be_interrupted_at_random_moments, 300)
{
    static struct caller c[20];
    const int count = (int)(sizeof c / sizeof *c);
    uint64_t random = t_seed();
    long cut = 0, done = 0, wanted = t_loss() / 5 + 1;
    for (int i = 0; i < count; i++) {
        t_spawn(&c[i].thread, look_up_and_again, &c[i]);
        t_gate_wait(&c[i].known);
    }
    while (cut < wanted) {
        bough_interrupt(c[t_random(&random) % (unsigned)count].self, "storm");
        if (t_random(&random) % 4 == 0)
            nanosleep(&(struct timespec){0, (long)(t_random(&random) % 50000)}, NULL);
        cut = 0;
        for (int i = 0; i < count; i++)
            cut += c[i].cut;
    }
    for (int i = 0; i < count; i++) { /* no interrupts now: each thread makes progress */
        long before = c[i].done;
        t_until(c[i].done > before + 3);
    }
    for (int i = 0; i < count; i++) {
        c[i].over = 1;
        t_join(&c[i].thread);
        done += c[i].done;
    }
    CHECK(helpers() <= 16);
    t_until(helpers() == 0);
    t_note("%ld lookups interrupted, %ld done", cut, done);
}

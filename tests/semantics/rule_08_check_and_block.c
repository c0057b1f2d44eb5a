/* SPDX-License-Identifier: MIT */
/* Rule 8: check and block are one step. tests/races/window.c injects delays between them. */
#include "target.h"

TEST(a_record_posted_before_the_call_ends_it)
{
    int fds[2];
    char byte;
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    post_stop(bough_self());
    CHECK_ERR(bough_read(fds[0], &byte, 1), ECANCELED); /* fails although it would not block */
    CHECK_EQ(bough_clear(NULL), 1);
    CHECK_EQ(bough_read(fds[0], &byte, 1), 1);
    close(fds[0]);
    close(fds[1]);
}

TEST(a_record_posted_during_the_call_ends_it)
{
    for (int i = 0; i < 200; i++) {
        struct target t = {0};
        target_start(&t);
        CHECK_EQ(bough_interrupt(t.self, "now"), 0);
        target_was_cut(&t);
        target_end(&t);
    }
}

/* Posts at random moments around the entry of a read: each must end one, or the test hangs. */
struct loop {
    int fds[2];
    bough_thread *self;
    struct t_gate known;
    uint32_t over;
    long ended;
};

static void *read_in_a_loop(void *argument)
{
    struct loop *l = argument;
    uint64_t chance = t_seed() | 1;
    l->self = bough_self();
    t_gate_open(&l->known);
    while (!__atomic_load_n(&l->over, __ATOMIC_ACQUIRE)) {
        char byte;
        CHECK_ERR(bough_read(l->fds[0], &byte, 1), ECANCELED);
        bough_clear(NULL); /* cleared before the poster is notified, so that the next post comes later */
        __atomic_fetch_add(&l->ended, 1, __ATOMIC_SEQ_CST);
        spin((int64_t)(t_random(&chance) % 2000));
    }
    return NULL;
}

TEST_LIMIT(no_post_is_lost_at_any_moment, 60)
{
    struct loop l = {0};
    struct t_thread thread;
    uint64_t chance = t_seed() | 3;
    CHECK_EQ(pipe(l.fds), 0);
    t_spawn(&thread, read_in_a_loop, &l);
    t_gate_wait(&l.known);
    for (int i = 0; i < 20000; i++) {
        long before = __atomic_load_n(&l.ended, __ATOMIC_SEQ_CST);
        CHECK_EQ(bough_interrupt(l.self, NULL), 0);
        t_until(__atomic_load_n(&l.ended, __ATOMIC_SEQ_CST) > before);
        spin((int64_t)(t_random(&chance) % 2000));
    }
    __atomic_store_n(&l.over, 1, __ATOMIC_RELEASE);
    bough_interrupt(l.self, NULL); /* unless the thread has ended already */
    t_join(&thread);
    close(l.fds[0]);
    close(l.fds[1]);
}

/* A blocked thread does not poll: it does not run until it is interrupted. */
static long switches(pid_t tid)
{
    char path[64], line[128];
    long count = -1;
    snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)tid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "voluntary_ctxt_switches: %ld", &count) == 1)
            break;
    if (f)
        fclose(f);
    return count;
}

TEST(a_blocked_call_does_not_poll)
{
    struct target t = {0};
    target_start(&t);
    long before = switches(t.thread.tid);
    if (before < 0)
        SKIP("no /proc/self/task/TID/status");
    spin(ms(100));
    CHECK_EQ(switches(t.thread.tid), before);
    CHECK_EQ(bough_interrupt(t.self, "now"), 0);
    target_was_cut(&t);
    target_end(&t);
}

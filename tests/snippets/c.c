/* SPDX-License-Identifier: MIT */
/* The parts of docs/c.md, run. */
#include <bough.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int running, most, jobs;

static int job(void *unused)
{
    (void)unused;
    int now = __atomic_add_fetch(&running, 1, __ATOMIC_SEQ_CST);
    if (now > most)
        most = now;
    bough_usleep(1000);
    jobs++;
    __atomic_sub_fetch(&running, 1, __ATOMIC_SEQ_CST);
    return 0;
}

static int copy_one(void *name)
{
    return *(const char *)name == 'b' ? bough_fail(BOUGH_SELF, ENOSPC, "b") : 0;
}

static void library_call(void)
{
    poll(NULL, 0, -1);
}

static int saved;

static int save_draft(const void *document)
{
    (void)document;
    saved++;
    return 0;
}

static void step(const void *document)
{
    (void)document;
}

#include "1.inc"
#include "2.inc"
#include "3.inc"
#include "4.inc"
#include "5.inc"
#include "6.inc"
#include "7.inc"
#include "8.inc"
#include "9.inc"
#include "10.inc"
#include "11.inc"
#include "12.inc"
#include "13.inc"

#define CHECK(condition)                                                      \
    do {                                                                      \
        if (!(condition))                                                     \
            return fprintf(stderr, "line %d: " #condition "\n", __LINE__), 1; \
    } while (0)

/* Returns the outcome of a child that is interrupted at once. */
static enum bough_outcome interrupted(bough_fn *fn, bough_resource resource)
{
    enum bough_outcome outcome = BOUGH_LOST;
    BOUGH_BRANCH(b, .collect = 1) {
        bough_thread *child = bough_add(b, fn, resource);
        bough_interrupt(child, "now");
        bough_join(child);
        outcome = (enum bough_outcome)bough_outcome(child, NULL);
    }
    return outcome;
}

int main(void)
{
    int ends[2];
    char byte;
    stop_one_then_all();
    CHECK(bough_last()->interrupted);

    int server = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(server >= 0 && listen(server, 5) == 0);
    BOUGH_BRANCH(outer) {
        bough_interrupt(outer, "closed");
        CHECK(serve(server) == ECANCELED);
    }
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    BOUGH_BRANCH(echo) {
        bough_add(echo, handle_client, bough_fd(ends[0]));
        CHECK(write(ends[1], "x", 1) == 1 && read(ends[1], &byte, 1) == 1 && byte == 'x');
        close(ends[1]);
    }
    CHECK(bough_last_result() == 0);

    two_at_a_time();
    CHECK(jobs == 6 && most <= 2);

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    CHECK(ask(ends[0]) == ETIMEDOUT);
    CHECK(read_header(ends[0], &byte, 1) == -1 && errno == ETIMEDOUT);

    int standard_error = dup(STDERR_FILENO);
    CHECK(freopen("/dev/null", "w", stderr) != NULL);
    CHECK(copy_all() == ENOSPC);
    dup2(standard_error, STDERR_FILENO);

    CHECK(interrupted(session, bough_fd(ends[0])) == BOUGH_INTERRUPTED);
    CHECK(read(ends[1], &byte, 1) == 1 && byte == 'b');
    CHECK(interrupted(sum, bough_arg(NULL)) == BOUGH_INTERRUPTED);
    produce();
    CHECK(bough_last_result() == 0);
    stop_plain_thread();
    CHECK(interrupted(loop, bough_arg(NULL)) == BOUGH_INTERRUPTED);

    CHECK(bough_interpose(NULL, 0) > 0);
    CHECK(interrupted(query, bough_arg(NULL)) == BOUGH_INTERRUPTED);

    uint32_t word = 1;
    CHECK(wait_for_change(&word) == -1 && errno == EAGAIN);

    struct bough_ladder ladder = {.ceiling = {[BOUGH_STOP] = BOUGH_RUNG_FINAL}};
    CHECK(bough_ladder_set(BOUGH_ROOT, &ladder) == 0);
    BOUGH_BRANCH(b) {
        struct bough_event event = {.kind = BOUGH_STOP, .rung = BOUGH_RUNG_HANDLER};
        bough_thread *child = bough_add(b, edit, bough_arg(NULL));
        bough_post_event(child, &event);
    }
    CHECK(saved <= 1);
    return 0;
}

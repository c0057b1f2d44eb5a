/* SPDX-License-Identifier: MIT */
/* Rule 41: a reader from outside sees no half-changed slot, however fast slots change. */
#include <bough.h>
#include <signal.h>
#include <sys/mman.h>
#include "harness.h"
#include "torn.h"
#include "view.h"

enum { SECONDS = 3 };

static void churn(_Atomic uint64_t *rounds)
{
    for (uint32_t x = 1;; x++) {
        add_and_end(x * 2654435761u);
        ++*rounds;
    }
}

static void check_node(const struct node *n, unsigned *seen)
{
    if (!n || (n->branch && n->index == BO_ROOT))
        return;
    if (n->branch || n->slot.thread.worker)
        check_whole(n->slot.target.name, n->branch ? "branch" : "thread");
    for (unsigned i = 0; i < n->record_count; i++)
        check_whole(n->records[i]->reason, "record");
    *seen += 1 + n->record_count;
}

static unsigned look(const struct arena *a)
{
    unsigned seen = 0;
    struct view *v = view_new(a);
    CHECK(v);
    for (uint32_t i = 1; i < 64; i++) {
        check_node(v->thread[i], &seen);
        check_node(v->branch[i], &seen);
    }
    view_free(v);
    return seen;
}

TEST_LIMIT(no_half_changed_slot_is_seen, 30)
{
    _Atomic uint64_t *rounds = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct arena a;
    unsigned long seen = 0, looks = 0;
    pid_t pid = fork();
    if (pid == 0)
        churn(rounds);
    while (*rounds < 10)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    CHECK_EQ(attach_process(&a, pid), ATTACHED);
    uint64_t before = *rounds;
    for (int64_t end = t_now() + SECONDS * 1000000000LL; t_now() < end; looks++)
        seen += look(&a);
    double rate = (double)(*rounds - before) * 5 / SECONDS;
    detach(&a);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    munmap((void *)rounds, 4096);
    t_note("%lu reads saw %lu slots and records, while %.0f were made and ended in a second", looks, seen, rate);
    CHECK(seen > 100);
}

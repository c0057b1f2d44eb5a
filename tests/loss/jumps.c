/* SPDX-License-Identifier: MIT */
/* Rules 8, 19 and 22: foreign code makes one call after the other until a signal handler leaves it by a plain
 * siglongjmp(), at a random step of a call, and in every second round while an interrupt is under way. After each jump
 * an interrupt ends the next call, and no state of the abandoned call remains. If a jump left a lock of the loader
 * held, the process would hang at its end. */
#include <bough.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>
#include "harness.h"
#include "harness_internal.h"
#include "../sync/not_under.h"

static sigjmp_buf out;
static int silent[2], ready[2];
static _Atomic bool armed, over;
static bough_thread *self;
static struct t_thread caller;
static long cut_before;

static void jump(int signo)
{
    siglongjmp(out, signo);
}

/* The call blocks or returns at once, so that the signal also comes before and after the system call. */
static void call_until_left(bool blocks)
{
    armed = true;
    for (;;)
        if (poll(&(struct pollfd){blocks ? silent[0] : ready[0], POLLIN, 0}, 1, blocks ? -1 : 1000) < 0)
            cut_before++;
}

static void check_next(void)
{
    char byte;
    bough_clear(NULL);
    CHECK_EQ(poll(&(struct pollfd){ready[0], POLLIN, 0}, 1, 1000), 1);
    CHECK_EQ(bough_interrupt(bough_self(), "next"), 0);
    CHECK_ERR(bough_read(silent[0], &byte, 1), ECANCELED);
    CHECK_EQ(read(silent[0], &byte, 1), -1);
    CHECK_ERR(bough_read(silent[0], &byte, 1), ECANCELED);
    CHECK_EQ(bough_clear(NULL), 1);
    CHECK_EQ(bough_foreign(), 1);
}

static void *call_and_be_left(void *rounds)
{
    struct t_gate *known = rounds;
    CHECK_EQ(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = jump}, NULL), 0);
    self = bough_self();
    t_gate_open(known);
    BOUGH_FOREIGN
    {
        for (volatile long round = 0; round < t_loss(); round++) {
            if (sigsetjmp(out, 1) == 0)
                call_until_left(round % 4 == 0);
            check_next();
        }
    }
    over = true;
    return NULL;
}

static void spin(uint64_t *random, unsigned most)
{
    for (volatile uint64_t left = t_random(random) % most; left; left--) {
    }
}

TEST(after_a_jump_out_of_any_step_of_a_call_the_next_call_is_interrupted)
{
    needs_handlers_in_calls();
    struct t_gate known = {0};
    uint64_t random = 1;
    bool posts = false;
    long jumps = 0;
    CHECK_EQ(pipe(silent), 0);
    CHECK_EQ(pipe(ready), 0);
    CHECK_EQ(write(ready[1], "x", 1), 1);
    CHECK(bough_interpose((const char *const[]){"", NULL}, 0) > 0);
    t_spawn(&caller, call_and_be_left, &known);
    t_gate_wait(&known);
    while (!over) {
        if (!armed)
            continue;
        spin(&random, 3000);
        armed = false;
        if ((posts = !posts)) {
            CHECK_EQ(bough_interrupt(self, "on its way"), 0);
            spin(&random, 30000); /* a random time, after which the call may have failed, or be about to fail */
        }
        CHECK_EQ(pthread_kill(caller.handle, SIGUSR1), 0);
        jumps++;
    }
    t_join(&caller);
    t_note("%ld jumps; %ld calls were interrupted before", jumps, cut_before);
    close(silent[0]);
    close(silent[1]);
    close(ready[0]);
    close(ready[1]);
}

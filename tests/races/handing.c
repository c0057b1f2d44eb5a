/* SPDX-License-Identifier: MIT */
/* Rule 13: the program uses the wake signal as well, and has installed its handler first. */
#include <setjmp.h>
#include <signal.h>
#include "hooks.h"

static _Atomic int handled;

static sigjmp_buf out;
static volatile sig_atomic_t jumps;

static void count_one(int signo)
{
    handled++;
    if (jumps)
        siglongjmp(out, signo);
}

/* Runs before the library's constructor. */
__attribute__((constructor(101))) static void program_is_first(void)
{
    sigaction(SIGURG, &(struct sigaction){.sa_handler = count_one, .sa_flags = SA_RESTART}, NULL);
}

/* The program sends the signal while a wake is under way. */
static void *post_it(void *argument)
{
    hooked = t_tid();
    CHECK_EQ(bough_interrupt(((struct target *)argument)->self, "slowly"), 0);
    return NULL;
}

TEST(a_signal_of_the_program_reaches_its_handler_while_a_wake_is_under_way)
{
    struct target t = {0};
    struct t_thread poster;
    NEED_HOOKS();
    target_start(&t);
    handled = 0;
    bo_hook_post_sent = stop_here;
    t_spawn(&poster, post_it, &t);
    t_gate_wait(&hook_reached);
    pthread_kill(t.thread.handle, SIGURG);
    t_until(handled == 1);
    t_gate_open(&hook_go);
    t_join(&poster);
    target_was_cut(&t);
    target_end(&t);
    CHECK_EQ(handled, 1);
}

static void raise_and_jump(void)
{
    jumps = 1;
    if (sigsetjmp(out, 1) == 0)
        raise(SIGURG);
    jumps = 0;
}

/* Fixed bug: the thread counted as being in its handler for good, and got no more signals handed on. */
TEST(a_handler_that_has_jumped_gets_the_next_signal)
{
    bough_self();
    handled = 0;
    raise_and_jump();
    CHECK_EQ(handled, 1);
    raise(SIGURG);
    CHECK_EQ(handled, 2);
}

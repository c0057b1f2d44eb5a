/* SPDX-License-Identifier: MIT */
/* Rules 19 and 22: a signal's handler leaves a call of foreign code by a plain siglongjmp(), at each step of that
 * call. */
#include <bough.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include "hooks.h"

static sigjmp_buf out;
static int fds[2];
static uint32_t jump_at; /* the pass of the hook at which the jump happens */

static void jump(int signo)
{
    siglongjmp(out, signo);
}

static void jump_here(void)
{
    if (t_tid() == hooked && __atomic_add_fetch(&hook_passed, 1, __ATOMIC_SEQ_CST) == jump_at)
        raise(SIGUSR1);
}

/* The thread's state is as after a call that has ended: bough's calls fail each time, calls of foreign code once in a
 * grace period. */
static void calls_fail_as_before(void)
{
    CHECK_EQ(bough_foreign(), 1);
    CHECK_EQ(bough_interrupt(bough_self(), "test"), 0);
    for (int i = 0; i < 3; i++)
        CHECK_ERR(bough_usleep(1000), ECANCELED);
    CHECK_EQ(poll(&(struct pollfd){fds[0], POLLIN, 0}, 1, 60000), -1);
    CHECK_EQ(poll(NULL, 0, 1), 0);
    for (int i = 0; i < 3; i++)
        CHECK_ERR(bough_usleep(1000), ECANCELED);
    CHECK_EQ(bough_clear(NULL), 1);
    CHECK_EQ(bough_usleep(1), 0);
    CHECK_EQ(poll(NULL, 0, 1), 0);
}

static void jump_out_at(void (*volatile *hook)(void), uint32_t pass)
{
    CHECK_EQ(pipe(fds), 0);
    CHECK_EQ(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = jump}, NULL), 0);
    BOUGH_FOREIGN
    {
        volatile int jumps = 0;
        CHECK_EQ(bough_interrupt(bough_self(), "before"), 0);
        /* from here on the record is due for bough's calls only */
        CHECK_EQ(poll(&(struct pollfd){fds[0], POLLIN, 0}, 1, 60000), -1);
        hooked = t_tid();
        hook_passed = 0;
        jump_at = pass;
        *hook = jump_here;
        if (sigsetjmp(out, 1) == 0)
            poll(NULL, 0, 1);
        else
            jumps++;
        *hook = NULL;
        CHECK_EQ(jumps, 1);
        CHECK_ERR(bough_check(), ECANCELED);
        CHECK_ERR(bough_usleep(1000), ECANCELED);
        CHECK_EQ(bough_clear(NULL), 1);
        calls_fail_as_before();
    }
    close(fds[0]);
    close(fds[1]);
}

#define JUMPS_OUT_AT(hook, pass)                                        \
    TEST(a_jump_out_of_a_foreign_call_at_##hook##_##pass)               \
    {                                                                   \
        NEED_HOOKS();                                                   \
        CHECK(bough_interpose((const char *const[]){"", NULL}, 0) > 0); \
        jump_out_at(&bo_hook_##hook, pass);                             \
    }

/* The first pass is the start of the call, the second its end. */
JUMPS_OUT_AT(foreign_begins, 1)
JUMPS_OUT_AT(foreign_ends, 1)
JUMPS_OUT_AT(foreign_begins, 2)
JUMPS_OUT_AT(foreign_ends, 2)
JUMPS_OUT_AT(call_entered, 1)
JUMPS_OUT_AT(call_left, 1)
JUMPS_OUT_AT(call_out, 1)

/* SPDX-License-Identifier: MIT */
/* Fixed bug: on some machines the kernel's struct sigaction has one more field, and the kernel wrote past the end of
 * the library's struct. */
#include <signal.h>
#include <string.h>
#include "arch/action.h"
#include "harness.h"

enum { ROOM = 256, FILL = 0xa5 };

/* Large enough for the struct of any machine. */
static union room {
    struct bo_kernel_action action;
    unsigned char byte[ROOM];
} room;

static void never(int signo)
{
    (void)signo;
}

/* A mask with some signals set and others not. */
static const int in_mask[] = {SIGHUP, SIGUSR2, SIGURG, 40, 64};

static void set_by_libc(void)
{
    struct sigaction action = {.sa_handler = never, .sa_flags = SA_RESTART | SA_ONSTACK | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof in_mask / sizeof *in_mask; i++)
        sigaddset(&action.sa_mask, in_mask[i]);
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
}

static uint64_t whole_mask(void)
{
    uint64_t mask = 0;
    for (size_t i = 0; i < sizeof in_mask / sizeof *in_mask; i++)
        mask |= (uint64_t)1 << (in_mask[i] - 1);
    return mask;
}

static void ask(void)
{
    memset(&room, FILL, sizeof room);
    CHECK_EQ(bo_kernel_sigaction(SIGUSR1, NULL, &room.action), 0);
}

TEST(the_kernel_writes_nothing_past_the_end)
{
    set_by_libc();
    ask();
    for (size_t i = sizeof room.action; i < sizeof room; i++)
        CHECK_EQ(room.byte[i], FILL);
}

/* A sanitizer installs its handler in place of the program's. */
TEST(each_field_is_where_the_kernel_has_it)
{
    unsigned long flags = SA_RESTART | SA_ONSTACK | SA_NODEFER;
    set_by_libc();
    ask();
    if (!T_ASAN && !T_TSAN)
        CHECK(room.action.handler == (void (*)(int, siginfo_t *, void *))(void (*)(void))never);
    CHECK_EQ(room.action.flags & flags, flags);
    CHECK_EQ(room.action.flags & SA_RESETHAND, 0);
    if (!T_TSAN) /* the sanitizer blocks all signals while its handler runs */
        CHECK_EQ(room.action.mask, whole_mask());
}

TEST(libc_reads_the_action_that_was_set)
{
    struct sigaction now;
    if (T_TSAN)
        SKIP("the thread sanitizer returns the entry of its own table");
    set_by_libc();
    ask();
    room.action.flags |= SA_RESETHAND;
    room.action.mask = whole_mask() & ~(uint64_t)1; /* without SIGHUP */
    CHECK_EQ(bo_kernel_sigaction(SIGUSR1, &room.action, NULL), 0);
    CHECK_EQ(sigaction(SIGUSR1, NULL, &now), 0);
    CHECK(now.sa_flags & SA_RESETHAND);
    CHECK(!sigismember(&now.sa_mask, SIGHUP));
    CHECK(sigismember(&now.sa_mask, SIGUSR2));
    CHECK(sigismember(&now.sa_mask, 64));
    if (!T_ASAN && !T_TSAN)
        CHECK(now.sa_handler == never);
}

/* SPDX-License-Identifier: MIT */
/* An ioctl() of foreign code in which a signal would make the kernel spin is not interrupted. Rule 46. (tests/calls has
 * an ioctl() that is interrupted.) */
#include <bough.h>
#include <pty.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include "harness.h"

static _Atomic pid_t tid;

static int stopped_terminal(int *user)
{
    struct termios settings;
    int terminal;
    if (openpty(user, &terminal, NULL, NULL, NULL) != 0)
        SKIP("no pseudo-terminal here: %s", strerror(errno));
    CHECK_EQ(tcgetattr(terminal, &settings), 0);
    cfmakeraw(&settings);
    CHECK_EQ(tcsetattr(terminal, TCSANOW, &settings), 0);
    CHECK_EQ(tcflow(terminal, TCOOFF), 0);
    return terminal;
}

static _Atomic pid_t writer;

static void *writes(void *terminal)
{
    writer = gettid();
    CHECK_EQ(write(*(int *)terminal, "hello", 5), 5);
    return NULL;
}

/* libc's numbers, and those that libc's headers lack on some machines: TCGETS2, TCSETSW2, TCSETSF2. */
#define GET2 ((bough_ioctl_request)0x802C542A)
#define SET_AND_WAIT2 ((bough_ioctl_request)0x402C542C)
#define SET_AND_FLUSH2 ((bough_ioctl_request)0x402C542D)

static struct {
    bough_ioctl_request get, set;
} requests;

static int sets(void *argument)
{
    int terminal = *(int *)argument;
    char settings[256];
    CHECK_EQ(ioctl(terminal, requests.get, settings), 0);
    tid = gettid();
    BOUGH_FOREIGN
    {
        CHECK_EQ(ioctl(terminal, requests.set, settings), 0);
    }
    CHECK_ERR(bough_check(), ECANCELED); /* the record stays */
    return ECANCELED;
}

static void interrupt_it(int terminal)
{
    BOUGH_BRANCH(b, .collect = 1) {
        bough_thread *child =
            bough_add(b, sets, (bough_resource){.value = &terminal}); /* no destructor: the test closes the terminal */
        CHECK(child != NULL);
        t_until(tid != 0);
        t_until_blocked(tid);
        CHECK_EQ(bough_interrupt(child, "stop"), 0);
        t_until_blocked(tid); /* still blocked */
        CHECK_EQ(tcflow(terminal, TCOON), 0);
        CHECK_EQ(bough_join(child), 0);
    }
}

static void is_left_alone(bough_ioctl_request get, bough_ioctl_request set)
{
    char settings[256];
    int user, terminal = stopped_terminal(&user);
    struct t_thread thread;
    requests.get = get;
    requests.set = set;
    if (ioctl(terminal, get, settings) != 0)
        SKIP("no such request here: %s", strerror(errno));
    CHECK(bough_interpose((const char *const[]){"", NULL}, 0) > 0);
    t_spawn(&thread, writes, &terminal);
    t_until(writer != 0);
    t_until_blocked(writer);
    interrupt_it(terminal);
    t_join(&thread);
    close(terminal);
    close(user);
}

TEST(tcsetsw_is_not_interrupted)
{
    is_left_alone(TCGETS, TCSETSW);
}

TEST(tcsetsw2_is_not_interrupted)
{
    is_left_alone(GET2, SET_AND_WAIT2);
}

TEST(tcsetsf_is_not_interrupted)
{
    is_left_alone(GET2, SET_AND_FLUSH2);
}

/* SPDX-License-Identifier: MIT */
/* Devices: ioctl() and terminals. */
#include "recipe.h"

#include <bough.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pty.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <termios.h>

/* A request that blocks: SECCOMP_IOCTL_NOTIF_RECV waits until a filtered thread makes the call that its filter
 * hands to a supervisor; here an unused number. */
enum { TRAPPED = 1 << 20 };
static const bough_ioctl_request notif_recv = (bough_ioctl_request)SECCOMP_IOCTL_NOTIF_RECV,
                                 notif_send = (bough_ioctl_request)SECCOMP_IOCTL_NOTIF_SEND;

static void make_listener(struct stage *s)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TRAPPED, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    s->fd[0] = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (s->fd[0] < 0)
        SKIP("no seccomp listener here: %s", strerror(errno));
    s->memory = calloc(1, 4096);
}

static void *make_trapped_call(void *unused)
{
    (void)unused;
    syscall(TRAPPED);
    return NULL;
}

static struct t_thread trapped;

static void trap(struct stage *s)
{
    (void)s;
    t_spawn(&trapped, make_trapped_call, NULL);
}

static void got_notification(struct stage *s, long result)
{
    const struct seccomp_notif *request = s->memory;
    struct seccomp_notif_resp response = {.id = request->id, .error = -ENOSYS};
    CHECK_EQ(result, 0);
    CHECK_EQ(request->data.nr, TRAPPED);
    CHECK_EQ(ioctl(s->fd[0], notif_send, &response), 0);
    t_join(&trapped);
}

static void free_memory(struct stage *s)
{
    free(s->memory);
}

/* A process can have only one listener, so each act is a separate test. */
static void play_listener(long (*function)(struct stage *s))
{
    static struct recipe recipe = {
        .how = BLOCKS,
        .prepare = make_listener,
        .release = trap,
        .done = got_notification,
        .clean = free_memory,
    };
    struct player player = {.recipe = &recipe};
    recipe.dropin = function;
    play_whole(&player, function);
}

BOTH(ioctl, s->fd[0], notif_recv, s->memory)

TEST(ioctl_completes)
{
    play_listener(dropin_ioctl);
}

TEST(ioctl_of_libc_completes)
{
    play_listener(namesake_ioctl);
}

RECIPE_CUT(ioctl, .how = BLOCKS, .prepare = make_listener, .clean = free_memory)

TEST(ioctl_fails_as_its_namesake)
{
    int window;
    CHECK_ERR(bough_ioctl(-1, FIONREAD, &window), EBADF);
    CHECK_ERR(bough_ioctl(0, TIOCGWINSZ, &window), ENOTTY);
}

static void make_terminal(struct stage *s)
{
    if (openpty(&s->fd[0], &s->fd[1], NULL, NULL, NULL) != 0)
        SKIP("no pseudo-terminal here: %s", strerror(errno));
}

/* A pseudo-terminal's output is sent at once: it can't block here. */
BOTH(tcdrain, s->fd[1])
WRONG(tcdrain, -1)
RECIPE(tcdrain, .how = NO_BLOCK, .prepare = make_terminal, .done = result_is_0)

#ifndef INTERPOSED
/* On powerpc64 libc's struct termios is not the kernel's. */
TEST(ioctl_takes_a_terminals_settings_as_libc_does)
{
    struct termios got, expected;
    int fd = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(fd >= 0);
    CHECK_EQ(bough_ioctl(fd, TCGETS, &got), 0);
    CHECK_EQ(tcgetattr(fd, &expected), 0);
    CHECK_EQ(got.c_lflag, expected.c_lflag);
    CHECK_EQ(got.c_cc[VEOF], expected.c_cc[VEOF]);
    got.c_lflag ^= ECHO;
    CHECK_EQ(bough_ioctl(fd, TCSETSW, &got), 0);
    CHECK_EQ(tcgetattr(fd, &expected), 0);
    CHECK_EQ(got.c_lflag, expected.c_lflag);
    close(fd);
}
#endif

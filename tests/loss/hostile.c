/* SPDX-License-Identifier: MIT */
/* Nothing is lost in a process that is short of what others take for granted. */
#include "rain.h"
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static int channel[2];
static void feed_and_disturb(uint64_t *random);
static void (*on_target)(void); /* once, when the target is known */

static int turn_read_pipe(uint64_t *random)
{
    static bool begun;
    char byte;
    (void)random;
    if (!begun && on_target)
        on_target();
    begun = true;
    if (bough_read(channel[0], &byte, 1) == 1)
        return 0;
    /* Without a window the signal does not restart calls: others who send it end them, as they would any call. */
    return errno == EINTR && rain.feed == feed_and_disturb ? 0 : -1;
}

static void feed_pipe(uint64_t *random)
{
    rain_pause(random);
    if (write(channel[1], "x", 1) < 0)
        CHECK_EQ(errno, EAGAIN);
}

static void fall_here(long count)
{
    CHECK_EQ(pipe2(channel, O_NONBLOCK), 0);
    fcntl(channel[0], F_SETFL, 0);
    rain.turn = turn_read_pipe;
    rain.feed = rain.feed ? rain.feed : feed_pipe;
    rain.count = count > 20 ? count : 20;
    rain_fall();
    close(channel[0]);
    close(channel[1]);
}

/* ---- a filter that forbids membarrier(), as some containers have ----------------------------------------------- */

static void forbid_membarrier(void)
{
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        SKIP("no seccomp filters here: %s", strerror(errno));
    CHECK_ERR(syscall(SYS_membarrier, 0, 0, 0), EPERM);
}

TEST_LIMIT(without_membarrier, 1000)
{
    forbid_membarrier();
    fall_here(t_loss() / 4);
}

/* ---- no room for queued signals: the kernel then sends one without saying who sent it -------------------------- */

static void take_the_room(void)
{
    CHECK_EQ(setrlimit(RLIMIT_SIGPENDING, &(struct rlimit){0, 0}), 0);
}

TEST_LIMIT(without_room_for_signals, 1000)
{
    rain.dry = true; /* a timer needs room, too */
    on_target = take_the_room;
    fall_here(t_loss() / 4);
}

/* ---- others use the wake signal, too ---------------------------------------------------------------------------- */

/* Out-of-band data for this thread, say. One that waits to be delivered swallows ours. Not as fast as a loop can: 100,000 a
 * second leave the kernel no moment to deliver ours in, and the thread answers when they end. */
static void feed_and_disturb(uint64_t *random)
{
    siginfo_t info = {.si_signo = SIGURG, .si_code = SI_QUEUE};
    feed_pipe(random);
    if (t_random(random) % 16 != 0)
        return;
    usleep(100);
    syscall(SYS_rt_tgsigqueueinfo, getpid(), rain.target.tid, SIGURG, &info);
}

TEST_LIMIT(beside_other_uses_of_the_signal, 1000)
{
    rain.feed = feed_and_disturb;
    rain.dry = true;
    fall_here(t_loss() / 20);
}

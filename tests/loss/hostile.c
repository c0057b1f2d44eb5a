/* SPDX-License-Identifier: MIT */
/* Nothing is lost in a process that lacks resources or system calls. */
#include "one_thread.h"
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static int channel[2];
static void feed_and_disturb(uint64_t *random);
static void (*on_target)(void); /* runs once, when the target has been adopted */

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
    /* Without a window the signal does not restart calls, so that it ends them if other code sends it. */
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

/* ---- a filter that forbids membarrier(), as some containers have ------------------------------------------------- */

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

TEST_LIMIT(nothing_is_lost_without_membarrier, 1000)
{
    forbid_membarrier();
    fall_here(t_loss() / 4);
}

/* ---- no room for queued signals: the kernel then sends the signal without its sender ----------------------------- */

static void take_the_room(void)
{
    CHECK_EQ(setrlimit(RLIMIT_SIGPENDING, &(struct rlimit){0, 0}), 0);
}

TEST_LIMIT(nothing_is_lost_without_room_for_signals, 1000)
{
    rain.dry = true; /* a timer needs room for a queued signal as well */
    on_target = take_the_room;
    fall_here(t_loss() / 4);
}

/* ---- other code uses the wake signal, too ------------------------------------------------------------------------ */

/* Sends the signal as other code does, for example the kernel for out-of-band data. While such a signal is pending,
 * bough's signal is merged with it. */
static void feed_and_disturb(uint64_t *random)
{
    siginfo_t info = {.si_signo = SIGURG, .si_code = SI_QUEUE};
    feed_pipe(random);
    if (t_random(random) % 16 == 0)
        syscall(SYS_rt_tgsigqueueinfo, getpid(), rain.target.tid, SIGURG, &info);
}

/* ---- a flood of the signal: whenever bough sends it, one is pending already -------------------------------------- */

static struct {
    pid_t target;
    uint32_t over;
} flood;

static void *pour(void *unused)
{
    siginfo_t info = {.si_signo = SIGURG, .si_code = SI_QUEUE};
    (void)unused;
    while (!__atomic_load_n(&flood.over, __ATOMIC_SEQ_CST))
        syscall(SYS_rt_tgsigqueueinfo, getpid(), flood.target, SIGURG, &info);
    return NULL;
}

static void *is_cut_again_and_again(void *argument)
{
    char byte;
    bough_thread **self = argument;
    __atomic_store_n(self, bough_self(), __ATOMIC_SEQ_CST);
    for (long cuts = 0; cuts <= t_loss() / 100; cuts++) {
        while (bough_read(channel[0], &byte, 1) < 0 && errno == EINTR)
            continue;
        CHECK_EQ(errno, ECANCELED);
        CHECK_EQ(bough_clear(NULL), 1);
    }
    return NULL;
}

/* A signal from other code ends a call that is due: tests/races/sending.c shows each case. */
TEST_LIMIT(a_flood_of_the_signal_delays_no_wake, 600)
{
    if (T_TSAN)
        SKIP("the thread sanitizer delays handlers while a thread is in a call");
    struct t_thread target, pours[4];
    bough_thread *self = NULL;
    CHECK_EQ(pipe(channel), 0);
    t_spawn(&target, is_cut_again_and_again, &self);
    t_until(__atomic_load_n(&self, __ATOMIC_SEQ_CST));
    flood.target = target.tid;
    for (int i = 0; i < 4; i++)
        t_spawn(&pours[i], pour, NULL);
    for (bough_post post; (post = bough_post_event(self, NULL)).record;)
        if (bough_post_wait(post, bough_after(BOUGH_SEC(5))) != 0)
            FAIL("a wake is lost: %s", strerror(errno));
    t_join(&target);
    __atomic_store_n(&flood.over, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 4; i++)
        t_join(&pours[i]);
    close(channel[0]);
    close(channel[1]);
}

TEST_LIMIT(nothing_is_lost_beside_other_uses_of_the_signal, 1000)
{
    rain.feed = feed_and_disturb;
    rain.dry = true;
    fall_here(t_loss() / 20);
}

/* SPDX-License-Identifier: MIT */
/* Rule 22: foreign code leaves its calls by a plain siglongjmp() out of a signal handler, and makes further calls. */
#include <bough.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <unistd.h>
#include "harness.h"

#ifdef __x86_64__
#define T_NO_HANDLER_FRAMES T_FALLBACK
#else
#define T_NO_HANDLER_FRAMES 1
#endif

static sigjmp_buf out;
static struct t_gate called, called_deeper;
static bough_thread *self;

static void jump(int signo)
{
    siglongjmp(out, signo);
}

/* Its frames are further down the stack than the frame of the abandoned call. */
__attribute__((noinline)) static int read_deeper(int fd, int depth)
{
    volatile char space[4096] = {0};
    char byte;
    int r = depth ? read_deeper(fd, depth - 1) : (t_gate_open(&called_deeper), (int)read(fd, &byte, 1));
    space[depth] = 0;
    return r + space[depth];
}

static void *jumps_and_reads_deeper(void *fd)
{
    CHECK_EQ(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = jump}, NULL), 0);
    self = bough_self();
    BOUGH_FOREIGN
    {
        if (sigsetjmp(out, 1) == 0) {
            t_gate_open(&called);
            poll(NULL, 0, -1);
        }
        CHECK_EQ(read_deeper(*(int *)fd, 8), -1);
    }
    return NULL;
}

TEST(after_a_jump_a_call_further_down_the_stack_is_interrupted)
{
    int fds[2];
    struct t_thread thread;
    if (T_NO_HANDLER_FRAMES)
        SKIP("on this machine a stack does not show the frame of a signal handler");
    CHECK_EQ(pipe(fds), 0);
    CHECK(bough_interpose((const char *const[]){"", NULL}, 0) > 0);
    t_spawn(&thread, jumps_and_reads_deeper, &fds[0]);
    t_gate_wait(&called);
    t_until_blocked(thread.tid);
    CHECK_EQ(pthread_kill(thread.handle, SIGUSR1), 0);
    t_gate_wait(&called_deeper);
    t_until_blocked(thread.tid);
    CHECK_EQ(bough_interrupt(self, "test"), 0);
    t_join(&thread);
    close(fds[0]);
    close(fds[1]);
}

/* ---- out of a handler of the ladder that runs in such a call ----------------------------------------------------- */

static int handled;

static int jump_out_once(struct bough_incident *incident, void *unused)
{
    (void)unused;
    if (handled++)
        return BOUGH_UNWIND;
    siglongjmp(out, incident->rung);
}

TEST(after_a_handler_of_the_ladder_has_jumped_out_of_a_call_the_next_call_is_interrupted)
{
    struct bough_ladder ladder = {.time[BOUGH_RUNG_FLAG] = BOUGH_MS(1)};
    char byte;
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    CHECK(bough_interpose((const char *const[]){"", NULL}, 0) > 0);
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &ladder), 0);
    BOUGH_FOREIGN
    {
        BOUGH_HANDLE(jump_out_once, NULL) {
            if (sigsetjmp(out, 1) == 0) {
                CHECK_EQ(bough_interrupt(bough_self(), "test"), 0);
                for (;;)
                    CHECK_EQ(read(fds[0], &byte, 1), -1);
            }
            CHECK_EQ(bough_clear(NULL), 1);
            CHECK_EQ(poll(NULL, 0, 1), 0);
            CHECK_EQ(bough_interrupt(bough_self(), "test"), 0);
            CHECK_EQ(read(fds[0], &byte, 1), -1);
        }
    }
    close(fds[0]);
    close(fds[1]);
}

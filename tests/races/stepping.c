/* SPDX-License-Identifier: MIT */
/* Rules 5 and 13: a signal handler makes a call while the thread is blocked in an outer call. A wake arrives at one
 * machine instruction of the nested call, and another handler leaves the nested call by a jump at the next instruction.
 * The outer call is interrupted nevertheless, and before the ticker finds it late. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include "arch/action.h"
#include "arch/window.h"
#include "state/arena.h"
#include "state/current.h"
#include "wake/frames.h"
#include "../semantics/target.h"

enum { TRIES = 50 };

static sigjmp_buf out;
static int fds[2];
static struct t_gate is_on_top;

static void install(int signo, void (*handler)(int), int flags, const int also[2])
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    for (int i = 0; also && i < 2; i++)
        sigaddset(&action.sa_mask, also[i]);
    CHECK_EQ(sigaction(signo, &action, NULL), 0);
}

/* ---- the outer call ---------------------------------------------------------------------------------------------- */

/* Returns the number of times that the ticker has found the thread's call late. */
static void *reads(void *argument)
{
    struct target *t = argument;
    char byte;
    t->self = bough_self();
    t_gate_open(&t->known);
    CHECK_ERR(bough_read(t->pipe[0], &byte, 1), ECANCELED);
    t->result = bo_load_relaxed(&bo_thread_of_handle(t->self)->t.diagnoses);
    return NULL;
}

/* `on_top`: the handler of SIGUSR1 is in a blocking call, which SIGUSR2 is to interrupt. */
static long wake_and_jump(bool on_top)
{
    static struct t_gate none;
    struct target t = {0};
    is_on_top = none;
    CHECK_EQ(pipe(t.pipe), 0);
    CHECK_EQ(pipe(fds), 0);
    t_spawn(&t.thread, reads, &t);
    t_gate_wait(&t.known);
    t_until_blocked(t.thread.tid);
    CHECK_EQ(pthread_kill(t.thread.handle, SIGUSR1), 0);
    if (on_top) {
        t_gate_wait(&is_on_top);
        t_until_blocked(t.thread.tid);
        CHECK_EQ(pthread_kill(t.thread.handle, SIGUSR2), 0);
    }
    t_join(&t.thread);
    close(fds[0]);
    close(fds[1]);
    close(t.pipe[0]);
    close(t.pipe[1]);
    return t.result;
}

/* One attempt in time is enough, because a thread that waits for a processor is late as well. */
static bool is_in_time(bool on_top)
{
    for (int i = 0; i < TRIES; i++)
        if (wake_and_jump(on_top) == 0)
            return true;
    return false;
}

/* ---- a nested call that has ended -------------------------------------------------------------------------------- */

static void block_on_top(int signo)
{
    char byte;
    (void)signo;
    if (sigsetjmp(out, 1) != 0)
        return;
    t_gate_open(&is_on_top);
    bough_read(fds[0], &byte, 1);
    FAIL("the nested call has returned");
}

/* Both signals arrive when this handler returns, the wake first, because its number is lower. */
static void wake_and_raise(int signo)
{
    (void)signo;
    CHECK_EQ(bough_interrupt(bough_self(), "on top"), 0);
    CHECK_EQ(raise(SIGWINCH), 0);
}

static void jump(int signo)
{
    siglongjmp(out, signo);
}

TEST(a_jump_out_of_a_nested_call_that_has_ended_leaves_its_wake_to_the_outer_call)
{
    if (T_TSAN)
        SKIP("the thread sanitizer delays signals");
    install(SIGUSR1, block_on_top, SA_RESTART, NULL);
    install(SIGUSR2, wake_and_raise, 0, (const int[]){SIGURG, SIGWINCH});
    install(SIGWINCH, jump, 0, NULL);
    CHECK(is_in_time(true));
}

/* ---- a nested call that is being entered ------------------------------------------------------------------------- */

#if defined(__x86_64__) && BO_ARCH_WINDOW

enum { TRAP_FLAG = 0x100, FEWEST = 15 };

static int wake_at, at; /* instructions of windows, from 1 */
static bool steps, is_woken;

static bool is_in_window(const ucontext_t *uc)
{
    enum bo_where where;
    return bo_window_at((uintptr_t)uc->uc_mcontext.gregs[REG_RIP], &where);
}

/* The handler of the processor's trap flag. All signals are blocked in it: the wake arrives when it returns, at the
 * next instruction. */
static void step(int signo, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    (void)signo, (void)info;
    if (is_woken)
        siglongjmp(out, 1);
    if (steps)
        uc->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
    else
        uc->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
    if (steps && is_in_window(uc) && ++at == wake_at) {
        CHECK_EQ(bough_interrupt(bough_self(), "on top"), 0);
        is_woken = true;
    }
}

/* With hooks the outer call is made in C, and this function notices that the thread has reached it. */
static void set_at_hook(bool is)
{
#if BO_HOOKS
    bo_call_at_hook = is;
#endif
    (void)is;
}

/* Steps only through the windows, because the code between them would take thousands of steps. */
static void call_on_top(int signo)
{
    char byte;
    struct bo_thread *t = bo_self;
    const uint64_t wake = (uint64_t)1 << (SIGURG - 1);
    const struct bo_window_call call = {SYS_read, fds[0], (long)&byte, 1, 0, 0, 0};
    uint64_t before;
    (void)signo;
    CHECK_EQ(write(fds[1], "x", 1), 1);
    at = 0;
    is_woken = false;
    set_at_hook(false);
    if (sigsetjmp(out, 1) != 0) {
        set_at_hook(true);
        return;
    }
    steps = true;
    raise(SIGTRAP);
    long refused = bo_window(&t->t.word, t->call.due_byte, &t->call.frame, SYS_read, 0, 0, 0, 0, 0, 0);
    long result = bo_window_on_top(&wake, &before, t->call.due_byte, &call);
    steps = false;
    set_at_hook(true);
    CHECK_EQ(refused, -BO_EON_TOP);
    CHECK_EQ(result, 1);
    CHECK_EQ(bough_interrupt(bough_self(), "all instructions were tried"), 0);
}

TEST(a_jump_at_any_instruction_of_a_nested_call_leaves_its_wake_to_the_outer_call)
{
    if (T_TSAN)
        SKIP("the thread sanitizer delays signals");
    install(SIGUSR1, call_on_top, SA_RESTART, NULL);
    struct sigaction trap = {.sa_sigaction = step, .sa_flags = SA_SIGINFO};
    sigfillset(&trap.sa_mask);
    sigaction(SIGTRAP, &trap, NULL);
    for (wake_at = 1; wake_at == 1 || is_woken; wake_at++)
        if (!is_in_time(false))
            FAIL("at instruction %d the blocked call has lost its wake", wake_at);
    CHECK(wake_at > FEWEST);
}

/* ---- a handler that returns -------------------------------------------------------------------------------------- */

/* libc's restorer, to which a handler returns: it loads a number and makes a system call. */
enum { RESTORER = 2, RESTORER_SIZE = 9 };

static uintptr_t restorer;

static void step_to_the_restorer(int signo, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    (void)signo, (void)info;
    if ((uintptr_t)uc->uc_mcontext.gregs[REG_RIP] - restorer < RESTORER_SIZE && ++at == wake_at) {
        CHECK_EQ(bough_interrupt(bough_self(), "in the restorer"), 0);
        is_woken = true;
    }
    if (is_woken)
        uc->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
    else
        uc->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void step_out(int signo)
{
    (void)signo;
    at = 0;
    is_woken = false;
    raise(SIGTRAP);
}

TEST(a_wake_at_any_instruction_of_a_handlers_return_ends_the_outer_call)
{
    if (T_TSAN || T_ASAN)
        SKIP("a sanitizer calls the handler from one of its functions");
    struct bo_kernel_action wake;
    CHECK_EQ(bo_kernel_sigaction(SIGURG, NULL, &wake), 0);
    restorer = bo_action_restorer(&wake);
    install(SIGUSR1, step_out, SA_RESTART, NULL);
    struct sigaction trap = {.sa_sigaction = step_to_the_restorer, .sa_flags = SA_SIGINFO};
    sigfillset(&trap.sa_mask);
    sigaction(SIGTRAP, &trap, NULL);
    for (wake_at = 1; wake_at <= RESTORER; wake_at++) {
        if (!is_in_time(false))
            FAIL("at instruction %d of the restorer the blocked call has lost its wake", wake_at);
        CHECK(is_woken);
    }
}
#else
TEST(a_jump_at_any_instruction_of_a_nested_call_leaves_its_wake_to_the_outer_call)
{
    SKIP("steps by the trap flag of x86-64, through its window");
}

TEST(a_wake_at_any_instruction_of_a_handlers_return_ends_the_outer_call)
{
    SKIP("steps by the trap flag of x86-64");
}
#endif

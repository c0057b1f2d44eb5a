/* SPDX-License-Identifier: MIT */
/* Rules 13 and 19: a call that was left by a jump, or by the end of its thread, is detected by the next call, the next
 * wake or the thread's end. */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <signal.h>
#include "state/arena.h"
#include "hooks.h"

static int blocks(int signo)
{
    sigset_t set;
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &set), 0);
    return sigismember(&set, signo);
}

/* ---- a call that is left by a jump ------------------------------------------------------------------------------- */

static sigjmp_buf out;
static volatile sig_atomic_t may_jump;

static void jump_out(int signo)
{
    (void)signo;
    if (may_jump)
        siglongjmp(out, 1);
}

static void leave_a_read_by_a_jump(struct target *t)
{
    char byte;
    if (sigsetjmp(out, 1) == 0) {
        may_jump = 1;
        t_gate_open(t->more);
        bough_read(t->pipe[0], &byte, 1);
        FAIL("the read has returned");
    }
    may_jump = 0;
}

static void *jumper(void *argument)
{
    struct target *t = argument;
    char byte;
    t->self = bough_self();
    t_gate_open(&t->known);
    leave_a_read_by_a_jump(t);
    t_gate_open(&t->cut);
    t_gate_wait(&t->leave);
    CHECK_ERR(bough_read(t->pipe[0], &byte, 1), ECANCELED);
    CHECK_EQ(bough_clear(NULL), 1);
    CHECK_EQ(blocks(SIGURG), 0);
    CHECK(!(word_of(t->self) & BO_IN));
    /* and the next call is interrupted as usual */
    t_gate_open(t->more);
    CHECK_ERR(bough_read(t->pipe[0], &byte, 1), ECANCELED);
    return NULL;
}

static char left_line[256];

static void keep_left(const char *line)
{
    if (strstr(line, "by a jump"))
        snprintf(left_line, sizeof left_line, "%s", line);
}

/* The next call is further up the stack: each machine recognises that the read was left. */
__attribute__((noinline)) static void leave_a_deep_read_by_a_jump(struct target *t)
{
    char above[4096];
    __asm__ volatile("" : : "r"(above) : "memory");
    leave_a_read_by_a_jump(t);
    __asm__ volatile("" : : "r"(above) : "memory");
}

static void *jumper_without_a_wake(void *argument)
{
    struct target *t = argument;
    char byte;
    t->self = bough_self();
    leave_a_deep_read_by_a_jump(t);
    CHECK(word_of(t->self) & BO_IN);
    CHECK_EQ(left_line[0], '\0');
    CHECK_EQ(write(t->pipe[1], "x", 1), 1);
    CHECK_EQ(bough_read(t->pipe[0], &byte, 1), 1);
    CHECK(!(word_of(t->self) & BO_IN));
    return NULL;
}

TEST(a_call_left_by_a_jump_is_reported_by_the_next_call)
{
    struct t_gate in_call = {0};
    struct target t = {.more = &in_call};
    char start[32];
    if (T_TSAN)
        SKIP("the thread sanitizer runs the handler only after the call");
    bough_set_report(keep_left);
    CHECK_EQ(pipe(t.pipe), 0);
    catch_signal(SIGUSR1, jump_out, 0, 0);
    t_spawn(&t.thread, jumper_without_a_wake, &t);
    t_gate_wait(&in_call);
    t_until_blocked(t.thread.tid);
    pthread_kill(t.thread.handle, SIGUSR1);
    t_join(&t.thread);
    snprintf(start, sizeof start, "thread %d has left", (int)t.thread.tid);
    CHECK(strstr(left_line, start));
    close(t.pipe[0]);
    close(t.pipe[1]);
}

/* A wake comes before the next call. */
TEST(a_call_left_by_a_jump_is_detected_by_the_next_call)
{
    struct t_gate in_call = {0};
    struct target t = {.more = &in_call};
    bough_set_report(keep_left);
    CHECK_EQ(pipe(t.pipe), 0);
    catch_signal(SIGUSR1, jump_out, 0, 0);
    t_spawn(&t.thread, jumper, &t);
    t_gate_wait(&in_call);
    t_until_blocked(t.thread.tid);
    pthread_kill(t.thread.handle, SIGUSR1);
    t_gate_wait(&t.cut);
    in_call = (struct t_gate){0};
    CHECK_EQ(bough_interrupt(t.self, "first"), 0);
    t_gate_open(&t.leave);
    t_gate_wait(&in_call);
    t_until_blocked(t.thread.tid);
    CHECK_EQ(bough_interrupt(t.self, "second"), 0);
    t_join(&t.thread);
    close(t.pipe[0]);
    close(t.pipe[1]);
}

/* The wake comes while the handler runs, and is blocked in its frame. A jump that restores no mask discards that
 * frame. */
static void jump_out_interrupted(int signo)
{
    (void)signo;
    if (!may_jump || !(word_of(bough_self()) & BO_IN))
        return;
    may_jump = 0;
    CHECK_EQ(bough_interrupt(bough_self(), "in the handler"), 0);
    CHECK_EQ(blocks(SIGURG), !T_FALLBACK); /* the fallback repeats the wake instead */
    siglongjmp(out, 1);
}

static void *jumper_without_mask(void *argument)
{
    struct target *t = argument;
    char byte;
    if (sigsetjmp(out, 0) == 0) {
        may_jump = 1;
        t_gate_open(&t->known);
        bough_read(t->pipe[0], &byte, 1);
        FAIL("the read has returned");
    }
    __atomic_store_n(&t->result, 1, __ATOMIC_RELEASE);
    CHECK_ERR(bough_read(t->pipe[0], &byte, 1), ECANCELED);
    CHECK_EQ(blocks(SIGURG), 0);
    CHECK_EQ(bough_clear(NULL), 1);
    return NULL;
}

TEST(a_jump_that_restores_no_mask_leaves_the_wake_signal_unblocked)
{
    struct target t = {0};
    if (T_TSAN)
        SKIP("the thread sanitizer runs the handler only after the call");
    CHECK_EQ(pipe(t.pipe), 0);
    catch_signal(SIGUSR1, jump_out_interrupted, SA_RESTART, 0);
    t_spawn(&t.thread, jumper_without_mask, &t);
    t_gate_wait(&t.known);
    t_until((pthread_kill(t.thread.handle, SIGUSR1), __atomic_load_n(&t.result, __ATOMIC_ACQUIRE)));
    t_join(&t.thread);
    close(t.pipe[0]);
    close(t.pipe[1]);
}

/* ---- an old frame of the handler ----------------------------------------------------------------------------------- */

static _Atomic int over_it, posted;
static int blocked_there;

/* Its frame has room for a handler's frame, and does not overwrite it: the old frame of the handler is above the stack
 * pointer, as if the handler still ran. */
__attribute__((noinline)) static void run_over_the_old_frame(void)
{
    char hole[32 * 1024];
    __asm__ volatile("" : : "r"(hole) : "memory");
    for (over_it = 1; !posted;)
        ;
    __asm__ volatile("" : : "r"(hole) : "memory");
}

static void *jumper_over_an_old_frame(void *argument)
{
    struct target *t = argument;
    char byte;
    t->self = bough_self();
    leave_a_read_by_a_jump(t);
    run_over_the_old_frame();
    blocked_there = blocks(SIGURG);
    CHECK_ERR(bough_read(t->pipe[0], &byte, 1), ECANCELED);
    CHECK_EQ(bough_clear(NULL), 1);
    CHECK_EQ(blocks(SIGURG), 0);
    CHECK(!(word_of(t->self) & BO_IN));
    t_gate_open(&t->known);
    CHECK_ERR(bough_read(t->pipe[0], &byte, 1), ECANCELED);
    return NULL;
}

/* A wake that comes then is treated as if it had interrupted a handler: the signal is blocked, in code that is no
 * handler. The next call unblocks the signal, and no wake is lost. */
TEST(an_old_frame_that_looks_like_a_running_handler_loses_no_wake)
{
    struct t_gate in_call = {0};
    struct target t = {.more = &in_call};
    if (T_TSAN)
        SKIP("the thread sanitizer runs the handler only after the call");
    CHECK_EQ(pipe(t.pipe), 0);
    catch_signal(SIGUSR1, jump_out, 0, 0);
    t_spawn(&t.thread, jumper_over_an_old_frame, &t);
    t_gate_wait(&in_call);
    t_until_blocked(t.thread.tid);
    pthread_kill(t.thread.handle, SIGUSR1);
    t_until(over_it);
    CHECK_EQ(bough_interrupt(t.self, "it comes over the old frame"), 0);
    posted = 1;
    t_gate_wait(&t.known);
    t_until_blocked(t.thread.tid);
    CHECK_EQ(bough_interrupt(t.self, "as usual"), 0);
    t_join(&t.thread);
    t_note("the wake was %s", blocked_there ? "blocked" : "not blocked: there was no old frame");
    close(t.pipe[0]);
    close(t.pipe[1]);
}

/* ---- a thread that ends inside its call ---------------------------------------------------------------------------- */

/* pthread_exit() in a handler, and an asynchronous cancellation, end the thread inside its call. A post comes during
 * that end. */
static struct t_gate cleaning, cleaned;

static void clean(void *unused)
{
    (void)unused;
    t_gate_open(&cleaning);
    t_gate_wait(&cleaned);
}

static void *ends_in_a_call(void *argument)
{
    struct target *t = argument;
    char byte;
    t->self = bough_self();
    pthread_cleanup_push(clean, NULL);
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    t_gate_open(&t->known);
    bough_read(t->pipe[0], &byte, 1);
    pthread_cleanup_pop(0);
    return NULL;
}

static void end_thread(int signo)
{
    (void)signo;
    pthread_exit(NULL);
}

static void ends_inside(int by_handler)
{
    struct target t = {0};
    cleaning = cleaned = (struct t_gate){0};
    CHECK_EQ(pipe(t.pipe), 0);
    t_spawn(&t.thread, ends_in_a_call, &t);
    t_gate_wait(&t.known);
    t_until_blocked(t.thread.tid);
    if (by_handler)
        pthread_kill(t.thread.handle, SIGUSR1);
    else
        pthread_cancel(t.thread.handle);
    t_gate_wait(&cleaning);
    CHECK_EQ(bough_interrupt(t.self, "while it ends"), 0);
    t_gate_open(&cleaned);
    t_join(&t.thread);
    close(t.pipe[0]);
    close(t.pipe[1]);
}

TEST(a_thread_that_exits_inside_its_call_ends_cleanly)
{
    if (T_TSAN)
        SKIP("the thread sanitizer allows no pthread_exit() in a handler");
    catch_signal(SIGUSR1, end_thread, 0, 0);
    ends_inside(1);
    ends_inside(0);
}

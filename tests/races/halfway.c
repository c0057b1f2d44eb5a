/* SPDX-License-Identifier: MIT */
/* Rules 3, 13 and 19: a signal's handler interrupts the library between two steps that belong together, or leaves the
 * library there by a siglongjmp(). Later calls and other threads work as before. */
#include <bough/ladder.h>
#include <poll.h>
#include <semaphore.h>
#include <setjmp.h>
#include "hooks.h"

/* ---- a handler that jumps out ------------------------------------------------------------------------------------ */

#define NEED_HANDLERS()                                                                \
    do {                                                                               \
        NEED_HOOKS();                                                                  \
        if (T_TSAN)                                                                    \
            SKIP("the thread sanitizer runs a handler only after the library's call"); \
    } while (0)

static sigjmp_buf out;

static void jump(int signo)
{
    siglongjmp(out, signo);
}

/* Only the first pass of the hook. */
static void jump_here(void)
{
    if (t_tid() == hooked && hook_passed++ == 0)
        raise(SIGUSR1);
}

static void jump_at(void (*volatile *hook)(void))
{
    catch_signal(SIGUSR1, jump, 0, 0);
    hooked = t_tid();
    __atomic_store_n(hook, jump_here, __ATOMIC_SEQ_CST);
}

static int set_it_and_jump(bough_branch *b, bough_time deadline)
{
    if (sigsetjmp(out, 1) != 0)
        return 1;
    bough_set_deadline(b, deadline);
    return 0;
}

/* Fixed bug: the ticker did not examine the branch again, or slept until its former time. */
static void later_deadlines_fire(void (*volatile *hook)(void))
{
    BOUGH_BRANCH(b) {
        bough_time first = 0;
        int ms = 1000, jumped = 0;
        jump_at(hook);
        for (; !jumped && ms > 0; ms -= 5) { /* not in the hook while the ticker is awake, or has an earlier time */
            first = bough_after(BOUGH_MS(ms));
            jumped = set_it_and_jump(b, first);
            if (!jumped)
                usleep(1000);
        }
        CHECK(jumped);
        *hook = NULL;
        t_until(bough_now() > first);
        bough_set_deadline(b, bough_after(BOUGH_MS(20)));
        CHECK_ERR(bough_usleep(5000000), ECANCELED);
    }
    CHECK_EQ(bough_last_result(), ETIMEDOUT);
}

TEST(a_deadline_fires_although_a_jump_left_the_listing_of_its_slot)
{
    NEED_HANDLERS();
    later_deadlines_fire(&bo_hook_work_half);
}

TEST(a_deadline_fires_although_a_jump_left_the_setting_of_the_timer)
{
    NEED_HANDLERS();
    later_deadlines_fire(&bo_hook_timer_late);
}

static int poll_and_jump(void)
{
    if (sigsetjmp(out, 1) != 0)
        return 1;
    t_poll_silent(60000);
    return 0;
}

/* Fixed bug: the jump left before the ticker was asked to look at the end of the grace period. */
TEST(foreign_code_is_interrupted_again_although_a_jump_left_a_delivery)
{
    struct bough_foreign ways = {.grace = BOUGH_MS(20)};
    NEED_HANDLERS();
    CHECK(bough_interpose((const char *const[]){"", NULL}, 0) > 0);
    CHECK_EQ(bough_foreign_set(&ways), 0);
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        jump_at(&bo_hook_look_is_due);
        CHECK_EQ(poll_and_jump(), 1);
        bo_hook_look_is_due = NULL;
        CHECK_EQ(t_poll_silent(5000), -1);
    }
    CHECK_EQ(bough_clear(NULL), 1);
}

static _Atomic int cleared;

static void count_cleared(const struct bough_posting *p, void *unused)
{
    (void)unused;
    cleared += p->status == BOUGH_POST_CLEARED;
}

static int check_and_jump(void)
{
    if (sigsetjmp(out, 1) != 0)
        return 1;
    bough_check();
    return 0;
}

/* Fixed bug: the report that the jump had left unfinished kept all later reports back. */
TEST(posts_are_reported_although_a_jump_left_a_delivery)
{
    NEED_HANDLERS();
    CHECK_EQ(bough_on_posting(count_cleared, NULL), 0);
    CHECK_EQ(bough_interrupt(bough_self(), "to be delivered"), 0);
    jump_at(&bo_hook_record_changes);
    CHECK_EQ(check_and_jump(), 1);
    bo_hook_record_changes = NULL;
    CHECK_EQ(bough_clear(NULL), 1);
    t_until(cleared);
    CHECK_EQ(bough_on_posting(NULL, NULL), 0);
}

/* ---- a signal that is not bough's -------------------------------------------------------------------------------- */

static sem_t empty;

/* The frame of this call lies below those of the calls that follow it. */
__attribute__((noinline)) static void call_from_deep_down(void)
{
    volatile char space[1 << 16];
    space[0] = 0;
    CHECK_EQ(bough_usleep(1 + (unsigned)space[0]), 0);
    space[1] = space[0];
}

static void raise_the_wake_signal(void)
{
    if (t_tid() == hooked && hook_passed++ == 0)
        raise(SIGURG);
}

static void *waits_in_libc(void *argument)
{
    struct target *t = argument;
    t->self = bough_self();
    call_from_deep_down();
    hooked = t_tid();
    __atomic_store_n(&bo_hook_libc_announced, raise_the_wake_signal, __ATOMIC_SEQ_CST);
    t_gate_open(&t->known);
    t->result = bough_sem_wait(&empty);
    t->error = errno;
    t_gate_open(&t->cut);
    return NULL;
}

/* Fixed bug: the wait counted as left by a jump, because the word showed it before its frame was stored. No later post
 * woke the thread. */
TEST(a_wait_in_libc_that_a_signal_meets_at_its_start_is_interrupted)
{
    struct target t = {0};
    NEED_HOOKS();
    CHECK_EQ(sem_init(&empty, 0, 0), 0);
    t_spawn(&t.thread, waits_in_libc, &t);
    t_gate_wait(&t.known);
    t_until_blocked(t.thread.tid);
    CHECK_EQ(bough_interrupt(t.self, "stop"), 0);
    t_until(t_gate_is_open(&t.cut));
    t_join(&t.thread);
    CHECK_EQ(t.result, -1);
    CHECK_EQ(t.error, ECANCELED);
}

/* ---- a handler that recomputes the word -------------------------------------------------------------------------- */

static _Atomic int recomputed;

static void recompute(int signo)
{
    int saved = errno;
    (void)signo;
    bough_clear_kind(NULL, BOUGH_OPERATOR); /* clears nothing */
    recomputed = 1;
    errno = saved;
}

static void *reads_and_polls(void *argument)
{
    struct target *t = argument;
    struct pollfd fd = {.fd = t->pipe[0], .events = POLLIN};
    char byte;
    t->self = bough_self();
    t_gate_open(&t->known);
    CHECK_EQ(bough_read(t->pipe[0], &byte, 1), 1);
    hooked = t_tid();
    hook_passed = 0;
    __atomic_store_n(&bo_hook_call_left, stop_here, __ATOMIC_SEQ_CST);
    t_gate_open(&t->cut);
    t->result = bough_poll(&fd, 1, -1);
    t->error = errno;
    return NULL;
}

/* Fixed bug: a handler that had interrupted an earlier call counted as the cause, so the poll failed with EINTR. */
TEST(a_spurious_wake_does_not_end_a_call_after_a_call_that_a_handler_interrupted)
{
    struct target t = {0};
    NEED_HANDLERS();
    bough_self();
    CHECK_EQ(pipe(t.pipe), 0);
    catch_signal(SIGUSR1, recompute, SA_RESTART, 0);
    t_spawn(&t.thread, reads_and_polls, &t);
    t_gate_wait(&t.known);
    t_until_blocked(t.thread.tid);
    pthread_kill(t.thread.handle, SIGUSR1);
    t_until(recomputed);
    CHECK_EQ(write(t.pipe[1], "x", 1), 1);
    t_gate_wait(&t.cut);
    t_until_blocked(t.thread.tid);
    CHECK_EQ(bough_interrupt(BOUGH_ROOT, "cleared at once"), 0);
    t_gate_wait(&hook_reached); /* the poll was woken, and the thread has not looked for the record yet */
    CHECK_EQ(bough_clear(BOUGH_ROOT), 1);
    t_gate_open(&hook_go);
    CHECK_EQ(write(t.pipe[1], "x", 1), 1);
    t_join(&t.thread);
    CHECK_EQ(t.result, 1);
    close(t.pipe[0]);
    close(t.pipe[1]);
}

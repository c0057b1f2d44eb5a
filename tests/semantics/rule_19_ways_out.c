/* SPDX-License-Identifier: MIT */
/* Rule 19: every way out of a region restores the level. */
#include <setjmp.h>
#include "../sync/not_under.h"
#include "target.h"

static void deferred_again(void)
{
    CHECK_EQ(bough_level(), BOUGH_DEFERRED);
    post_stop(bough_self());
    CHECK_ERR(bough_check(), ECANCELED);
    CHECK_EQ(bough_clear(NULL), 1);
    BOUGH_CRITICAL(0) {
        CHECK_EQ(bough_level(), BOUGH_DISABLED);
    }
    CHECK_EQ(bough_level(), BOUGH_DEFERRED);
    CHECK_EQ(bough_release(), 0); /* fails if a region is open */
    CHECK(bough_self());
}

static int by_return(void)
{
    BOUGH_CRITICAL(0) {
        BOUGH_CLEANUP(0) {
            BOUGH_CRITICAL(0) {
                return 7;
            }
        }
    }
    return 0;
}

TEST(return_restores_the_level)
{
    CHECK_EQ(by_return(), 7);
    deferred_again();
}

TEST(break_and_continue_restore_the_level)
{
    int turns = 0;
    for (int i = 0; i < 3; i++) {
        BOUGH_CRITICAL(0) {
            turns++;
            if (i == 1)
                continue; /* a region is a loop of one turn: continue and break leave it */
            break;
        }
        CHECK_EQ(bough_level(), BOUGH_DEFERRED);
    }
    CHECK_EQ(turns, 3);
    deferred_again();
}

TEST(goto_restores_the_level)
{
    BOUGH_CRITICAL(0) {
        BOUGH_ALLOW
        {
            goto out;
        }
    }
    FAIL("not reached");
out:
    deferred_again();
}

TEST(the_end_of_the_block_restores_the_level)
{
    BOUGH_CRITICAL(0) {
        BOUGH_CRITICAL(0) {
        }
        CHECK_EQ(bough_level(), BOUGH_DISABLED);
    }
    deferred_again();
}

/* ---- bough_longjmp ----------------------------------------------------------------------------------------------- */

static void report_fails(const char *line)
{
    FAIL("reported: %s", line);
}

static struct bough_jmp back;

__attribute__((noinline)) static void jump_out_of(int depth)
{
    BOUGH_CRITICAL(0) {
        BOUGH_CLEANUP(0) {
            if (depth > 0)
                jump_out_of(depth - 1);
            bough_longjmp(&back, 5);
        }
    }
}

TEST(bough_longjmp_restores_the_level)
{
    bough_set_report(report_fails);
    for (int depth = 0; depth < 20; depth += 3) {
        int value = bough_setjmp(&back);
        if (value == 0)
            jump_out_of(depth);
        CHECK_EQ(value, 5);
        deferred_again();
    }
}

TEST(bough_longjmp_keeps_regions_that_were_open_before)
{
    bough_set_report(report_fails);
    BOUGH_CRITICAL(0) {
        if (bough_setjmp(&back) == 0)
            jump_out_of(2);
        CHECK_EQ(bough_level(), BOUGH_DISABLED);
    }
    deferred_again();
}

static uint32_t children_ended;

static int read_and_count(void *fd)
{
    int error = read_for_ever(fd);
    __atomic_fetch_add(&children_ended, 1, __ATOMIC_SEQ_CST);
    return error;
}

__attribute__((noinline)) static void jump_out_of_branches(int fd, int depth)
{
    BOUGH_BRANCH(b) {
        CHECK(bough_add(b, read_and_count, bough_arg((void *)(intptr_t)fd)));
        BOUGH_CRITICAL(0) {
            if (depth > 0)
                jump_out_of_branches(fd, depth - 1);
            bough_longjmp(&back, 1);
        }
    }
}

TEST(bough_longjmp_interrupts_and_joins_branches)
{
    int fds[2];
    bough_set_report(keep_report);
    CHECK_EQ(pipe(fds), 0);
    BOUGH_BRANCH(outer) {
        if (bough_setjmp(&back) == 0)
            jump_out_of_branches(fds[0], 2);
        CHECK_EQ(children_ended, 3);
        CHECK_EQ(bough_check(), 0);
        CHECK_EQ(bough_level(), BOUGH_DEFERRED);
        CHECK(bough_add(outer, read_and_count, bough_arg((void *)(intptr_t)fds[0])));
        CHECK_EQ(bough_interrupt(outer, "end"), 0);
    }
    CHECK_EQ(children_ended, 4);
    deferred_again();
    close(fds[0]);
    close(fds[1]);
}

/* Jumps out of a handler that has interrupted a blocked call, which never returns. */
static void jump_in_handler(int signo)
{
    (void)signo;
    bough_longjmp(&back, 3);
}

static void foreign_sleep_is_left_alone(struct target *t)
{
    struct timespec brief = {0, 20000000};
    CHECK_EQ(bough_interrupt(bough_self(), "in no call"), 0);
    CHECK_EQ(nanosleep(&brief, NULL), 0);
    CHECK_ERR(bough_check(), ECANCELED);
    CHECK_EQ(bough_clear(NULL), 1);
    (void)t;
}

static void *read_until_jumped_out(void *argument)
{
    struct target *t = argument;
    char byte;
    sigset_t usr1;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    t->self = bough_self();
    if (bough_setjmp(&back) == 0) {
        t_gate_open(&t->known);
        bough_read(t->pipe[0], &byte, 1);
        FAIL("not reached");
    }
    CHECK_EQ(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL), 0); /* as with siglongjmp, the handler's mask stays */
    foreign_sleep_is_left_alone(t);
    t_gate_open(&t->cut);
    t->result = bough_read(t->pipe[0], &byte, 1);
    t->error = errno;
    return NULL;
}

TEST(bough_longjmp_out_of_a_handler_leaves_the_interrupted_call)
{
    NEED_HANDLERS_ON_TOP();
    struct target t = {0};
    catch_signal(SIGUSR1, jump_in_handler, SA_RESTART, 0);
    CHECK_EQ(pipe(t.pipe), 0);
    t_spawn(&t.thread, read_until_jumped_out, &t);
    t_gate_wait(&t.known);
    t_until_blocked(t.thread.tid);
    pthread_kill(t.thread.handle, SIGUSR1);
    t_gate_wait(&t.cut);
    t_until_blocked(t.thread.tid);
    CHECK_EQ(bough_interrupt(t.self, "now"), 0);
    t_join(&t.thread);
    CHECK_EQ(t.result, -1);
    CHECK_EQ(t.error, ECANCELED);
    close(t.pipe[0]);
    close(t.pipe[1]);
}

/* ---- plain longjmp ----------------------------------------------------------------------------------------------- */

static jmp_buf plain;

__attribute__((noinline)) static void jump_plainly_out_of_a_section(void)
{
    BOUGH_CRITICAL(0) {
        longjmp(plain, 1);
    }
}

/* Its frames are larger than a call's frames, even with a sanitizer, so abandoned regions are below the frames of later
 * calls. */
__attribute__((noinline)) static void jump_plainly(int depth)
{
    char space[1024];
    __asm__ volatile("" : : "r"(space) : "memory");
    BOUGH_CRITICAL(BOUGH_MS(50)) {
        if (depth > 0)
            jump_plainly(depth - 1);
        longjmp(plain, 1);
    }
}

TEST(a_plain_longjmp_is_detected_at_the_next_region)
{
    bough_set_report(keep_report);
    for (volatile int depth = 0; depth < 16; depth += 5) { /* the library writes 20 reports in a second at most */
        forget_reports();
        if (setjmp(plain) == 0)
            jump_plainly(depth);
        BOUGH_ALLOW
        {
        }
        CHECK(reported("bough_longjmp"));
        CHECK_EQ(bough_level(), BOUGH_DEFERRED);
        deferred_again();
    }
}

TEST(a_plain_longjmp_is_detected_at_the_next_end_of_a_region)
{
    bough_set_report(keep_report);
    BOUGH_CRITICAL(0) {
        if (setjmp(plain) == 0)
            jump_plainly(2);
    }
    CHECK(reported("bough_longjmp"));
    CHECK(reported("rule_19_ways_out.c"));
    deferred_again();
}

/* The same function runs again, and its region has the address of the abandoned one. */
TEST(a_region_at_the_place_of_an_abandoned_one_is_not_mistaken_for_it)
{
    bough_set_report(keep_report);
    for (volatile int i = 0; i < 20; i++)
        if (setjmp(plain) == 0)
            jump_plainly_out_of_a_section();
    CHECK(reported("bough_longjmp"));
    BOUGH_ALLOW
    {
    }
    deferred_again();
}

TEST(a_plain_longjmp_is_detected_at_the_next_branch)
{
    if (under_qemu())
        SKIP("qemu-user reports another stack than the one that main runs on");
    bough_set_report(keep_report);
    if (setjmp(plain) == 0)
        jump_plainly(1);
    BOUGH_BRANCH(b) {
        CHECK(reported("bough_longjmp"));
        CHECK_EQ(bough_level(), BOUGH_DEFERRED);
    }
    deferred_again();
}

/* The thread only makes calls. When the abandoned section's budget is used up, the next call is interrupted, and the
 * jump is detected. An abandoned region at the address of the call's frames is detected only after the call. */
TEST(a_plain_longjmp_is_detected_when_a_call_is_interrupted)
{
    bough_set_report(keep_report);
    if (setjmp(plain) == 0)
        jump_plainly(3);
    post_stop(bough_self());
    CHECK_ERR(bough_nanosleep(&(struct timespec){10, 0}, NULL), ECANCELED);
    CHECK(reported("bough_longjmp"));
    BOUGH_ALLOW
    {
    }
    CHECK_EQ(bough_clear(NULL), 1);
    deferred_again();
}

/* ---- children ---------------------------------------------------------------------------------------------------- */

static int level_of_child(void *level)
{
    *(int *)level = (int)bough_level();
    return 0;
}

TEST(children_never_inherit_a_level)
{
    int level = -1;
    struct bough_child_options disabled = {.disabled = 1};
    BOUGH_BRANCH(b) {
        BOUGH_CRITICAL(0) {
            CHECK(bough_add(b, level_of_child, bough_arg(&level)));
        }
    }
    CHECK_EQ(level, BOUGH_DEFERRED);
    BOUGH_BRANCH(b) {
        CHECK(bough_add_with(b, level_of_child, bough_arg(&level), &disabled));
    }
    CHECK_EQ(level, BOUGH_DISABLED);
    BOUGH_BRANCH(b) {
        CHECK(bough_add(b, level_of_child, bough_arg(&level)));
    }
    CHECK_EQ(level, BOUGH_DEFERRED); /* nothing is inherited from the previous child on this thread either */
}

static int forgets_its_region(void *unused)
{
    static struct bough_region region;
    (void)unused;
    CHECK_EQ(bough_critical_begin(&region, 0, "here", 1), 0);
    return 0;
}

TEST(a_region_that_a_child_leaves_open_ends_with_the_child)
{
    int level = -1;
    BOUGH_BRANCH(b) {
        bough_join(bough_add(b, forgets_its_region, bough_arg(NULL)));
    }
    BOUGH_BRANCH(b) {
        CHECK(bough_add(b, level_of_child, bough_arg(&level)));
    }
    CHECK_EQ(level, BOUGH_DEFERRED);
}

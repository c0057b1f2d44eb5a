/* SPDX-License-Identifier: MIT */
/* Rule 22: code that was not written for bough meets each record once a rung, and is then not interrupted for the grace
 * period. This program's calls of libc play the part of that code. */
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include "../sync/not_under.h"
#include "foreign.h"

TEST(a_thread_that_did_not_opt_in_is_not_interrupted_but_sees_the_pending_interrupt)
{
    interpose();
    CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
    CHECK_ERR(bough_check(), ECANCELED);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(wait_for(1), 0); /* the call ends by its timeout */
        CHECK_EQ(bough_interrupted(), 1);
        CHECK_ERR(bough_check(), ECANCELED);
    }
    CHECK_EQ(bough_clear(NULL), 1);
    CHECK_EQ(bough_interrupted(), 0);
}

TEST(one_call_fails_and_the_calls_of_the_cleanup_work)
{
    interpose();
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        CHECK_ERR(wait_for(1000), EINTR);
        for (int i = 0; i < 20; i++) {
            CHECK_EQ(wait_for(1), 0);
            CHECK_EQ(bough_interrupted(), 1);
            CHECK_ERR(bough_check(), ECANCELED); /* points in code written for bough still fail */
            CHECK_ERR(bough_usleep(1000), ECANCELED);
        }
        CHECK_EQ(bough_interrupt(bough_self(), "stop again"), 0); /* a repeated post makes no new record */
        CHECK_EQ(wait_for(1), 0);
    }
    BOUGH_FOREIGN
    { /* another region changes nothing */
        CHECK_EQ(wait_for(1), 0);
    }
}

TEST(another_record_makes_another_call_fail)
{
    interpose();
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        CHECK_ERR(wait_for(1000), EINTR);
        struct bough_event event = {.kind = BOUGH_SIGNAL, .reason = "something else"};
        CHECK(bough_post_event(bough_self(), &event).record != 0);
        CHECK_ERR(wait_for(1000), EINTR);
        CHECK_EQ(wait_for(1), 0);
    }
}

TEST(a_record_that_is_cleared_and_posted_again_makes_a_call_fail_again)
{
    interpose();
    BOUGH_FOREIGN
    {
        for (int i = 0; i < 3; i++) {
            CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
            CHECK_ERR(wait_for(1000), EINTR);
            CHECK_EQ(wait_for(1), 0);
            CHECK_EQ(bough_clear(NULL), 1);
            CHECK_EQ(wait_for(1), 0);
        }
    }
}

TEST(after_the_grace_period_a_call_fails_again)
{
    interpose();
    set_grace(GRACE_NS);
    BOUGH_FOREIGN
    {
        int64_t posted = t_now();
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        for (int i = 0; i < 3; i++) {
            /* the call is blocked when the grace period ends */
            CHECK_ERR(wait_here(10000), i == 0 ? EINTR : ECANCELED);
            CHECK(t_now() - posted >= i * GRACE_NS);
            /* this call is not interrupted, unless the grace period is over by now */
            if (wait_for(1) != 0) {
                i++;
                CHECK(t_now() - posted >= i * GRACE_NS);
            }
        }
    }
}

static int handled;

static int handle(struct bough_incident *incident, void *unused)
{
    (void)unused;
    handled = incident->rung;
    return BOUGH_UNWIND;
}

/* Returns false if the thread had no processor before the rung's time was over. */
static bool a_higher_rung_interrupts(int64_t time)
{
    struct bough_ladder ladder = {.time[BOUGH_RUNG_FLAG] = time, .time[BOUGH_RUNG_HANDLER] = BOUGH_SEC(100)};
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &ladder), 0);
    handled = 0;
    BOUGH_HANDLE(handle, NULL) {
        BOUGH_FOREIGN
        {
            int64_t posted = t_now();
            CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
            CHECK_EQ(wait_for(1000), -1);
            if (handled) {
                CHECK(t_now() - posted >= time);
                CHECK_EQ(bough_clear(NULL), 1);
                return false;
            }
            CHECK_EQ(errno, EINTR);
            CHECK_ERR(wait_for(60000), ECANCELED);
            CHECK_EQ(handled, BOUGH_RUNG_HANDLER);
            CHECK_EQ(wait_for(1), 0);
        }
    }
    return true;
}

TEST(a_higher_rung_interrupts_before_the_grace_period_is_over)
{
    interpose();
    set_grace(BOUGH_SEC(3600));
    for (int64_t time = GRACE_NS; !a_higher_rung_interrupts(time);)
        time *= 4;
}

static struct bough_jmp out;

static int leave(struct bough_incident *incident, void *unused)
{
    (void)unused;
    handled = incident->rung;
    /* code written for bough: while the handler runs, its incident interrupts no call of it */
    CHECK_EQ(bough_usleep(1000), 0);
    bough_longjmp(&out, 1);
}

TEST(a_final_handler_jumps_out_of_foreign_code_and_the_next_call_is_interrupted)
{
    interpose();
    struct bough_ladder ladder = {.time[BOUGH_RUNG_FLAG] = BOUGH_MS(100)};
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &ladder), 0);
    if (bough_setjmp(&out) == 0) {
        BOUGH_HANDLE_FINAL(leave, NULL) {
            BOUGH_FOREIGN
            {
                CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
                for (;;)
                    wait_for(1000);
            }
        }
    }
    CHECK_EQ(handled, BOUGH_RUNG_FINAL);
    CHECK_EQ(bough_clear(NULL), 1);
    CHECK_EQ(bough_foreign(), 0);
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        CHECK_ERR(wait_for(1000), EINTR);
    }
}

TEST(a_critical_section_protects_foreign_code)
{
    interpose();
    BOUGH_FOREIGN
    {
        BOUGH_CRITICAL(BOUGH_SEC(100)) {
            CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
            CHECK_EQ(wait_for(1), 0);
        }
        CHECK_ERR(wait_for(1000), EINTR);
    }
}

/* ---- what a language binding needs ------------------------------------------------------------------------------- */

static int cuts, seen_error;
static const char *seen_call;
static struct bough_record seen_why;

static int note_cut(void *argument, const struct bough_cut *cut)
{
    cuts++;
    seen_call = cut->call;
    seen_error = cut->error;
    CHECK_EQ(cut->fd, -1);
    CHECK_STR(cut->object, "");
    CHECK_EQ(cut->again, 0);
    CHECK(cut->why);
    seen_why = *cut->why;
    CHECK_ERR(bough_check(), ECANCELED);
    return *(int *)argument;
}

static int choose(void *argument, const char *call, const void *site)
{
    CHECK(argument && call && site);
    return ECONNABORTED;
}

TEST(a_thread_chooses_the_errno_and_is_notified_of_the_interrupt)
{
    interpose();
    int other = 0;
    struct bough_foreign ways = {.on_cut = note_cut, .argument = &other, .choose = choose};
    CHECK_EQ(bough_foreign_set(&ways), 0);
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        CHECK_ERR(wait_for(1000), ECONNABORTED);
        CHECK_EQ(cuts, 1);
        CHECK_EQ(strcmp(seen_call, "poll"), 0);
        CHECK_EQ(seen_error, ECONNABORTED);
        CHECK_EQ(seen_why.kind, BOUGH_STOP);
        CHECK_EQ(strcmp(seen_why.reason, "stop"), 0);
        CHECK_EQ(bough_clear(NULL), 1);
        other = EPIPE;
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        CHECK_ERR(wait_for(1000), EPIPE);
    }
    CHECK_ERR(bough_foreign_set(&(struct bough_foreign){.error = 4095}), EINVAL);
    CHECK_ERR(bough_foreign_set(&(struct bough_foreign){.error = -1}), EINVAL);
    CHECK_ERR(bough_foreign_set(&(struct bough_foreign){.grace = -1}), EINVAL);
    CHECK_ERR(bough_foreign_set(&(struct bough_foreign){.kinds = 1u << BOUGH_KINDS}), EINVAL);
    CHECK_EQ(bough_foreign_set(NULL), 0);
}

/* ---- kinds, and interrupting again ------------------------------------------------------------------------------- */

static bough_post post_kind(enum bough_kind kind)
{
    struct bough_event event = {.kind = kind};
    bough_post post = bough_post_event(bough_self(), &event);
    CHECK(post.record);
    return post;
}

TEST(only_the_kinds_a_thread_has_selected_interrupt_foreign_code)
{
    interpose();
    int unused = 0;
    struct bough_foreign ways = {.kinds = 1u << BOUGH_EXCEPTION, .on_cut = note_cut, .argument = &unused};
    CHECK_EQ(bough_foreign_set(&ways), 0);
    BOUGH_FOREIGN
    {
        bough_post stop = post_kind(BOUGH_STOP);
        CHECK_EQ(wait_for(1), 0); /* times out */
        CHECK_EQ(bough_post_status(stop), BOUGH_POST_PENDING);
        post_kind(BOUGH_EXCEPTION);
        CHECK_ERR(wait_for(1000), EINTR);
        CHECK_EQ(seen_why.kind, BOUGH_EXCEPTION);
        CHECK_EQ(cuts, 1);
        CHECK_EQ(bough_clear_kind(NULL, BOUGH_EXCEPTION), 1);
        CHECK_EQ(wait_for(1), 0);
        ways.kinds = 0; /* from here on the stop, which no call has met yet, interrupts calls as well */
        CHECK_EQ(bough_foreign_set(&ways), 0);
        CHECK_ERR(wait_for(1000), EINTR);
        CHECK_EQ(seen_why.kind, BOUGH_STOP);
    }
    bough_clear(NULL);
}

TEST(a_binding_can_check_for_an_interrupt_as_foreign_code_meets_it)
{
    struct bough_record why;
    interpose();
    CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
    CHECK_EQ(bough_foreign_check(&why), 0); /* the thread has not opted in here */
    BOUGH_FOREIGN
    {
        CHECK_ERR(bough_foreign_check(&why), ECANCELED);
        CHECK_STR(why.reason, "stop");
        CHECK_EQ(bough_foreign_check(NULL), 0);
        CHECK_EQ(wait_for(1), 0);
        CHECK_ERR(bough_check(), ECANCELED);
    }
}

TEST(an_interrupt_that_was_swallowed_can_interrupt_again_at_once)
{
    interpose();
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_foreign_again(), 0);
        post_kind(BOUGH_STOP);
        CHECK_ERR(wait_for(1000), EINTR);
        CHECK_EQ(wait_for(1), 0); /* not interrupted for the grace period */
        CHECK_EQ(bough_foreign_again(), 1);
        CHECK_ERR(wait_for(1000), ECANCELED);
        bough_clear(NULL);
        CHECK_EQ(bough_foreign_again(), 0);
        CHECK_EQ(wait_for(1), 0);
    }
}

/* ---- a handler in a call of foreign code ------------------------------------------------------------------------- */

static struct {
    struct t_thread thread;
    struct t_gate known, suppressed;
    bough_thread *self;
    sem_t never;
    int fds[2], read_error, wait_error, result, error;
} inside;

static void calls_of_its_own(int signo)
{
    char byte;
    int saved = errno;
    (void)signo;
    inside.read_error = bough_read(inside.fds[0], &byte, 1) < 0 ? errno : 0;
    inside.wait_error = bough_sem_wait(&inside.never) < 0 ? errno : 0;
    errno = saved;
}

static void *waits_as_foreign_code(void *unused)
{
    inside.self = bough_self();
    set_grace(BOUGH_SEC(3600));
    t_gate_open(&inside.known);
    BOUGH_FOREIGN
    {
        CHECK_ERR(wait_for(60000), EINTR);
        t_gate_open(&inside.suppressed);
        inside.result = wait_for(60000);
        inside.error = errno;
    }
    return unused;
}

/* A record that foreign code has met is suppressed for foreign code, but not for the handler, which was written for
 * bough. */
TEST(a_handlers_own_call_inside_foreign_code_fails)
{
    needs_handlers_in_calls();
    interpose();
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = calls_of_its_own}, NULL);
    CHECK_EQ(pipe(inside.fds), 0);
    CHECK_EQ(sem_init(&inside.never, 0, 0), 0);
    t_spawn(&inside.thread, waits_as_foreign_code, NULL);
    t_gate_wait(&inside.known);
    CHECK_EQ(bough_interrupt(inside.self, "stop"), 0);
    t_gate_wait(&inside.suppressed);
    t_until_blocked(inside.thread.tid);
    pthread_kill(inside.thread.handle, SIGUSR1);
    t_join(&inside.thread);
    CHECK_EQ(inside.read_error, ECANCELED);
    CHECK_EQ(inside.wait_error, ECANCELED);
    CHECK_EQ(inside.result, -1); /* the handler's call failed, foreign code was not interrupted again */
    CHECK_EQ(inside.error, EINTR);
    sem_destroy(&inside.never);
    close(inside.fds[0]);
    close(inside.fds[1]);
}

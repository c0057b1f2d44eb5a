/* SPDX-License-Identifier: MIT */
/* Rule 36: handlers nest, are not re-entered for their incident, and run where the level admits them. Also handlers
 * that fail. */
#include <setjmp.h>
#include "climber.h"

static struct c_handler handler, final;
static struct bough_jmp out;

static bough_post start_of(bough_branch *b, bough_fn *fn, int64_t second, int64_t ns)
{
    bough_set_report(c_silent);
    c_times_of(BOUGH_ROOT, STEP_NS, second, ns);
    bough_on_transition(c_note, NULL);
    bough_thread *t = bough_add(b, fn, bough_arg(NULL));
    CHECK(t);
    t_until(c_works); /* the child has its handlers */
    return bough_post_event(t, NULL);
}

static bough_post start(bough_branch *b, bough_fn *fn, int64_t ns)
{
    return start_of(b, fn, ns, ns);
}

static int both(void *unused)
{
    (void)unused;
    BOUGH_HANDLE_FINAL(c_handle, &final) {
        BOUGH_HANDLE(c_handle, &handler) {
            c_work_on();
        }
    }
    return 0;
}

static _Atomic int calls_worked;

static void call(struct c_handler *h)
{
    (void)h;
    for (int i = 0; i < 20; i++)
        if (bough_usleep(100) == 0 && bough_check() == 0)
            calls_worked++;
}

TEST(its_incident_neither_interrupts_a_handlers_calls_nor_enters_it_again)
{
    handler.inside = call;
    BOUGH_BRANCH(b) {
        start(b, both, BOUGH_SEC(600));
        t_until(handler.ran);
        CHECK_EQ(calls_worked, 20);
        c_go = 1;
    }
    CHECK_EQ(handler.ran, 1);
}

static _Atomic int blocks, cut;

static void block(struct c_handler *h)
{
    blocks += h == &handler;
    if (h == &handler && bough_usleep(500000000) != 0 && errno == ECANCELED)
        cut = 1;
}

TEST(a_handler_that_hangs_does_not_delay_the_next_rung)
{
    handler.inside = block;
    for (int64_t time = STEP_NS; !blocks; time *= 4) { /* repeated with more time, if the rung ends before it runs */
        final.ran = c_go = c_works = 0;
        BOUGH_BRANCH(b) {
            start(b, both, time);
            t_until(final.ran); /* nested: the final handler runs at a point in a call of the first handler */
            t_until(cut || !blocks);
            c_go = 1;
        }
    }
    t_until(c_has(2, 3)); /* a helper reports it */
}

static int *volatile nowhere;

__attribute__((no_sanitize("undefined"))) static void crash(struct c_handler *h)
{
    h->ran++;
    *nowhere = 1;
}

TEST(a_handler_that_crashes_makes_the_incident_climb)
{
    handler.inside = crash;
    BOUGH_BRANCH(b) {
        start(b, both, BOUGH_SEC(600));
        t_until(final.ran);
        CHECK_EQ(handler.ran, 1);
        c_go = 1;
    }
    t_until(c_has(2, 3)); /* a helper reports it */
    CHECK_EQ(bough_last_result(), 0);
}

TEST(a_final_handler_that_returns_has_failed)
{
    struct bough_progress progress = {0};
    handler.verdict = BOUGH_PROMOTE;
    BOUGH_BRANCH(b) {
        bough_post post = start_of(b, both, BOUGH_SEC(600), 4 * STEP_NS);
        t_until(final.ran);
        t_until(bough_post_progress(post, &progress) == 0 && progress.overdue);
        CHECK_EQ(progress.rung, BOUGH_RUNG_FINAL);
        c_go = 1;
    }
}

TEST(a_bindings_final_handler_may_return_while_an_exception_is_pending)
{
    struct bough_progress progress = {0};
    handler.verdict = BOUGH_PROMOTE;
    final.verdict = BOUGH_LEAVE;
    BOUGH_BRANCH(b) {
        /* a handler that failed would be reported as overdue at once, because no rung is above */
        bough_post post = start(b, both, BOUGH_SEC(600));
        t_until(final.ran);
        unsigned fails = c_fails;
        t_until(c_fails > fails);
        CHECK_EQ(bough_post_progress(post, &progress), 0);
        CHECK_EQ(progress.rung, BOUGH_RUNG_FINAL);
        CHECK_EQ(progress.overdue, 0);
        c_go = 1;
    }
}

static void jump(struct c_handler *h)
{
    h->ran++;
    bough_longjmp(&out, 1);
}

static int jumps_out(void *unused)
{
    (void)unused;
    if (bough_setjmp(&out) == 0)
        return both(NULL);
    c_work_on();
    return 0;
}

TEST(a_final_handler_may_leave_by_a_jump)
{
    handler.verdict = BOUGH_PROMOTE;
    final.inside = jump;
    BOUGH_BRANCH(b) {
        bough_post post = start(b, jumps_out, BOUGH_SEC(600));
        t_until(final.ran);
        unsigned fails = c_fails;
        t_until(c_fails > fails);
        CHECK_EQ(bough_post_status(post), BOUGH_POST_DELIVERED);
        c_go = 1;
    }
    CHECK_EQ(bough_last_result(), 0);
}

static int jumps_to_a_final(void *unused)
{
    (void)unused;
    BOUGH_HANDLE_FINAL(c_handle, &final) {
        if (bough_setjmp(&out) == 0) {
            BOUGH_HANDLE(c_handle, &handler) {
                c_work_on();
            }
        }
        c_work_on();
    }
    return 0;
}

/* The handler of rung 2 has left by a jump, so the incident climbs to the final handler at once. */
static void goes_up_to_the_final_one(bough_fn *child)
{
    BOUGH_BRANCH(b) {
        start(b, child, BOUGH_SEC(600));
        t_until(final.ran);
        c_go = 1;
    }
    t_until(c_has(2, 3)); /* a helper reports it */
}

TEST(a_handler_of_rung_2_that_jumps_out_has_failed)
{
    handler.inside = jump;
    goes_up_to_the_final_one(jumps_to_a_final);
}

static bough_mutex mutex = BOUGH_MUTEX_INIT;
static bough_cond changed = BOUGH_COND_INIT;

static int jumps_out_of_a_wait(void *unused)
{
    (void)unused;
    c_works = 1;
    CHECK_ERR(bough_usleep(500000000), ECANCELED);
    BOUGH_CLEANUP(BOUGH_SEC(600)) { /* the wait continues until the handler is due */
        CHECK_EQ(bough_mutex_lock(&mutex, 0), 0);
        if (bough_setjmp(&out) == 0) {
            BOUGH_HANDLE_FINAL(c_handle, &final) {
                c_works = 2;
                bough_cond_await(&changed, &mutex, 0);
            }
            FAIL("the wait ends");
        }
        CHECK_EQ(bough_mutex_unlock(&mutex), 0);
    }
    return ECANCELED;
}

static int awaits(void *unused)
{
    (void)unused;
    CHECK_EQ(bough_mutex_lock(&mutex, 0), 0);
    c_go = 1;
    CHECK_EQ(bough_cond_await(&changed, &mutex, 0), 0);
    CHECK_EQ(bough_mutex_unlock(&mutex), 0);
    return 0;
}

/* Fixed bug: the ticket stayed in the wait queue, in memory that was reused. */
TEST(a_call_that_a_jump_leaves_is_rolled_back)
{
    final.inside = jump;
    BOUGH_BRANCH(b) {
        bough_set_report(c_silent);
        c_times(BOUGH_ROOT, BOUGH_SEC(600), BOUGH_SEC(600));
        bough_thread *t = bough_add(b, jumps_out_of_a_wait, bough_arg(NULL));
        t_until(c_works == 1);
        CHECK_EQ(bough_interrupt(t, "one"), 0);
        t_until(c_works == 2);
        usleep(260000);
        CHECK_EQ(bough_interrupt(t, "two"), 0); /* the second event climbs */
    }
    CHECK_EQ(final.ran, 1);
    BOUGH_BRANCH(b) {
        CHECK(bough_add(b, awaits, bough_arg(NULL)));
        t_until(c_go);
        CHECK_EQ(bough_mutex_lock(&mutex, 0), 0);
        CHECK_EQ(bough_cond_notify(&changed), 0);
        CHECK_EQ(bough_mutex_unlock(&mutex), 0);
    }
    CHECK_EQ(bough_last_result(), 0);
}

static jmp_buf plain;

static void jump_plainly(struct c_handler *h)
{
    h->ran++;
    bough_usleep(100); /* the handler's incident is not due meanwhile */
    longjmp(plain, 1);
}

static int jumps_plainly(void *unused)
{
    (void)unused;
    BOUGH_HANDLE_FINAL(c_handle, &final) {
        if (setjmp(plain) == 0) {
            BOUGH_HANDLE(c_handle, &handler) {
                c_work_on();
            }
        }
        BOUGH_CRITICAL(0) {
        }
        CHECK_ERR(bough_check(), ECANCELED);
        c_work_on();
    }
    return 0;
}

/* Fixed bug: only the end of the rung's time detected it. */
TEST(a_plain_longjmp_is_detected_at_the_next_region)
{
    handler.inside = jump_plainly;
    goes_up_to_the_final_one(jumps_plainly);
}

static int in_a_section(void *unused)
{
    (void)unused;
    BOUGH_HANDLE(c_handle, &handler) {
        BOUGH_CRITICAL(BOUGH_SEC(600)) {
            c_work_on();
        }
    }
    return 0;
}

TEST(a_critical_section_pauses_the_ladder)
{
    BOUGH_BRANCH(b) {
        bough_post post = start(b, in_a_section, STEP_NS);
        usleep((useconds_t)(4 * STEP_NS / 1000));
        struct bough_progress progress;
        CHECK_EQ(bough_post_progress(post, &progress), 0);
        CHECK_EQ(progress.rung, BOUGH_RUNG_FLAG);
        CHECK_EQ(handler.ran, 0);
        c_go = 1;
    }
}

static volatile unsigned spun;

static void leave(struct c_handler *h)
{
    h->ran++;
    bough_longjmp(&out, 1);
}

static int computes(void *unused)
{
    struct bough_region region;
    (void)unused;
    if (bough_setjmp(&out) != 0)
        return 0;
    CHECK_EQ(
        bough_handler_begin(&region, c_handle, &final, BOUGH_HANDLER_FINAL | BOUGH_HANDLER_ASYNC, __FILE__, __LINE__),
        0);
    for (c_works = 1;;)
        spun++;
}

TEST(a_final_handler_may_run_asynchronously)
{
    final.inside = leave;
    BOUGH_BRANCH(b) {
        start(b, computes, BOUGH_SEC(600));
        t_until(final.ran);
    }
    CHECK_EQ(final.rung, BOUGH_RUNG_FINAL);
}

TEST(a_higher_rung_runs_handlers_in_a_cleanup_region)
{
    BOUGH_BRANCH(b) {
        start(b, both, BOUGH_SEC(600));
        t_until(handler.ran);
        c_go = 1;
    }
}

TEST(invalid_arguments_are_refused)
{
    struct bough_region region;
    CHECK_ERR(bough_handler_begin(NULL, c_handle, NULL, 0, __FILE__, __LINE__), EINVAL);
    CHECK_ERR(bough_handler_begin(&region, NULL, NULL, 0, __FILE__, __LINE__), EINVAL);
    CHECK_ERR(bough_handler_begin(&region, c_handle, NULL, 8, __FILE__, __LINE__), EINVAL);
    CHECK_ERR(bough_handler_begin(&region, c_handle, NULL, BOUGH_HANDLER_ASYNC, __FILE__, __LINE__), EINVAL);
}

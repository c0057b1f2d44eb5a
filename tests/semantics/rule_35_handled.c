/* SPDX-License-Identifier: MIT */
/* Rule 35: what counts as handled, and the four verdicts. */
#include "climber.h"

static struct c_handler inner, outer, final;

static int nested(void *unused)
{
    (void)unused;
    BOUGH_HANDLE_FINAL(c_handle, &final) {
        BOUGH_HANDLE(c_handle, &outer) {
            BOUGH_HANDLE(c_handle, &inner) {
                c_work_on();
            }
        }
    }
    return 0;
}

static bough_post start(bough_branch *b, int64_t ns)
{
    bough_set_report(c_silent);
    c_times_of(BOUGH_ROOT, STEP_NS, BOUGH_SEC(600), ns);
    bough_on_transition(c_note, NULL);
    bough_thread *t = bough_add(b, nested, bough_arg(NULL));
    CHECK(t);
    t_until(c_works);
    return bough_post_event(t, NULL);
}

static void until_overdue(bough_post post)
{
    struct bough_progress progress = {0};
    t_until(bough_post_progress(post, &progress) == 0 && progress.overdue);
}

TEST(unwind_gives_time_to_end)
{
    inner.verdict = BOUGH_UNWIND;
    BOUGH_BRANCH(b) {
        bough_post post = start(b, STEP_NS);
        t_until(inner.ran);
        unsigned fails = c_fails;
        t_until(c_fails > fails); /* the point at which the handler ran has failed */
        t_until(final.ran);       /* the flag's time is over again */
        CHECK(t_now() - inner.at >= STEP_NS);
        CHECK_EQ(outer.ran, 0);
        until_overdue(post);
        c_go = 1;
    }
    t_until(c_has(2, 3));
}

TEST(resume_lets_work_continue_until_its_time)
{
    inner.verdict = BOUGH_RESUME;
    inner.resume_for = 3 * STEP_NS;
    BOUGH_BRANCH(b) {
        start(b, BOUGH_SEC(600));
        t_until(inner.ran);
        unsigned fails = c_fails, now = fails;
        for (; t_now() < inner.at + 2 * STEP_NS; now = c_fails) /* the time is read after the count */
            CHECK_EQ(now, fails);
        t_until(c_fails > fails);
        CHECK(t_now() - inner.at >= 3 * STEP_NS);
        int climbed = final.ran; /* not before the flag's time is over again */
        CHECK(!climbed || t_now() - inner.at >= 4 * STEP_NS);
        c_go = 1;
    }
}

TEST(promote_runs_the_next_outer_handler_and_then_climbs)
{
    inner.verdict = outer.verdict = BOUGH_PROMOTE;
    BOUGH_BRANCH(b) {
        start(b, BOUGH_SEC(600));
        t_until(final.ran);
        CHECK_EQ(inner.ran, 1);
        CHECK_EQ(outer.ran, 1);
        CHECK_EQ(final.rung, BOUGH_RUNG_FINAL);
        c_go = 1;
    }
}

TEST(an_unknown_verdict_counts_as_promote)
{
    inner.verdict = 77;
    BOUGH_BRANCH(b) {
        start(b, BOUGH_SEC(600));
        t_until(outer.ran);
        c_go = 1;
    }
}

TEST(dismiss_clears_the_record)
{
    inner.verdict = BOUGH_DISMISS;
    BOUGH_BRANCH(b) {
        bough_post post = start(b, BOUGH_SEC(600));
        t_until(inner.ran);
        t_until(bough_post_status(post) == BOUGH_POST_CLEARED);
        unsigned fails = c_fails;
        usleep(50000);
        CHECK(c_fails <= fails + 1);
        t_until(c_has(2, 0));
        CHECK_EQ(final.ran, 0);
        c_go = 1;
    }
    CHECK_EQ(bough_last_result(), 0);
}

/* ---- a record that is closed, and posted again, while a handler runs ---------------------------------------------- */

static _Atomic int posted_again;
static bough_post again;

/* On the target's thread. The later post stays at rung 1. */
static void clears_and_posts_again(struct c_handler *h)
{
    if (posted_again++)
        return;
    CHECK_EQ(bough_clear(NULL), 1);
    again = bough_post_event(h->incident.record.target, &(struct bough_event){.reason = "again"});
}

static void post_to_the_handlers(bough_branch *b)
{
    bough_set_report(c_silent);
    c_times(BOUGH_ROOT, BOUGH_SEC(600), BOUGH_SEC(600));
    inner.inside = clears_and_posts_again;
    bough_thread *t = bough_add(b, nested, bough_arg(NULL));
    t_until(c_works);
    bough_post_event(t, &(struct bough_event){.rung = BOUGH_RUNG_HANDLER});
    t_until(inner.ran);
    t_until(bough_post_status(again) != BOUGH_POST_PENDING);
}

/* The ticker ends the branch, and so has read the verdict. */
static void ticker_has_looked(void)
{
    BOUGH_BRANCH(b, .timeout = BOUGH_MS(20))
        bough_usleep(BOUGH_SEC(600) / 1000);
}

/* Fixed race: the handler dismissed the later post, which it had not seen. */
TEST(a_verdict_does_not_dismiss_a_later_post)
{
    inner.verdict = BOUGH_DISMISS;
    BOUGH_BRANCH(b) {
        post_to_the_handlers(b);
        CHECK_EQ(bough_post_status(again), BOUGH_POST_DELIVERED);
        c_go = 1;
    }
}

/* Fixed race: the later post climbed, and the next handler outwards ran for it at a rung that it had not reached. */
TEST(a_verdict_does_not_promote_a_later_post)
{
    struct bough_progress progress;
    inner.verdict = outer.verdict = BOUGH_PROMOTE;
    BOUGH_BRANCH(b) {
        post_to_the_handlers(b);
        ticker_has_looked();
        CHECK_EQ(bough_post_progress(again, &progress), 0);
        CHECK_EQ(progress.rung, BOUGH_RUNG_FLAG);
        CHECK_EQ(inner.ran, 1);
        CHECK_EQ(outer.ran, 0);
        c_go = 1;
    }
}

/* Only its owner may dismiss an interrupt of a branch. */
TEST(a_child_cannot_dismiss_an_interrupt_of_its_branch)
{
    inner.verdict = BOUGH_DISMISS;
    BOUGH_BRANCH(b) {
        bough_set_report(c_silent);
        c_times(BOUGH_ROOT, STEP_NS, BOUGH_SEC(600));
        CHECK(bough_add(b, nested, bough_arg(NULL)));
        t_until(c_works);
        bough_post post = bough_post_event(b, NULL);
        t_until(inner.ran);
        unsigned fails = c_fails;
        t_until(c_fails > fails);
        CHECK_EQ(bough_post_status(post), BOUGH_POST_DELIVERED);
        c_go = 1;
    }
}

static void post_thrice(struct c_handler *h)
{
    for (int i = 0; i < 2; i++) {
        usleep(260000);
        bough_interrupt(h->incident.record.target, "again");
    }
}

/* A handler that only clears the record ignores the interrupt. But a third event that comes before is final. */
TEST(a_third_event_cannot_be_dismissed)
{
    struct bough_ladder far = {.ceiling = {[BOUGH_STOP] = 3}, .time = {[2] = BOUGH_SEC(600), [3] = BOUGH_SEC(600)}};
    inner.verdict = BOUGH_DISMISS;
    inner.inside = post_thrice;
    BOUGH_BRANCH(b) {
        CHECK_EQ(bough_ladder_set(b, &far), 0); /* before the interrupt, which may climb at once */
        bough_post post = start(b, BOUGH_SEC(600));
        t_until(inner.ran);
        t_until(final.ran);
        CHECK(bough_post_status(post) <= BOUGH_POST_DELIVERED);
        c_go = 1;
    }
}

/* The handler's verdict begins the flag's time again: it is long, so that the target ends in it. */
TEST(the_end_of_the_target_counts_as_handled)
{
    struct bough_event event = {.rung = BOUGH_RUNG_HANDLER};
    bough_set_report(c_silent);
    c_times(BOUGH_ROOT, BOUGH_SEC(300), BOUGH_SEC(300));
    bough_on_transition(c_note, NULL);
    BOUGH_BRANCH(b) {
        bough_thread *t = bough_add(b, nested, bough_arg(NULL));
        t_until(c_works);
        bough_post post = bough_post_event(t, &event);
        t_until(inner.ran);
        c_go = 1;
        CHECK_EQ(bough_post_wait(post, 0), 0);
        CHECK_EQ(bough_post_status(post), BOUGH_POST_ENDED);
        t_until(c_has(2, 0));
    }
    struct bough_progress progress;
    CHECK_ERR(bough_post_progress((bough_post){0, 0}, &progress), ESRCH);
}

/* ---- the verdict decides whether a blocked call continues -------------------------------------------------------- */

static int fds[2];
static _Atomic int got;

static int reads(void *unused)
{
    char byte = 0;
    (void)unused;
    BOUGH_HANDLE(c_handle, &inner) {
        c_works = 1;
        while (bough_read(fds[0], &byte, 1) != 1)
            c_fails += inner.ran != 0;
    }
    got = byte;
    return 0;
}

static void read_until(int64_t resume_for, int verdict)
{
    CHECK_EQ(pipe(fds), 0);
    inner.verdict = verdict;
    inner.resume_for = resume_for;
    bough_set_report(c_silent);
    c_times(BOUGH_ROOT, BOUGH_SEC(600), BOUGH_SEC(600));
    struct bough_event event = {.rung = BOUGH_RUNG_HANDLER};
    BOUGH_BRANCH(b) {
        bough_thread *t = bough_add(b, reads, bough_arg(NULL));
        t_until(c_works);
        bough_post post = bough_post_event(t, &event);
        t_until(inner.ran);
        CHECK_EQ(write(fds[1], "x", 1), 1);
        t_until(got);
        if (verdict == BOUGH_DISMISS)
            CHECK(bough_post_status(post) >= BOUGH_POST_CLEARED);
    }
    close(fds[0]);
    close(fds[1]);
}

/* The flag ends the call before the handler runs. */
TEST(a_call_whose_handler_resumes_continues)
{
    read_until(BOUGH_SEC(600), BOUGH_RESUME);
    CHECK(c_fails <= 1);
}

TEST(a_call_whose_handler_dismisses_continues)
{
    read_until(0, BOUGH_DISMISS);
    CHECK(c_fails <= 1);
}

/* SPDX-License-Identifier: MIT */
/* Rule 1: one record for each target and kind; a handle reports the state of a post. */
#include <stdbool.h>
#include "target.h"

static bough_post post_as(bough_target target, enum bough_kind kind, const char *reason, unsigned flags)
{
    struct bough_event event = {.kind = kind, .reason = reason, .flags = flags};
    bough_post post = bough_post_event(target, &event);
    CHECK(post.record != 0);
    return post;
}

TEST(a_repeat_is_counted_and_the_first_reason_stays)
{
    struct bough_record r;
    bough_time before = bough_now();
    post_as(bough_self(), BOUGH_STOP, "first", 0);
    post_as(bough_self(), BOUGH_STOP, "second", 0);
    post_as(bough_self(), BOUGH_STOP, NULL, 0);
    CHECK_EQ(bough_reason(&r), 0);
    CHECK_EQ(r.count, 3);
    CHECK_STR(r.reason, "first");
    CHECK_EQ(r.kind, BOUGH_STOP);
    CHECK(r.target == (bough_target)bough_self());
    CHECK_EQ(r.source, t_tid());
    CHECK(r.since >= before && r.since <= bough_now());
    CHECK_EQ(bough_clear(NULL), 1);
    CHECK_ERR(bough_reason(&r), ENOENT);
}

TEST(each_kind_has_a_record_and_the_first_posted_is_the_reason)
{
    struct bough_record r;
    for (int kind = BOUGH_KINDS - 1; kind >= 0; kind--)
        post_as(bough_self(), (enum bough_kind)kind, "why", 0);
    CHECK_EQ(bough_reason(&r), 0);
    CHECK_EQ(r.kind, BOUGH_KINDS - 1);
    CHECK_EQ(r.count, 1);
    CHECK_EQ(bough_clear(NULL), BOUGH_KINDS);
    CHECK_EQ(bough_clear(NULL), 0);
}

TEST(a_new_record_keeps_no_data_of_the_previous_one)
{
    struct bough_record r;
    struct bough_event first = {
        .kind = BOUGH_SIGNAL, .reason = "a long reason", .signo = 7, .value = 9, .flags = BOUGH_ALONE};
    struct bough_event second = {.kind = BOUGH_SIGNAL, .reason = "b"};
    bough_post_event(bough_self(), &first);
    bough_post_event(bough_self(), &first);
    CHECK_EQ(bough_reason(&r), 0);
    CHECK_EQ(r.signo, 7);
    CHECK_EQ(r.value, 9);
    CHECK_EQ(r.flags, BOUGH_ALONE);
    CHECK_EQ(bough_clear(NULL), 1);
    bough_post_event(bough_self(), &second);
    CHECK_EQ(bough_reason(&r), 0);
    CHECK_STR(r.reason, "b");
    CHECK_EQ(r.count, 1);
    CHECK_EQ(r.signo, 0);
    CHECK_EQ(r.value, 0);
    CHECK_EQ(r.flags, 0);
    CHECK_EQ(bough_clear(NULL), 1);
}

TEST(a_reason_may_be_missing_or_too_long)
{
    struct bough_record r;
    char text[200];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    post_as(bough_self(), BOUGH_STOP, NULL, 0);
    CHECK_EQ(bough_reason(&r), 0);
    CHECK_STR(r.reason, "");
    CHECK_EQ(bough_clear(NULL), 1);
    post_as(bough_self(), BOUGH_STOP, text, 0);
    CHECK_EQ(bough_reason(&r), 0);
    CHECK_EQ(strlen(r.reason), BOUGH_REASON_MAX);
    CHECK_EQ(bough_clear(NULL), 1);
}

struct asked {
    bough_thread *self;
    bool cleared;
};

static void *clears_when_posted_to(void *argument)
{
    struct asked *asked = argument;
    __atomic_store_n(&asked->self, bough_self(), __ATOMIC_SEQ_CST);
    t_until(bough_interrupted());
    t_until(__atomic_load_n(&asked->cleared, __ATOMIC_SEQ_CST));
    CHECK_EQ(bough_clear(NULL), 1);
    t_until(bough_interrupted());
    return NULL;
}

TEST(any_thread_can_read_the_reason_of_another)
{
    struct bough_record r = {.count = 77};
    struct asked asked = {0};
    struct t_thread thread;
    t_spawn(&thread, clears_when_posted_to, &asked);
    t_until(__atomic_load_n(&asked.self, __ATOMIC_SEQ_CST));
    CHECK_ERR(bough_reason_of(asked.self, &r), ENOENT);
    CHECK_EQ(r.count, 77);
    post_as(asked.self, BOUGH_STOP, "first", 0);
    CHECK_EQ(bough_reason_of(asked.self, &r), 0);
    CHECK_STR(r.reason, "first");
    CHECK(r.target == (bough_target)asked.self);
    __atomic_store_n(&asked.cleared, true, __ATOMIC_SEQ_CST);
    t_until(bough_reason_of(asked.self, &r) == -1);
    post_as(asked.self, BOUGH_TIMEOUT, "second", 0);
    t_join(&thread);
    CHECK_ERR(bough_reason_of(asked.self, &r), ESRCH);
}

TEST(the_reason_of_another_thread_is_that_of_its_innermost_record)
{
    struct bough_record r;
    BOUGH_BRANCH(outer) {
        BOUGH_BRANCH(inner) {
            post_as(outer, BOUGH_STOP, "outer", 0);
            CHECK_EQ(bough_reason_of(bough_self(), &r), 0);
            CHECK_STR(r.reason, "outer");
            post_as(inner, BOUGH_STOP, "inner", 0);
            CHECK_EQ(bough_reason_of(bough_self(), &r), 0);
            CHECK_STR(r.reason, "inner");
            CHECK_ERR(bough_reason_of((bough_thread *)inner, &r), EINVAL);
        }
    }
    CHECK_ERR(bough_reason_of(bough_self(), NULL), EINVAL);
    CHECK_ERR(bough_reason_of(NULL, &r), EINVAL);
}

TEST(invalid_events_and_targets_are_refused)
{
    struct bough_event event = {.kind = BOUGH_KINDS};
    struct bough_record *none = NULL;
    CHECK_EQ(bough_post_event(bough_self(), &event).record, 0);
    CHECK_EQ(errno, EINVAL);
    event = (struct bough_event){.kind = BOUGH_STOP, .rung = 7};
    CHECK_EQ(bough_post_event(bough_self(), &event).record, 0);
    CHECK_EQ(errno, EINVAL);
    CHECK_ERR(bough_interrupt(NULL, "x"), EINVAL);
    CHECK_ERR(bough_interrupt(&event, "a stray pointer"), EINVAL);
    CHECK_ERR(bough_reason(none), EINVAL);
    CHECK_EQ(bough_interrupted(), 0);
}

TEST(a_handle_reports_pending_then_delivered_then_cleared)
{
    bough_post post = post_stop(bough_self());
    CHECK_EQ(bough_post_status(post), BOUGH_POST_PENDING);
    CHECK_EQ(bough_interrupted(), 1); /* the query delivers nothing */
    CHECK_EQ(bough_post_status(post), BOUGH_POST_PENDING);
    CHECK_ERR(bough_check(), ECANCELED);
    CHECK_EQ(bough_post_status(post), BOUGH_POST_DELIVERED);
    CHECK_EQ(bough_clear(NULL), 1);
    CHECK_EQ(bough_post_status(post), BOUGH_POST_CLEARED);
}

TEST(a_handle_reports_the_state_of_its_record_only)
{
    bough_post first = post_stop(bough_self());
    CHECK_EQ(bough_clear(NULL), 1);
    bough_post second = post_stop(bough_self());
    CHECK_EQ(bough_post_status(first), BOUGH_POST_CLEARED);
    CHECK_EQ(bough_post_status(second), BOUGH_POST_PENDING);
    bough_post repeat = post_stop(bough_self());
    CHECK_ERR(bough_check(), ECANCELED);
    CHECK_EQ(bough_post_status(repeat), BOUGH_POST_DELIVERED);
    CHECK_EQ(bough_post_status(second), BOUGH_POST_DELIVERED);
    CHECK_EQ(bough_clear(NULL), 1);
    CHECK_EQ(bough_post_status(first), BOUGH_POST_GONE); /* the library has forgotten so old a post */
    CHECK_EQ(bough_post_status(second), BOUGH_POST_CLEARED);
    CHECK_EQ(bough_post_status((bough_post){0, 0}), BOUGH_POST_GONE);
}

TEST(a_handle_reports_that_the_target_has_ended)
{
    struct target t = {0};
    target_start(&t);
    bough_post cut = post_stop(t.self);
    target_was_cut(&t);
    CHECK_EQ(bough_post_status(cut), BOUGH_POST_DELIVERED);
    bough_post never_met = post_as(t.self, BOUGH_EXIT, NULL, 0);
    CHECK_EQ(bough_post_status(never_met), BOUGH_POST_PENDING);
    target_end(&t);
    CHECK_EQ(bough_post_status(cut), BOUGH_POST_ENDED);
    CHECK_EQ(bough_post_status(never_met), BOUGH_POST_ENDED);
}

TEST(a_handle_on_a_branch_reports_the_same)
{
    bough_post post = {0, 0};
    BOUGH_BRANCH(b) {
        post = post_stop(b);
        CHECK_EQ(bough_post_status(post), BOUGH_POST_PENDING);
        CHECK_ERR(bough_check(), ECANCELED);
        CHECK_EQ(bough_post_status(post), BOUGH_POST_DELIVERED);
    }
    CHECK_EQ(bough_post_status(post), BOUGH_POST_ENDED);
}

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

struct wait {
    struct t_thread thread;
    struct t_gate begun;
    bough_post post;
    int result;
};

static void *wait_main(void *argument)
{
    struct wait *w = argument;
    w->result = bough_post_wait(w->post, 0);
    return NULL;
}

static void clear_own(struct target *t)
{
    struct wait *w = t->more;
    t_gate_wait(&w->begun);
    t_until_blocked(w->thread.tid);
    CHECK_EQ(bough_clear(NULL), 1);
}

TEST(waiting_ends_when_the_record_is_cleared)
{
    struct wait w = {0};
    struct target t = {.after = clear_own, .more = &w};
    target_start(&t);
    w.post = post_stop(t.self);
    t_spawn(&w.thread, wait_main, &w);
    t_gate_open(&w.begun);
    t_join(&w.thread);
    CHECK_EQ(w.result, 0);
    CHECK_EQ(bough_post_status(w.post), BOUGH_POST_CLEARED);
    target_end(&t);
}

TEST(waiting_ends_when_the_target_ends)
{
    struct target t = {0};
    struct wait w = {0};
    target_start(&t);
    w.post = post_stop(t.self);
    t_spawn(&w.thread, wait_main, &w);
    target_was_cut(&t);
    t_until_blocked(w.thread.tid);
    target_end(&t);
    t_join(&w.thread);
    CHECK_EQ(w.result, 0);
    CHECK_EQ(bough_post_wait(w.post, 0), 0); /* returns at once if the post is over */
}

TEST(waiting_has_a_deadline)
{
    struct target t = {0};
    target_start(&t);
    bough_post post = post_stop(t.self);
    int64_t from = t_now();
    CHECK_ERR(bough_post_wait(post, bough_after(BOUGH_MS(20))), ETIMEDOUT);
    CHECK(t_now() - from >= ms(20));
    CHECK_ERR(bough_post_wait(post, 1), ETIMEDOUT);
    target_end(&t);
}

TEST(waiting_for_a_post_to_oneself_is_refused)
{
    bough_post post = post_stop(bough_self());
    CHECK_ERR(bough_post_wait(post, 0), EDEADLK);
    CHECK_EQ(bough_post_status(post), BOUGH_POST_PENDING);
    CHECK_EQ(bough_clear(NULL), 1);
}

static void wait_for_another(struct target *t)
{
    CHECK_EQ(t->error, ECANCELED);
    CHECK_EQ(bough_clear(NULL), 1);
    t->result = bough_post_wait(*(bough_post *)t->more, 0);
    t->error = errno;
}

TEST(waiting_is_an_interruption_point)
{
    struct target t = {0}, waiter = {.after = wait_for_another};
    target_start(&t);
    bough_post post = post_stop(t.self);
    waiter.more = &post;
    target_start(&waiter);
    bough_post first = post_stop(waiter.self);
    CHECK_EQ(bough_post_wait(first, 0), 0); /* the waiter has cleared the first post, and waits for the other */
    t_until_blocked(waiter.thread.tid);
    CHECK_EQ(bough_interrupt(waiter.self, NULL), 0);
    target_was_cut(&waiter);
    target_end(&waiter);
    target_end(&t);
    post_stop(bough_self());
    post = post_stop(bough_root());
    CHECK_ERR(bough_post_wait(post, 0), ECANCELED); /* fails also if the post came before the wait */
    CHECK_EQ(bough_clear(NULL), 1);
    CHECK_EQ(bough_clear(BOUGH_ROOT), 1);
}

/* ---- final records ----------------------------------------------------------------------------------------------- */

static void final_records(struct target *t)
{
    bough_post plain = post_as(t->self, BOUGH_EXIT, NULL, 0);
    CHECK_EQ(bough_clear(NULL), 2); /* the test's post and this one */
    post_as(t->self, BOUGH_EXIT, NULL, 0);
    bough_post final = post_as(t->self, BOUGH_EXIT, NULL, BOUGH_FINAL); /* a repeat can make it final */
    plain = post_as(t->self, BOUGH_STOP, NULL, 0);
    CHECK_ERR(bough_clear(NULL), EBUSY);
    CHECK_EQ(bough_post_status(final), BOUGH_POST_PENDING);
    CHECK_EQ(bough_post_status(plain), BOUGH_POST_CLEARED);
    CHECK_ERR(bough_check(), ECANCELED);
    t->more = (void *)(uintptr_t) final.serial;
}

TEST(a_final_record_cant_be_cleared)
{
    struct target t = {.after = final_records};
    target_start(&t);
    post_stop(t.self);
    target_was_cut(&t);
    target_end(&t);
}

/* ---- repeats at once --------------------------------------------------------------------------------------------- */

enum { POSTERS = 3, ROUNDS = 4000, EACH = 3 };

struct crowd {
    bough_thread *target;
    pthread_barrier_t start, end;
    bough_post first[POSTERS];
};

struct poster {
    struct t_thread thread;
    struct crowd *crowd;
    int number;
};

static void *post_in_rounds(void *argument)
{
    struct poster *p = argument;
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&p->crowd->start);
        for (int i = 0; i < EACH; i++) {
            struct bough_event event = {.kind = BOUGH_STOP, .flags = p->number == 0 && i == 0 ? BOUGH_FINAL : 0};
            bough_post post = bough_post_event(p->crowd->target, &event);
            if (i == 0)
                p->crowd->first[p->number] = post;
        }
        pthread_barrier_wait(&p->crowd->end);
    }
    return NULL;
}

/* Fixed bug: if a repeat came while the record was being written, its count and its flag FINAL were lost. */
TEST_LIMIT(no_repeat_is_forgotten_when_many_post_at_once, 60)
{
    struct crowd crowd = {0};
    struct poster poster[POSTERS];
    struct bough_record r;
    pthread_barrier_init(&crowd.start, NULL, POSTERS + 1);
    pthread_barrier_init(&crowd.end, NULL, POSTERS + 1);
    for (int i = 0; i < POSTERS; i++) {
        poster[i] = (struct poster){.crowd = &crowd, .number = i};
        t_spawn(&poster[i].thread, post_in_rounds, &poster[i]);
    }
    for (int round = 0; round < ROUNDS; round++) {
        /* A branch for each round: a final record is removed only with its target. */
        BOUGH_BRANCH(b) {
            crowd.target = (bough_thread *)b;
            pthread_barrier_wait(&crowd.start);
            pthread_barrier_wait(&crowd.end);
            CHECK_EQ(bough_reason(&r), 0);
            CHECK_EQ(r.count, POSTERS * EACH);
            CHECK_EQ(r.flags, BOUGH_FINAL);
            for (int i = 0; i < POSTERS; i++)
                CHECK_EQ(crowd.first[i].serial, crowd.first[0].serial);
        }
    }
    for (int i = 0; i < POSTERS; i++)
        t_join(&poster[i].thread);
}

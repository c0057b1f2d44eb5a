/* SPDX-License-Identifier: MIT */
/* Rule 6: a record is bound to one incarnation of its target. */
#include <poll.h>
#include <sched.h>
#include "target.h"

TEST(a_handle_of_a_thread_that_ended_is_stale)
{
    struct target t = {0};
    target_start(&t);
    CHECK_EQ(bough_alive(t.self), 0);
    CHECK(bough_thread_of(t.thread.tid) == t.self);
    CHECK_EQ(write(t.pipe[1], "x", 1), 1);
    target_end(&t);
    CHECK_ERR(bough_alive(t.self), ESRCH);
    CHECK_ERR(bough_interrupt(t.self, "late"), ESRCH);
    CHECK_ERR(bough_thread_of(t.thread.tid), ESRCH);
}

TEST(a_released_thread_that_is_adopted_again_is_another_target)
{
    bough_thread *before = bough_self();
    post_stop(before);
    CHECK_EQ(bough_release(), 0);
    CHECK_ERR(bough_release(), ENOENT);
    CHECK_ERR(bough_interrupt(before, "late"), ESRCH);
    CHECK_EQ(bough_check(), 0);
    CHECK(bough_self() != before);
    CHECK_EQ(bough_interrupted(), 0);
}

TEST(a_branch_that_ended_is_stale)
{
    bough_branch *before = NULL;
    BOUGH_BRANCH(b) {
        before = b;
        CHECK_EQ(bough_interrupt(b, "now"), 0);
    }
    CHECK_ERR(bough_interrupt(before, "late"), ESRCH);
    BOUGH_BRANCH(b) {
        CHECK(b != before);
        CHECK_EQ(bough_check(), 0);
        CHECK_ERR(bough_interrupt(before, "late"), ESRCH);
        CHECK_EQ(bough_interrupted(), 0);
    }
}

static int check_once(void *result)
{
    *(int *)result = bough_check() == 0 ? bough_interrupted() : -1;
    return 0;
}

/* The next child has the same thread, the same slot, and the same kernel thread id. */
TEST(no_post_reaches_the_next_child_of_a_thread)
{
    bough_thread *first = NULL, *second;
    int result = 1;
    bough_post post = {0, 0};
    BOUGH_BRANCH(b) {
        first = bough_add(b, check_once, bough_arg(&result));
        bough_join(first);
    }
    BOUGH_BRANCH(b) {
        CHECK_EQ(bough_post_event(first, NULL).record, 0);
        CHECK_EQ(errno, ESRCH);
        second = bough_add(b, check_once, bough_arg(&result));
        bough_join(second);
        CHECK(first != second);
        CHECK_EQ(result, 0);
    }
    BOUGH_BRANCH(b) {
        post = post_stop(b);
    }
    CHECK_EQ(bough_post_status(post), BOUGH_POST_ENDED);
    BOUGH_BRANCH(b) {
        second = bough_add(b, check_once, bough_arg(&result));
        CHECK(second);
        bough_join(second);
        CHECK_EQ(result, 0);
    }
}

/* ---- posts that race with the end -------------------------------------------------------------------------------- */

enum { ENDS = 20000 };
struct race {
    bough_thread *latest;
    uint32_t over;
    uint32_t stray;
    _Atomic long reached, late;
    pthread_t child_thread;
};

static int end_soon(void *argument)
{
    struct race *r = argument;
    struct bough_record record;
    struct pollfd none = {.fd = -1};
    /* Only a post to this child's handle may have interrupted it. */
    if (bough_poll(&none, 1, 0) < 0 || bough_check() < 0)
        if (bough_reason(&record) == 0 && record.target != (bough_target)bough_self())
            __atomic_fetch_add(&r->stray, 1, __ATOMIC_SEQ_CST);
    return 0;
}

static void *post_to_the_latest(void *argument)
{
    struct race *r = argument;
    while (!__atomic_load_n(&r->over, __ATOMIC_ACQUIRE)) {
        bough_thread *t = __atomic_load_n(&r->latest, __ATOMIC_ACQUIRE);
        if (!t)
            continue;
        if (bough_interrupt(t, "race") == 0)
            r->reached++;
        else
            r->late++;
    }
    return NULL;
}

/* The next child's incarnation begins in the same slot while posters still use the previous one. */
TEST_LIMIT(a_post_reaches_its_incarnation_or_none, 60)
{
    struct race r = {0};
    struct t_thread poster;
    t_spawn(&poster, post_to_the_latest, &r);
    for (int i = 0; i < ENDS / 10 || r.reached == 0 || r.late == 0; i++) {
        BOUGH_BRANCH(b) {
            for (int k = 0; k < 10; k++) {
                bough_thread *child = bough_add(b, end_soon, bough_arg(&r));
                CHECK(child);
                __atomic_store_n(&r.latest, child, __ATOMIC_RELEASE);
                CHECK_EQ(bough_join(child), 0);
            }
        }
        CHECK_EQ(bough_last_result(), 0);
    }
    __atomic_store_n(&r.over, 1, __ATOMIC_RELEASE);
    t_join(&poster);
    CHECK_EQ(r.stray, 0);
}

/* The post's status becomes "ended", whenever its record was written. */
static void *ends_at_once(void *argument)
{
    __atomic_store_n((bough_thread **)argument, bough_self(), __ATOMIC_RELEASE);
    return NULL;
}

TEST_LIMIT(no_successful_post_stays_pending_after_its_target_has_ended, 60)
{
    for (int i = 0; i < 3000; i++) {
        struct t_thread thread;
        bough_thread *self = NULL, *seen;
        t_spawn(&thread, ends_at_once, &self);
        while (!(seen = __atomic_load_n(&self, __ATOMIC_ACQUIRE)))
            sched_yield();
        bough_post post = bough_post_event(seen, NULL);
        t_join(&thread);
        if (post.record)
            CHECK_EQ(bough_post_status(post), BOUGH_POST_ENDED);
        else
            CHECK_EQ(errno, ESRCH);
    }
}

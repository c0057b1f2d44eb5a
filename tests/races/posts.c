/* SPDX-License-Identifier: MIT */
/* Rules 6 and 40: the transitions of a post are reported in their order, each once, whichever threads make them. */
#include "hooks.h"
#include <bough/ladder.h>

static enum bough_post_status transitions[8];
static _Atomic int transition_count;

static void keep_transition(const struct bough_posting *p, void *unused)
{
    (void)unused;
    if (p->record.kind == BOUGH_STOP && transition_count < 8)
        transitions[transition_count++] = p->status;
}

static void watch_posts(void)
{
    CHECK_EQ(bough_on_posting(keep_transition, NULL), 0);
}

/* Waits until all reports have been handed out. */
static void watch_no_longer(void)
{
    CHECK_EQ(bough_on_posting(NULL, NULL), 0);
}

static void *posts_stop(void *target)
{
    CHECK_EQ(bough_interrupt(target, NULL), 0);
    return NULL;
}

/* Fixed bug: the target could meet the record, and clear it, before the post was reported. */
TEST(a_post_is_reported_before_its_end)
{
    struct t_thread poster;
    NEED_HOOKS();
    watch_posts();
    CHECK(bough_post_event(bough_self(), &(struct bough_event){.kind = BOUGH_OPERATOR}).record);
    bo_hook_post_due = stop_here;
    t_spawn(&poster, posts_stop, bough_self());
    t_gate_wait(&hook_reached);
    CHECK_EQ(bough_check(), -1);
    CHECK_EQ(bough_clear(NULL), 2);
    t_gate_open(&hook_go);
    t_join(&poster);
    watch_no_longer();
    CHECK(transition_count >= 2);
    CHECK_EQ(transitions[0], BOUGH_POST_PENDING);
    CHECK_EQ(transitions[transition_count - 1], BOUGH_POST_CLEARED);
}

/* ---- a child delivers a record of its parent branch, the branch's owner clears it -------------------------------- */

static _Atomic int child_is_done;

static int meets(void *unused)
{
    (void)unused;
    while (bough_check() == 0 && !child_is_done)
        sched_yield();
    child_is_done = 1;
    return 0;
}

/* Fixed bug: the branch's owner could clear the record before its delivery was reported. */
TEST(a_delivery_is_reported_before_the_end_of_its_post)
{
    NEED_HOOKS();
    watch_posts();
    bo_hook_record_changed = stop_here;
    BOUGH_BRANCH(b) {
        CHECK(bough_add(b, meets, bough_arg(NULL)));
        CHECK_EQ(bough_interrupt(b, NULL), 0);
        t_gate_wait(&hook_reached);
        CHECK_EQ(bough_clear(b), 1);
        t_gate_open(&hook_go);
    }
    watch_no_longer();
    CHECK_EQ(transition_count, 3);
    CHECK_EQ(transitions[0], BOUGH_POST_PENDING);
    CHECK_EQ(transitions[1], BOUGH_POST_DELIVERED);
    CHECK_EQ(transitions[2], BOUGH_POST_CLEARED);
}

static pid_t owner;

static void let_the_child_deliver(void)
{
    if (t_tid() != owner)
        return;
    t_gate_open(&hook_go);
    t_until(child_is_done);
}

/* Fixed bug: the record could be delivered after its end was reported. */
TEST(no_delivery_is_reported_after_the_end_of_its_post)
{
    NEED_HOOKS();
    watch_posts();
    bo_hook_deliver_begins = stop_here;
    bo_hook_record_changes = let_the_child_deliver;
    owner = t_tid();
    BOUGH_BRANCH(b) {
        CHECK(bough_add(b, meets, bough_arg(NULL)));
        CHECK_EQ(bough_interrupt(b, NULL), 0);
        t_gate_wait(&hook_reached);
        CHECK_EQ(bough_clear(b), 1);
    }
    watch_no_longer();
    CHECK_EQ(transition_count, 3);
    CHECK_EQ(transitions[0], BOUGH_POST_PENDING);
    CHECK_EQ(transitions[1], BOUGH_POST_DELIVERED);
    CHECK_EQ(transitions[2], BOUGH_POST_CLEARED);
}

/* ---- two threads clear the root ---------------------------------------------------------------------------------- */

static void *clears_the_root(void *unused)
{
    CHECK_EQ(bough_clear(BOUGH_ROOT), 0);
    return unused;
}

/* Fixed bug: both threads cleared the record. The second one ended the next post too, which then had no status. */
TEST(one_of_two_threads_that_clear_the_root_ends_the_post)
{
    struct t_thread clearer;
    NEED_HOOKS();
    watch_posts();
    CHECK_EQ(bough_interrupt(BOUGH_ROOT, NULL), 0);
    bo_hook_record_changes = stop_here;
    t_spawn(&clearer, clears_the_root, NULL);
    t_gate_wait(&hook_reached);
    CHECK_EQ(bough_interrupt(BOUGH_ROOT, NULL), 0); /* finishes the clearing, and writes the record again */
    CHECK_EQ(bough_clear(BOUGH_ROOT), 1);
    bough_post next = bough_post_event(BOUGH_ROOT, &(struct bough_event){.reason = "next"});
    t_gate_open(&hook_go);
    t_join(&clearer);
    CHECK_EQ(bough_post_status(next), BOUGH_POST_PENDING);
    CHECK_EQ(bough_clear(BOUGH_ROOT), 1);
    watch_no_longer();
    CHECK_EQ(transition_count, 6);
    for (int i = 0; i < 6; i++)
        CHECK_EQ(transitions[i], i % 2 ? BOUGH_POST_CLEARED : BOUGH_POST_PENDING);
}

static void *posts_slowly(void *branch)
{
    hooked = t_tid();
    CHECK_EQ(bough_interrupt(branch, "slowly"), 0);
    return NULL;
}

/* Fixed race: a report that came while others were claimed and handed out found the ring full, and was lost. */
TEST(a_report_is_not_lost_while_another_one_is_handed_out)
{
    struct t_thread poster;
    NEED_HOOKS();
    watch_posts();
    BOUGH_BRANCH(slow) {
        bo_hook_ring_claims = stop_here;
        t_spawn(&poster, posts_slowly, slow);
        t_gate_wait(&hook_reached);
        BOUGH_BRANCH(other) {
            CHECK_EQ(bough_interrupt(other, "meanwhile"), 0);
            t_until(transition_count == 1); /* so it was read from the ring */
            t_gate_open(&hook_go);
            t_join(&poster);
        }
    }
    watch_no_longer();
    CHECK_EQ(transition_count, 4);
}

/* ---- a final post comes while another thread clears ------------------------------------------------------------- */

static void *may_not_clear_the_root(void *unused)
{
    CHECK_ERR(bough_clear(BOUGH_ROOT), EBUSY);
    return unused;
}

static bough_post post_finally(void)
{
    return bough_post_event(BOUGH_ROOT, &(struct bough_event){.flags = BOUGH_FINAL, .reason = "final"});
}

static void is_still_final(bough_post post)
{
    CHECK_EQ(bough_post_status(post), BOUGH_POST_PENDING);
    CHECK_EQ(bough_check(), -1);
    CHECK_ERR(bough_clear(BOUGH_ROOT), EBUSY);
}

/* Fixed race: the record was found not to be final, and was cleared after a post had made it final. */
TEST(a_record_that_becomes_final_is_not_cleared)
{
    struct t_thread clearer;
    NEED_HOOKS();
    CHECK_EQ(bough_interrupt(BOUGH_ROOT, NULL), 0);
    bo_hook_clear_begins = stop_here;
    t_spawn(&clearer, may_not_clear_the_root, NULL);
    t_gate_wait(&hook_reached);
    bough_post post = post_finally();
    t_gate_open(&hook_go);
    t_join(&clearer);
    is_still_final(post);
}

/* The post finishes the clearing, and does not wait for the clearing thread. */
TEST(a_final_post_to_a_record_that_is_being_cleared_writes_a_new_one)
{
    struct t_thread clearer;
    NEED_HOOKS();
    bough_post first = bough_post_event(BOUGH_ROOT, NULL);
    bo_hook_record_sealed = stop_here;
    t_spawn(&clearer, clears_the_root, NULL);
    t_gate_wait(&hook_reached);
    bough_post post = post_finally();
    CHECK_EQ(bough_post_status(first), BOUGH_POST_CLEARED);
    t_gate_open(&hook_go);
    t_join(&clearer);
    is_still_final(post);
}

static bough_post final_post;

static void *posts_finally(void *unused)
{
    hooked = t_tid();
    final_post = post_finally();
    return unused;
}

/* Fixed race: the final post counted for the record that it had found, which was cleared by then. */
TEST(a_final_post_that_comes_after_the_next_one_makes_that_final)
{
    struct t_thread poster;
    NEED_HOOKS();
    CHECK_EQ(bough_interrupt(BOUGH_ROOT, NULL), 0);
    bo_hook_post_repeats = stop_here;
    t_spawn(&poster, posts_finally, NULL);
    t_gate_wait(&hook_reached);
    CHECK_EQ(bough_clear(BOUGH_ROOT), 1);
    CHECK_EQ(bough_interrupt(BOUGH_ROOT, "next"), 0);
    t_gate_open(&hook_go);
    t_join(&poster);
    is_still_final(final_post);
}

/* ---- a record that is posted again while it is described ---------------------------------------------------------- */

__attribute__((unused)) static void post_again(void)
{
    bo_hook_record_half = NULL;
    CHECK_EQ(bough_clear(NULL), 1);
    CHECK(bough_post_event(bough_self(), &(struct bough_event){.reason = "second", .value = 2}).record);
}

static void is_the_second(const struct bough_record *record)
{
    CHECK_STR(record->reason, "second");
    CHECK_EQ(record->value, 2);
    CHECK_EQ(bough_clear(NULL), 1);
}

static void post_first(void)
{
    CHECK(bough_post_event(bough_self(), &(struct bough_event){.reason = "first", .value = 1}).record);
    bo_hook_record_half = post_again;
}

/* Fixed race: the value was the first post's, the reason the second's. */
TEST(a_reason_is_of_one_post)
{
    struct bough_record record;
    NEED_HOOKS();
    post_first();
    CHECK_EQ(bough_reason(&record), 0);
    is_the_second(&record);
    post_first();
    CHECK_EQ(bough_reason_of(bough_self(), &record), 0);
    is_the_second(&record);
}

/* SPDX-License-Identifier: MIT */
/* Posts that race with starts and ends of threads: each post's status becomes final, and the counts add up. */
#include <sched.h>
#include "semantics/children.h"

/* ---- before the child has begun ---------------------------------------------------------------------------------- */

static int checks_first(void *began)
{
    ++*(_Atomic int *)began;
    return bough_check() ? errno : 0;
}

static void post_before_start(const struct bough_child_options *options)
{
    _Atomic int began = 0;
    enum { ROUNDS = 300 };
    for (int i = 0; i < ROUNDS; i++) {
        bough_post post = {0, 0};
        BOUGH_BRANCH(b, .collect = 1) {
            bough_thread *child = bough_add_with(b, until_stopped, number(0), options);
            post = bough_post_event(child, NULL);
            CHECK(post.record);
            CHECK(bough_add_with(b, checks_first, bough_arg(&began), options)); /* the other child is not the target */
        }
        CHECK_EQ(bough_last_result(), 0);
        CHECK_EQ(bough_last()->children[0].outcome, BOUGH_INTERRUPTED);
        CHECK_EQ(bough_last()->children[1].outcome, BOUGH_OK);
        CHECK_EQ(bough_post_status(post), BOUGH_POST_ENDED);
    }
    CHECK_EQ(began, ROUNDS);
}

TEST_LIMIT(a_post_right_after_the_add_interrupts_the_child, 60)
{
    post_before_start(NULL);
}

TEST_LIMIT(a_post_right_after_the_add_interrupts_a_child_on_a_new_thread, 60)
{
    post_before_start(&(struct bough_child_options){.fresh = 1});
}

/* ---- at the end of children -------------------------------------------------------------------------------------- */

enum { POSTERS = 3, CHILDREN = 4, ROUNDS = 1000 };

static bough_thread *_Atomic target[CHILDREN];
static _Atomic int over;
static _Atomic long made, refused_, other, ended_, gone_;

static enum bough_post_status settled(bough_post post)
{
    CHECK_EQ(bough_post_wait(post, 0), 0);
    return bough_post_status(post);
}

/* A post is refused, or its status becomes "ended" with its target. */
static void *posts(void *which)
{
    for (long i = (long)(intptr_t)which; !over; i++) {
        bough_thread *t = target[i % CHILDREN];
        if (!t)
            continue;
        errno = 0;
        bough_post post = bough_post_event(t, &(struct bough_event){.kind = BOUGH_OPERATOR, .reason = "race"});
        made++;
        if (!post.record) {
            CHECK_EQ(errno, ESRCH);
            refused_++;
            sched_yield();
            continue;
        }
        enum bough_post_status status = settled(post);
        ended_ += status == BOUGH_POST_ENDED;
        gone_ += status == BOUGH_POST_GONE;
        other += status != BOUGH_POST_ENDED && status != BOUGH_POST_GONE;
    }
    return NULL;
}

static int short_life(void *turns)
{
    for (intptr_t i = (intptr_t)turns; i > 0; i--)
        if (bough_check() != 0)
            return errno;
    return 0;
}

static void counts_add_up(void)
{
    t_note("%ld posts: %ld came too late, %ld ended with their target, %ld of them long ago", (long)made,
           (long)refused_, (long)(ended_ + gone_), (long)gone_);
    CHECK_EQ(other, 0);
    CHECK_EQ(refused_ + ended_ + gone_, made);
    CHECK(ended_ > 0);
}

static void children_come_and_go(uint64_t *random)
{
    BOUGH_BRANCH(b, .collect = 1) {
        for (int i = 0; i < CHILDREN; i++)
            target[i] = bough_add(b, short_life, number((int)(t_random(random) % 2000)));
    }
    CHECK_EQ(bough_last_result(), 0);
    const struct bough_tally *tally = &bough_last()->tally;
    CHECK_EQ(tally->count[BOUGH_OK] + tally->count[BOUGH_INTERRUPTED], CHILDREN);
}

TEST_LIMIT(posts_that_race_with_the_ends_of_children_add_up, 120)
{
    struct t_thread poster[POSTERS];
    uint64_t random = t_seed() | 1;
    for (int i = 0; i < POSTERS; i++)
        t_spawn(&poster[i], posts, (void *)(intptr_t)i);
    for (int i = 0; i < ROUNDS || ended_ == 0; i++)
        children_come_and_go(&random);
    over = 1;
    for (int i = 0; i < POSTERS; i++)
        t_join(&poster[i]);
    counts_add_up();
    CHECK_EQ(bough_check(), 0);
}

/* ---- at the end of adopted threads ------------------------------------------------------------------------------- */

/* The thread ends as a plain pthread does: in a call, with a branch open, or in neither. */
static void *foreigner(void *way)
{
    int n = (int)(intptr_t)way;
    target[n % CHILDREN] = bough_adopt(NULL);
    if (n & 1)
        bough_usleep(n * 7 % 100);
    if (n & 2) {
        bough_branch *b = bough_branch_open(NULL);
        bough_add(b, until_stopped, number(0)); /* refused if the branch is marked already */
    }
    if (n & 4)
        pthread_exit(NULL);
    return NULL;
}

static void quiet(const char *line)
{
    (void)line;
}

TEST_LIMIT(posts_that_race_with_the_ends_of_adopted_threads_add_up, 120)
{
    struct t_thread poster[POSTERS], dying[8];
    bough_set_report(quiet);
    for (int i = 0; i < POSTERS; i++)
        t_spawn(&poster[i], posts, (void *)(intptr_t)i);
    for (int round = 0; round < 150 || ended_ == 0; round++) {
        for (int i = 0; i < 8; i++)
            t_spawn(&dying[i], foreigner, (void *)(intptr_t)(round + i));
        for (int i = 0; i < 8; i++)
            t_join(&dying[i]);
    }
    over = 1;
    for (int i = 0; i < POSTERS; i++)
        t_join(&poster[i]);
    counts_add_up();
    CHECK_EQ(bough_check(), 0);
}

/* ---- failures that race ------------------------------------------------------------------------------------------ */

enum { FAILING = 50 };

/* All fail at the same time: the first failure is primary, each of the others is in the tree or was interrupted, and
 * none is dropped. */
TEST_LIMIT(failures_of_many_at_once_are_all_kept, 60)
{
    for (int round = 0; round < 50; round++) {
        struct t_gate gate = {0};
        BOUGH_BRANCH(b) {
            add(b, wait_for_gate, bough_arg(&gate));
            for (int i = 0; i < FAILING; i++)
                if (!bough_add(b, fail_with, number(i % 2 ? EIO : EDOM)))
                    CHECK_EQ(errno, ECANCELED);
            t_gate_open(&gate);
        }
        const struct bough_ending *e = bough_last();
        CHECK(e->result == EIO || e->result == EDOM);
        CHECK_EQ(e->error->code, e->result);
        CHECK_EQ(e->error->count + 1, e->tally.count[BOUGH_ERROR]);
        CHECK_EQ(e->tally.count[BOUGH_ERROR] + e->tally.count[BOUGH_NOT_STARTED], FAILING);
    }
}

static void *watches(void *branch)
{
    struct bough_tally tally;
    while (!over)
        if (bough_branch_tally(*(bough_branch * _Atomic *)branch, &tally) == 0)
            CHECK(tally.count[BOUGH_RUNNING] + tally.count[BOUGH_OK] + tally.count[BOUGH_NOT_STARTED] == tally.added);
    return NULL;
}

TEST_LIMIT(a_tally_always_adds_up, 60)
{
    static bough_branch *_Atomic now;
    struct t_thread watcher;
    now = bough_root();
    t_spawn(&watcher, watches, (void *)(uintptr_t)&now);
    for (int i = 0; i < 1000; i++)
        BOUGH_BRANCH(b) {
            now = b;
            for (int j = 0; j < 4; j++)
                add(b, work, number(0));
        }
    over = 1;
    t_join(&watcher);
}

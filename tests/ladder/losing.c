/* SPDX-License-Identifier: MIT */
/* Rule 37: when a thread is published as lost, other threads' waits for it end. */
#include "frozen.h"

static uint32_t destroyed;
static bough_mutex mutex;

static void count_destroyed(void *value)
{
    (void)value;
    __atomic_fetch_add(&destroyed, 1, __ATOMIC_SEQ_CST);
}

static int never_stops(void *argument)
{
    struct subject *s = argument;
    CHECK_EQ(bough_mutex_lock(&mutex, 0), 0);
    bough_set_name("stubborn");
    subject_known(s);
    for (char byte; bough_read(s->pipe[0], &byte, 1) < 0;)
        s->rounds++;
    return 0;
}

static void lose(struct subject *s)
{
    post_stop(s->self);
    must_freeze(s->self);
    bo_close_thread(slot_of(s->self));
}

TEST(a_lost_child_is_reported_by_outcome_post_and_branch)
{
    struct subject s = {0};
    CHECK_EQ(pipe(s.pipe), 0);
    BOUGH_BRANCH(b, .collect = 1) {
        bough_thread *child = bough_add(b, never_stops, bough_resource_of(&s, count_destroyed));
        t_gate_wait(&s.known);
        bough_post post = post_stop(child);
        must_freeze(child);
        CHECK_EQ(destroyed, 0);
        bo_close_thread(slot_of(child));
        int result = 0;
        CHECK_EQ(destroyed, 1);
        CHECK_EQ(bough_post_status(post), BOUGH_POST_LOST);
        CHECK_ERR(bough_join(child), ECANCELED); /* the loss interrupts the body as any failure does */
        CHECK_EQ(bough_outcome(child, &result), BOUGH_LOST);
        CHECK_EQ(result, EOWNERDEAD);
        CHECK_ERR(bough_mutex_trylock(&mutex), EOWNERDEAD);
        CHECK_EQ(bough_mutex_unlock(&mutex), 0);
        CHECK_EQ(bough_check(), -1);
    }
    const struct bough_ending *last = bough_last();
    CHECK_EQ(last->result, EOWNERDEAD);
    CHECK_EQ(last->tally.count[BOUGH_LOST], 1);
    CHECK_EQ(last->tally.count[BOUGH_RUNNING], 0);
    CHECK_EQ(last->count, 1);
    CHECK_EQ(last->children[0].outcome, BOUGH_LOST);
    CHECK_STR(last->error->who, "stubborn in b");
    CHECK_STR(last->error->message, "it was frozen at an interruption point and is lost");
    CHECK_EQ(destroyed, 1);
    close(s.pipe[0]);
    close(s.pipe[1]);
}

TEST(a_supervisor_isolates_a_lost_child)
{
    struct subject s = {0};
    CHECK_EQ(pipe(s.pipe), 0);
    BOUGH_BRANCH(b, .supervisor = 1) {
        CHECK(bough_add(b, never_stops, bough_arg(&s)));
        t_gate_wait(&s.known);
        lose(&s);
        CHECK_EQ(bough_check(), 0);
    }
    CHECK_EQ(bough_last()->result, 0);
    CHECK_EQ(bough_last()->tally.count[BOUGH_LOST], 1);
    close(s.pipe[0]);
    close(s.pipe[1]);
}

static int joins_it(void *thread)
{
    return bough_join(thread) == 0 ? 0 : errno;
}

static int waits_for_it(void *post)
{
    return bough_post_wait(*(bough_post *)post, 0) == 0 ? 0 : errno;
}

TEST(waits_for_a_lost_thread_end)
{
    struct subject s = {0};
    bough_post post; /* the outer branch's child reads it when the inner one has ended */
    CHECK_EQ(pipe(s.pipe), 0);
    BOUGH_BRANCH(outer) {
        BOUGH_BRANCH(b, .supervisor = 1) {
            CHECK(bough_add(b, never_stops, bough_arg(&s)));
            t_gate_wait(&s.known);
            post = post_stop(s.self);
            must_freeze(s.self);
            CHECK(bough_add(outer, joins_it, bough_arg(s.self)));
            CHECK(bough_add(outer, waits_for_it, bough_arg(&post)));
            bo_close_thread(slot_of(s.self));
        }
    }
    CHECK_EQ(bough_last()->result, 0);
    CHECK_EQ(bough_last()->tally.count[BOUGH_OK], 2);
    close(s.pipe[0]);
    close(s.pipe[1]);
}

/* ---- branches of a lost thread ----------------------------------------------------------------------------------- */

static struct t_gate may_fail;
static struct t_gate grandchildren[2];

static int fails_late(void *gate)
{
    t_gate_open(gate);
    t_gate_wait(&may_fail);
    return bough_fail(BOUGH_SELF, EIO, "too late");
}

static int has_a_branch(void *argument)
{
    struct subject *s = argument;
    BOUGH_BRANCH(around) {
        BOUGH_BRANCH(orphaned) {
            CHECK(bough_add(around, fails_late, bough_arg(&grandchildren[0])));
            CHECK(bough_add(orphaned, fails_late, bough_arg(&grandchildren[1])));
            subject_known(s);
            for (char byte; bough_read(s->pipe[0], &byte, 1) < 0;)
                s->rounds++;
        }
    }
    return 0;
}

static unsigned count_of(const bough_error *e, int code)
{
    unsigned n = e->code == code;
    for (size_t i = 0; i < e->count; i++)
        n += count_of(e->attached[i], code);
    return n;
}

TEST(the_branches_of_a_lost_thread_end_with_their_children_and_fail_further_out)
{
    struct subject s = {0};
    CHECK_EQ(pipe(s.pipe), 0);
    BOUGH_BRANCH(b) {
        CHECK(bough_add(b, has_a_branch, bough_arg(&s)));
        t_gate_wait(&s.known);
        t_gate_wait(&grandchildren[0]);
        t_gate_wait(&grandchildren[1]);
        bough_target inner = (bough_target)(uintptr_t)bo_branch_handle(bo_branch_at(slot_of(s.self)->top));
        lose(&s);
        CHECK_ERR(bough_set_deadline((bough_branch *)(uintptr_t)inner, bough_after(1)), EPERM);
        CHECK_ERR(bough_add((bough_branch *)(uintptr_t)inner, fails_late, bough_arg(NULL)), EPERM);
        CHECK_ERR(bough_clear(inner), EPERM);
        struct bough_tally tally;
        CHECK_EQ(bough_branch_tally(b, &tally), 0);
        CHECK_EQ(tally.count[BOUGH_LOST], 1);
        t_gate_open(&may_fail);
    }
    CHECK_EQ(bough_last()->result, EOWNERDEAD);
    CHECK_EQ(count_of(bough_last()->error, EIO), 2);
    CHECK_EQ(count_of(bough_last()->error, EOWNERDEAD), 1);
    close(s.pipe[0]);
    close(s.pipe[1]);
}

static int waits_for_a_stop(void *gate)
{
    t_gate_open(gate);
    CHECK(bough_sleep(1000) > 0);
    return bough_check() < 0 ? ECANCELED : 0;
}

static void *adopted_with_a_branch(void *argument)
{
    struct subject *s = argument;
    bough_branch *b = bough_branch_open(NULL);
    CHECK(bough_add(b, waits_for_a_stop, bough_resource_of(&grandchildren[0], count_destroyed)));
    t_gate_wait(&grandchildren[0]);
    subject_known(s);
    for (char byte; bough_read(s->pipe[0], &byte, 1) < 0;)
        s->rounds++;
    return NULL;
}

TEST(the_branch_of_a_lost_adopted_thread_is_stopped_and_ends)
{
    struct subject s = {0};
    subject_start(&s, adopted_with_a_branch);
    struct bough_event alone = {.flags = BOUGH_ALONE};
    uint64_t inner = bo_branch_handle(bo_branch_at(slot_of(s.self)->top));
    CHECK(bough_post_event(s.self, &alone).record);
    must_freeze(s.self);
    CHECK_EQ(destroyed, 0);
    bo_close_thread(slot_of(s.self));
    t_until(!bo_branch_of_handle((void *)(uintptr_t)inner));
    CHECK_EQ(destroyed, 1);
    close(s.pipe[0]);
    close(s.pipe[1]);
}

/* ---- a frozen thread must not prevent these ---------------------------------------------------------------------- */

static void *frozen_main(void *argument)
{
    struct subject *s = argument;
    subject_known(s);
    for (char byte; bough_read(s->pipe[0], &byte, 1) < 0;)
        s->rounds++;
    return NULL;
}

static void freezes_one(struct subject *s)
{
    subject_start(s, frozen_main);
    post_stop(s->self);
    must_freeze(s->self);
}

static void exits(void *unused)
{
    static struct subject s;
    (void)unused;
    freezes_one(&s);
    exit(7);
}

TEST(the_process_ends_with_a_frozen_thread)
{
    CHECK_EXITED(t_run_status(exits, NULL), 7);
}

static int sleeps(void *unused)
{
    (void)unused;
    return bough_sleep(100) ? ECANCELED : 0;
}

TEST(interrupt_and_fork_work_while_a_thread_is_frozen)
{
    struct subject s = {0};
    freezes_one(&s);
    BOUGH_BRANCH(b, .timeout = (int64_t)(BOUGH_MS(50) * t_scale())) {
        CHECK(bough_add(b, sleeps, bough_arg(NULL)) || errno == ECANCELED); /* the branch's time may be over already */
    }
    CHECK_EQ(bough_last()->result, ETIMEDOUT);
    CHECK_EQ(setgid(getgid()), 0); /* libc makes each thread do it */
    pid_t pid = fork();
    if (pid == 0)
        _exit(bough_alive(s.self) == 0 || bough_check() != 0);
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EXITED(status, 0);
    subject_closed(&s);
}

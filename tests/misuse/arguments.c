/* SPDX-License-Identifier: MIT */
/* Each public function with a handle that is invalid, of the wrong type, stale or another thread's: a clear error, and
 * no effect. */
#include "semantics/children.h"

static void *as_pointer(uint64_t value)
{
    return (void *)(uintptr_t)value;
}

static void cant_post(void *target, int error)
{
    struct bough_event event = {.kind = BOUGH_OPERATOR};
    char name[8] = "before";
    CHECK_ERR(bough_interrupt(target, "test"), error);
    errno = 0;
    CHECK_EQ(bough_post_event(target, &event).record, 0);
    CHECK_EQ(errno, error);
    CHECK_ERR(bough_get_name(target, name, sizeof name), error);
    CHECK_STR(name, "before");
}

static void no_thread(void *stray)
{
    int result = 77;
    CHECK_ERR(bough_join(stray), EINVAL);
    CHECK_ERR(bough_outcome(stray, &result), EINVAL);
    CHECK_ERR(bough_alive(stray), EINVAL);
    CHECK_EQ(result, 77);
}

static void cant_use_branch(void *branch, int error)
{
    struct bough_tally tally = {.added = 77};
    check_cant_add(branch, never_started, error);
    CHECK_EQ(bough_branch_end(branch), error);
    CHECK_ERR(bough_set_deadline(branch, bough_after(1)), error);
    CHECK_ERR(bough_branch_tally(branch, &tally), error);
    CHECK_EQ(tally.added, 77);
    CHECK_ERR(bough_bounded_new(branch, 1), error);
}

static void nothing_at_all(void *stray)
{
    cant_post(stray, EINVAL);
    no_thread(stray);
    cant_use_branch(stray, EINVAL);
    if (stray) { /* NULL means the caller */
        CHECK_EQ(bough_fail(stray, EIO, "test"), EINVAL);
        CHECK_ERR(bough_clear(stray), EINVAL);
    }
}

TEST(stray_pointers_are_no_handles)
{
    int on_the_stack;
    static int fixed;
    void *heap = malloc(1);
    void *const strays[] = {NULL,
                            as_pointer(1),
                            as_pointer(UINT64_MAX),
                            &on_the_stack,
                            &fixed,
                            heap,
                            as_pointer((uint64_t)(uintptr_t)never_started),
                            as_pointer((uint64_t)1 << 63)};
    for (size_t i = 0; i < sizeof strays / sizeof *strays; i++)
        nothing_at_all(strays[i]);
    free(heap);
    CHECK_EQ(bough_check(), 0);
}

/* Handles with another index: a slot that was never used, index 0, an index beyond the table. */
TEST(made_up_handles_are_refused)
{
    uint64_t self = (uint64_t)(uintptr_t)bough_self();
    BOUGH_BRANCH(b) {
        uint64_t branch = (uint64_t)(uintptr_t)b;
        for (int bit = 4; bit < 24; bit++) {
            nothing_at_all(as_pointer(self ^ (uint64_t)1 << (32 + bit)));
            nothing_at_all(as_pointer(branch ^ (uint64_t)1 << (32 + bit)));
        }
        nothing_at_all(as_pointer(self & ~((uint64_t)0xffffff << 32)));
        nothing_at_all(as_pointer(branch & ~((uint64_t)0xffffff << 32)));
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_check(), 0);
}

TEST(a_handle_of_the_other_type_is_refused)
{
    BOUGH_BRANCH(b) {
        cant_use_branch(bough_self(), EINVAL);
        no_thread(b);
        CHECK_EQ(bough_fail(bough_add(b, until_stopped, number(0)), EIO, "test"), EINVAL);
        CHECK_EQ(bough_check(), 0);
        bough_interrupt(b, "test");
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK(bough_last()->interrupted);
}

TEST(the_root_has_no_tally_and_no_bounds)
{
    struct bough_tally tally;
    CHECK_ERR(bough_branch_tally(bough_root(), &tally), EINVAL);
    CHECK_ERR(bough_bounded_new(bough_root(), 1), EINVAL);
    no_thread(bough_root());
    CHECK_EQ(bough_deadline(), 0);
    CHECK_EQ(bough_check(), 0);
}

/* ---- stale handles ----------------------------------------------------------------------------------------------- */

static void ended_branch(bough_branch *b)
{
    cant_post(b, ESRCH);
    cant_use_branch(b, ESRCH);
    CHECK_EQ(bough_fail(b, EIO, "test"), ESRCH);
    CHECK_ERR(bough_clear(b), ESRCH);
}

TEST(a_branch_that_has_ended_is_stale_even_if_its_slot_is_reused)
{
    bough_branch *first = bough_branch_open(NULL);
    CHECK(first);
    CHECK_EQ(bough_branch_end(first), 0);
    ended_branch(first);
    BOUGH_BRANCH(second) {
        CHECK(second != first);
        CHECK_EQ((uint64_t)(uintptr_t)second >> 32, (uint64_t)(uintptr_t)first >> 32);
        ended_branch(first);
        CHECK_EQ(bough_check(), 0);
        CHECK_EQ(bough_deadline(), 0);
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_last()->tally.added, 0);
}

static int store_tid(void *tid)
{
    *(pid_t *)tid = t_tid();
    return 0;
}

TEST(a_child_that_has_ended_is_stale_even_if_its_thread_is_reused)
{
    struct t_gate gate = {0};
    pid_t tid = 0;
    if (T_ASAN || T_TSAN)
        SKIP("the sanitizer's thread key ends each thread with its child");
    BOUGH_BRANCH(b) {
        bough_thread *first = bough_add(b, store_tid, bough_arg(&tid));
        CHECK_EQ(bough_join(first), 0);
        t_until_blocked(tid); /* parked: a join may return before the thread is parked */
        bough_thread *second = bough_add(b, wait_for_gate, bough_arg(&gate));
        CHECK(second != first);
        CHECK_EQ((uint64_t)(uintptr_t)second >> 32, (uint64_t)(uintptr_t)first >> 32);
        cant_post(first, ESRCH);
        CHECK_ERR(bough_clear(first), ESRCH);
        CHECK_ERR(bough_alive(first), ESRCH);
        CHECK_ERR(bough_outcome(first, NULL), ESRCH);
        CHECK_EQ(bough_fail(first, EIO, "test"), EINVAL);
        CHECK_EQ(bough_join(first), 0);
        CHECK_EQ(bough_alive(second), 0);
        t_gate_open(&gate);
    }
    CHECK_EQ(bough_last_result(), 0);
}

TEST(invalid_posts_are_reported_as_gone)
{
    int on_the_stack;
    bough_post post = bough_post_event(bough_self(), NULL);
    const bough_post made_up[] = {{0, 0},
                                  {0, UINT32_MAX},
                                  {UINT64_MAX, 1},
                                  {(uint64_t)(uintptr_t)&on_the_stack, 16},
                                  {post.record, post.serial + 16},
                                  {post.record, post.serial | 15},
                                  {(uint64_t)(uintptr_t)bough_root(), 0}};
    CHECK_EQ(bough_clear(NULL), 1);
    for (size_t i = 0; i < sizeof made_up / sizeof *made_up; i++) {
        CHECK_EQ(bough_post_status(made_up[i]), BOUGH_POST_GONE);
        CHECK_EQ(bough_post_wait(made_up[i], 0), 0);
    }
    CHECK_EQ(bough_post_status(post), BOUGH_POST_CLEARED);
}

TEST(a_post_to_an_ended_target_is_reported_as_ended_and_then_as_gone)
{
    bough_branch *b = bough_branch_open(NULL);
    bough_post post = bough_post_event(b, NULL);
    CHECK_EQ(bough_post_status(post), BOUGH_POST_PENDING);
    bough_branch_end(b);
    CHECK_EQ(bough_post_status(post), BOUGH_POST_ENDED);
    for (int i = 0; i < 2; i++)
        BOUGH_BRANCH(again)
            bough_interrupt(again, "test");
    CHECK_EQ(bough_post_status(post), BOUGH_POST_GONE);
    CHECK_EQ(bough_post_wait(post, 0), 0);
}

/* ---- arguments that are NULL or invalid -------------------------------------------------------------------------- */

TEST(an_event_of_an_unknown_kind_is_refused)
{
    const struct bough_event wrong[] = {
        {.kind = BOUGH_KINDS}, {.kind = (enum bough_kind) - 1}, {.kind = BOUGH_STOP, .rung = -1}, {.rung = 7}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        errno = 0;
        CHECK_EQ(bough_post_event(bough_self(), &wrong[i]).record, 0);
        CHECK_EQ(errno, EINVAL);
    }
    CHECK_EQ(bough_check(), 0);
}

TEST(invalid_arguments_of_a_branch_are_refused)
{
    char name[8];
    BOUGH_BRANCH(b) {
        CHECK_ERR(bough_branch_tally(b, NULL), EINVAL);
        CHECK_ERR(bough_get_name(b, NULL, 10), EINVAL);
        CHECK_ERR(bough_get_name(b, name, 0), EINVAL);
        CHECK_ERR(bough_set_deadline(b, -1), EINVAL);
        CHECK_ERR(bough_bounded_new(b, 0), EINVAL);
        CHECK(bough_add_with(b, work, number(0), NULL));
        CHECK_EQ(bough_fail(b, 0, "test"), EINVAL);
        CHECK_EQ(bough_fail(b, -EIO, "test"), EINVAL);
        CHECK_EQ(bough_check(), 0);
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_ERR(bough_branch_open(&(struct bough_branch_options){.deadline = -1}), EINVAL);
    CHECK_ERR(bough_branch_open(&(struct bough_branch_options){.timeout = -1}), EINVAL);
}

TEST(invalid_arguments_of_other_functions_are_refused)
{
    struct bough_record record = {.count = 77};
    struct thing thing = {0};
    CHECK_ERR(bough_reason(&record), ENOENT);
    CHECK_EQ(record.count, 77);
    CHECK_ERR(bough_thread_of(0), ESRCH);
    CHECK_ERR(bough_thread_of(-1), ESRCH);
    CHECK_ERR(bough_queue_new(0), EINVAL);
    bough_queue_free(NULL, NULL);
    CHECK_EQ(bough_set_name(NULL), 0);
    CHECK_ERR(bough_bounded_add(NULL, never_started, thing_of(&thing)), EINVAL);
    CHECK_EQ(thing.destroyed, 1);
    BOUGH_BRANCH(b)
        bough_fail(b, EIO, "test");
    CHECK_ERR(bough_error_print(bough_last()->error, -1), EBADF);
}

/* A child that its worker has not begun yet has no thread id, so the id 0 must find no child. */
TEST(no_thread_has_the_id_0)
{
    for (int i = 0; i < 200; i++)
        BOUGH_BRANCH(b) {
            CHECK(bough_add_with(b, work, number(0), &(struct bough_child_options){.fresh = 1}));
            CHECK_ERR(bough_thread_of(0), ESRCH);
        }
}

TEST(null_is_refused_as_a_region)
{
    struct bough_region region = {0};
    CHECK_ERR(bough_critical_begin(NULL, 0, NULL, 0), EINVAL);
    CHECK_ERR(bough_allow_begin(NULL, NULL, 0), EINVAL);
    CHECK_ERR(bough_cleanup_begin(NULL, 0, NULL, 0), EINVAL);
    CHECK_ERR(bough_critical_begin(&region, -1, NULL, 0), EINVAL);
    CHECK_ERR(bough_cleanup_begin(&region, -1, NULL, 0), EINVAL);
    CHECK_ERR(bough_async_begin_(NULL, NULL, 0), EINVAL);
    CHECK_ERR(bough_async_end(NULL), EINVAL);
    CHECK_ERR(bough_region_end(NULL), EINVAL);
    CHECK_ERR(bough_region_end_check(NULL), EINVAL);
    CHECK_ERR(bough_region_end(&region), EPERM);
    CHECK_EQ(bough_level(), BOUGH_DEFERRED);
}

TEST(calls_with_bad_arguments_fail_as_their_namesakes_do)
{
    int pair[2];
    CHECK_EQ(pipe(pair), 0);
    CHECK_EQ(write(pair[1], "x", 1), 1);
    CHECK_ERR(bough_read(-1, NULL, 0), EBADF);
    CHECK_ERR(bough_read(pair[0], NULL, 1), EFAULT);
    CHECK_ERR(bough_write(pair[1], NULL, 1), EFAULT);
    CHECK_ERR(bough_nanosleep(NULL, NULL), EFAULT);
    CHECK_ERR(bough_syscall(-1), ENOSYS);
    CHECK_ERR(bough_futex_wait(NULL, 0, 0), EFAULT);
    close(pair[0]);
    close(pair[1]);
}

/* ---- objects of other threads ------------------------------------------------------------------------------------ */

static bough_branch *other_branch;

static void not_mine(void)
{
    CHECK_EQ(bough_branch_end(other_branch), EPERM);
    CHECK_EQ(bough_fail(other_branch, EIO, "test"), EPERM);
    CHECK_EQ(bough_fail(other_branch, ECANCELED, "test"), EPERM);
    CHECK_ERR(bough_set_deadline(other_branch, bough_after(1)), EPERM);
    CHECK_ERR(bough_clear(other_branch), EPERM);
    CHECK_ERR(bough_bounded_new(other_branch, 1), EPERM);
}

/* Checks a thread before its adoption, after it, and with a branch open. */
static void *stranger(void *unused)
{
    (void)unused;
    CHECK_EQ(bough_fail(BOUGH_SELF, EIO, "test"), EPERM);
    CHECK_ERR(bough_take(), EPERM);
    CHECK_ERR(bough_release(), ENOENT);
    not_mine();
    check_cant_add(other_branch, never_started, EPERM);
    CHECK(bough_adopt("stranger"));
    BOUGH_BRANCH(mine) {
        not_mine();
        CHECK_ERR(bough_release(), EBUSY);
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_release(), 0);
    CHECK_ERR(bough_release(), ENOENT);
    return NULL;
}

static int descendant(void *unused)
{
    (void)unused;
    not_mine();
    CHECK_ERR(bough_release(), EPERM);
    CHECK_ERR(bough_join(bough_self()), EDEADLK);
    CHECK(bough_add(other_branch, work, number(0)));
    return bough_check();
}

TEST(other_threads_may_do_nothing_and_descendants_only_add)
{
    struct t_thread thread;
    BOUGH_BRANCH(b) {
        other_branch = b;
        t_spawn(&thread, stranger, NULL);
        t_join(&thread);
        CHECK(bough_add(b, descendant, number(0)));
        CHECK_EQ(bough_check(), 0);
        CHECK_EQ(bough_deadline(), 0);
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(bough_last()->tally.added, 2);
    CHECK_EQ(bough_last()->tally.count[BOUGH_OK], 2);
}

/* Only the thread itself may clear its records. */
TEST(records_of_a_child_cant_be_cleared_by_others)
{
    struct t_gate gate = {0};
    BOUGH_BRANCH(b) {
        bough_thread *child = bough_add(b, wait_for_gate, bough_arg(&gate));
        bough_post post = bough_post_event(child, NULL);
        CHECK_ERR(bough_clear(child), EPERM);
        CHECK_EQ(bough_post_status(post), BOUGH_POST_PENDING);
        t_gate_open(&gate);
    }
}

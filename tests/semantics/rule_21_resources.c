/* SPDX-License-Identifier: MIT */
/* Rule 21: a resource handed to a child carries its destructor, which runs exactly once. */
#include <fcntl.h>
#include <sched.h>
#include "semantics/children.h"

static struct thing thing;

static int use(void *value)
{
    struct thing *t = value;
    CHECK_EQ(t->destroyed, 0);
    t->used++;
    return 0;
}

TEST(the_destructor_runs_after_the_child_and_on_its_thread)
{
    BOUGH_BRANCH(b)
        add(b, use, thing_of(&thing));
    CHECK_EQ(thing.used, 1);
    CHECK_EQ(thing.destroyed, 1);
    CHECK(thing.by != t_tid());
}

static int fail_after_use(void *value)
{
    use(value);
    return bough_fail(BOUGH_SELF, EIO, "test");
}

TEST(the_destructor_runs_when_the_child_fails)
{
    BOUGH_BRANCH(b)
        add(b, fail_after_use, thing_of(&thing));
    CHECK_EQ(bough_last_result(), EIO);
    CHECK_EQ(thing.destroyed, 1);
}

TEST(the_destructor_runs_when_the_child_is_interrupted)
{
    BOUGH_BRANCH(b) {
        add(b, until_stopped, thing_of(&thing));
        bough_interrupt(b, "test");
    }
    CHECK_EQ(thing.destroyed, 1);
}

static int exit_thread(void *value)
{
    use(value);
    pthread_exit(NULL);
}

TEST(the_destructor_runs_when_the_child_calls_pthread_exit)
{
    BOUGH_BRANCH(b)
        add(b, exit_thread, thing_of(&thing));
    CHECK_EQ(bough_last_result(), EPROTO);
    CHECK(strstr(bough_last()->error->message, "pthread_exit"));
    CHECK_EQ(thing.destroyed, 1);
}

static pthread_t child_thread;
static struct t_gate there;

static int sleep_until_cancelled(void *value)
{
    use(value);
    child_thread = pthread_self();
    t_gate_open(&there);
    while (pause())
        ;
    return 0;
}

TEST(the_destructor_runs_when_the_child_is_cancelled)
{
    need_cancellation();
    BOUGH_BRANCH(b) {
        add(b, sleep_until_cancelled, thing_of(&thing));
        t_gate_wait(&there);
        pthread_cancel(child_thread);
    }
    CHECK_EQ(bough_last_result(), EPROTO);
    CHECK_EQ(thing.destroyed, 1);
}

static void exit_in_destructor(void *value)
{
    destroy_thing(value);
    pthread_exit(NULL);
}

TEST(a_destructor_that_calls_pthread_exit_has_run_once)
{
    BOUGH_BRANCH(b)
        add(b, use, bough_resource_of(&thing, exit_in_destructor));
    CHECK_EQ(bough_last_result(), EPROTO);
    CHECK_EQ(thing.destroyed, 1);
    CHECK_EQ(bough_last()->tally.count[BOUGH_ERROR], 1);
}

/* Fixed bug: a child that was cancelled after its function had returned was counted twice, or its branch never
 * ended. */
static int return_cancelled(void *value)
{
    use(value);
    pthread_cancel(pthread_self());
    return 0;
}

TEST(a_child_that_returns_before_its_cancellation_takes_effect_has_succeeded)
{
    for (int i = 0; i < 100; i++) {
        struct thing t = {0};
        BOUGH_BRANCH(b)
            add(b, return_cancelled, thing_of(&t));
        CHECK_EQ(bough_last_result(), 0);
        CHECK_EQ(t.destroyed, 1);
        CHECK_EQ(bough_last()->tally.count[BOUGH_OK], 1);
    }
}

TEST(the_destructor_runs_at_once_when_the_branch_is_marked)
{
    BOUGH_BRANCH(b) {
        bough_interrupt(b, "test");
        CHECK_ERR(bough_add(b, use, thing_of(&thing)), ECANCELED);
        CHECK_EQ(thing.destroyed, 1);
        CHECK_EQ(thing.by, t_tid());
    }
    CHECK_EQ(thing.used, 0);
}

static int set_errno_in_destructor;

static void spoil_errno(void *value)
{
    destroy_thing(value);
    errno = set_errno_in_destructor;
}

TEST(the_destructor_does_not_spoil_errno_of_add)
{
    set_errno_in_destructor = EDOM;
    CHECK_ERR(bough_add(NULL, use, bough_resource_of(&thing, spoil_errno)), EINVAL);
    CHECK_EQ(thing.destroyed, 1);
}

static int take_over(void *value)
{
    CHECK_EQ(bough_take(), value);
    CHECK_ERR(bough_take(), ENOENT);
    return 0;
}

TEST(a_child_takes_its_resource_over)
{
    BOUGH_BRANCH(b)
        add(b, take_over, thing_of(&thing));
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(thing.destroyed, 0);
}

static int take_nothing(void *unused)
{
    (void)unused;
    CHECK_ERR(bough_take(), ENOENT);
    return 0;
}

TEST(a_child_without_a_resource_takes_null)
{
    CHECK_ERR(bough_take(), EPERM);
    BOUGH_BRANCH(b)
        add(b, take_nothing, bough_arg(&thing));
    CHECK_EQ(bough_last_result(), 0);
    CHECK_ERR(bough_take(), EPERM);
}

static void take_in_destructor(void *value)
{
    CHECK_ERR(bough_take(), ENOENT);
    destroy_thing(value);
}

TEST(a_resource_that_is_being_destroyed_cant_be_taken)
{
    BOUGH_BRANCH(b)
        add(b, use, bough_resource_of(&thing, take_in_destructor));
    CHECK_EQ(thing.destroyed, 1);
}

static int read_byte(void *value)
{
    char byte;
    return bough_read(bough_fd_of(value), &byte, 1) == 1 && byte == 'x' ? 0 : EIO;
}

TEST(descriptors_and_memory_have_ready_made_destructors)
{
    int pair[2];
    CHECK_EQ(pipe(pair), 0);
    BOUGH_BRANCH(b) {
        add(b, read_byte, bough_fd(pair[0]));
        add(b, work, bough_heap(malloc(100)));
        CHECK_EQ(write(pair[1], "x", 1), 1);
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_ERR(fcntl(pair[0], F_GETFD), EBADF);
    close(pair[1]);
}

/* bough_fail() in a destructor is a failure of the child. */
static void fail_in_destructor(void *value)
{
    destroy_thing(value);
    bough_fail(BOUGH_SELF, EDOM, "in cleanup");
}

TEST(a_failure_in_the_destructor_counts)
{
    BOUGH_BRANCH(b)
        add(b, work, bough_resource_of(&thing, fail_in_destructor));
    CHECK_EQ(bough_last_result(), EDOM);
    thing.destroyed = 0;
    BOUGH_BRANCH(b)
        add(b, fail_after_use, bough_resource_of(&thing, fail_in_destructor));
    CHECK_EQ(bough_last_result(), EIO);
    CHECK_EQ(bough_last()->error->count, 1);
    CHECK_EQ(bough_last()->error->attached[0]->code, EDOM);
}

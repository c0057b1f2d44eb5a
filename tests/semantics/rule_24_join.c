/* SPDX-License-Identifier: MIT */
/* Rule 24: the end joins every child; if it is interrupted while it waits, it continues to wait. */
#include "semantics/children.h"

static bough_thread *main_thread;
static struct t_gate gate;
static _Atomic int ended;

static int stubborn(void *unused)
{
    (void)unused;
    t_gate_wait(&gate);
    ended++;
    return 0;
}

static void *interrupt_twice(void *unused)
{
    (void)unused;
    for (int i = 0; i < 2; i++) {
        t_until_blocked(getpid());
        CHECK_EQ(bough_interrupt(main_thread, "while waiting"), 0);
    }
    t_until_blocked(getpid());
    CHECK_EQ(ended, 0);
    t_gate_open(&gate);
    return NULL;
}

TEST(an_interrupted_end_goes_on_waiting)
{
    struct t_thread other;
    main_thread = bough_self();
    BOUGH_BRANCH(b) {
        add(b, stubborn, bough_arg(NULL));
        t_spawn(&other, interrupt_twice, NULL);
    }
    CHECK_EQ(ended, 1);
    CHECK_ERR(bough_check(), ECANCELED); /* the interrupt is reported at the next point */
    bough_clear(NULL);
    t_join(&other);
}

/* A grandchild that is added while the end waits is joined as well. */
static bough_branch *top;
static struct t_gate added;
static _Atomic int late;

static int late_child(void *unused)
{
    (void)unused;
    late++;
    return 0;
}

static int add_late(void *unused)
{
    (void)unused;
    t_gate_wait(&added);
    t_until_blocked(getpid());
    for (int i = 0; i < 20; i++)
        add(top, late_child, bough_arg(NULL));
    return 0;
}

TEST(children_that_are_added_while_the_end_waits_are_joined)
{
    BOUGH_BRANCH(b) {
        top = b;
        add(b, add_late, bough_arg(NULL));
        t_gate_open(&added);
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_EQ(late, 20);
    CHECK_EQ(bough_last()->tally.added, 21);
    CHECK_EQ(bough_last()->tally.count[BOUGH_OK], 21);
}

/* A child has not ended before the destructors of its pthread keys have run. */
static pthread_key_t key;
static _Atomic int keys_destroyed;

static void destroy_key(void *value)
{
    (void)value;
    usleep(2000);
    keys_destroyed++;
}

static int set_key(void *unused)
{
    (void)unused;
    pthread_setspecific(key, &key);
    return 0;
}

TEST(key_destructors_have_run_before_the_end)
{
    pthread_key_create(&key, destroy_key);
    for (int round = 0; round < 5; round++) {
        BOUGH_BRANCH(b)
            for (int i = 0; i < 10; i++)
                add(b, set_key, bough_arg(NULL));
        CHECK_EQ(keys_destroyed, 10 * (round + 1));
    }
}

/* ---- waiting for one child --------------------------------------------------------------------------------------- */

static int join_oneself(void *unused)
{
    (void)unused;
    CHECK_ERR(bough_join(bough_self()), EDEADLK);
    return 0;
}

TEST(bough_join_waits_for_one_child)
{
    BOUGH_BRANCH(b) {
        bough_thread *child = bough_add(b, stubborn, bough_arg(NULL));
        t_gate_open(&gate);
        CHECK_EQ(bough_join(child), 0);
        CHECK_EQ(ended, 1);
        CHECK_EQ(bough_join(child), 0); /* the child has ended already */
        add(b, join_oneself, bough_arg(NULL));
    }
    CHECK_EQ(bough_last_result(), 0);
    CHECK_ERR(bough_join(NULL), EINVAL);
    CHECK_ERR(bough_join((bough_thread *)(uintptr_t)main_thread), EINVAL);
}

TEST(a_join_waits_for_the_destructor)
{
    BOUGH_BRANCH(b)
        for (int i = 0; i < 200; i++) {
            struct thing t = {0};
            bough_thread *child = bough_add(b, work, thing_of(&t));
            CHECK_EQ(bough_join(child), 0);
            CHECK_EQ(t.destroyed, 1);
        }
}

TEST(a_join_is_interrupted)
{
    struct t_thread other;
    main_thread = bough_self();

    BOUGH_BRANCH(b) {
        bough_thread *child = bough_add(b, stubborn, bough_arg(NULL));
        t_spawn(&other, interrupt_blocked_main, bough_self());
        CHECK_ERR(bough_join(child), ECANCELED);
        bough_clear(NULL);
        t_gate_open(&gate);
        CHECK_EQ(bough_join(child), 0);
    }
    t_join(&other);
    CHECK_EQ(bough_last_result(), 0);
}

TEST(a_join_of_no_child_is_refused)
{
    CHECK_ERR(bough_join(NULL), EINVAL);
    CHECK_ERR(bough_join((bough_thread *)bough_root()), EINVAL);
}

/* SPDX-License-Identifier: MIT */
/* A thread that waits inside the library for another thread sleeps (rules 2 and 6). If it yielded in a loop instead, at
 * a real-time priority, it would keep the other thread off the processor on which both run. */
#include <poll.h>
#include <stdlib.h>
#include "base/futex.h"
#include "state/arena.h"
#include "hooks.h"

/* ---- locks with a deadline --------------------------------------------------------------------------------------- */

static struct bo_lock lock;

static void *takes_the_lock(void *taken)
{
    *(bool *)taken = bo_lock_by(&lock, BO_FOREVER);
    bo_unlock(&lock);
    CHECK_EQ(bo_busy, 0);
    return NULL;
}

TEST(a_thread_sleeps_until_a_lock_is_free)
{
    struct t_thread thread;
    bool taken = false;
    bo_lock(&lock);
    t_spawn(&thread, takes_the_lock, &taken);
    t_until_blocked(thread.tid);
    bo_unlock(&lock);
    t_join(&thread);
    CHECK(taken);
}

static void *gives_up(void *unused)
{
    CHECK(!bo_lock_by(&lock, bo_clock() + BO_MS(1)));
    CHECK_EQ(bo_busy, 0);
    return unused;
}

TEST(a_wait_for_a_held_lock_ends_at_the_deadline)
{
    struct t_thread thread;
    bo_lock(&lock);
    t_spawn(&thread, gives_up, NULL);
    t_join(&thread);
    bo_unlock(&lock);
    CHECK(bo_lock_by(&lock, 0)); /* a free lock is taken even after the deadline */
    bo_unlock(&lock);
    CHECK_EQ(bo_busy, 0);
}

#if BO_HOOKS
/* ---- posts ------------------------------------------------------------------------------------------------------- */

static void *post_it_last(void *argument)
{
    hooked = t_tid();
    (void)bough_interrupt(((struct target *)argument)->self, "last");
    return NULL;
}

static void *ends_while_it_is_posted_to(void *argument)
{
    struct target *t = argument;
    t->self = bough_self();
    t_gate_open(&t->known);
    t_gate_wait(&t->leave);
    CHECK_EQ(bough_release(), 0);
    return NULL;
}

TEST(a_thread_sleeps_until_its_posters_have_finished)
{
    struct target t = {0};
    struct t_thread poster;
    bough_self();
    bo_hook_post_recorded = stop_here;
    t_spawn(&t.thread, ends_while_it_is_posted_to, &t);
    t_gate_wait(&t.known);
    const struct bo_thread *slot = bo_thread_of_handle(t.self);
    t_spawn(&poster, post_it_last, &t);
    t_gate_wait(&hook_reached);
    t_gate_open(&t.leave);
    t_until(!(bo_load_seq(&slot->t.word) & BO_LIVE));
    t_until_blocked(t.thread.tid);
    t_gate_open(&hook_go);
    t_join(&poster);
    t_join(&t.thread);
}

static void *clears_while_it_is_posted_to(void *argument)
{
    struct target *t = argument;
    struct pollfd event = {bough_event_fd(), POLLIN, 0};
    t->self = bough_self();
    CHECK(event.fd >= 0);
    t_gate_open(&t->known);
    t_gate_wait(&t->leave);
    CHECK_EQ(bough_clear(NULL), 1);
    t_gate_open(&t->cut);
    t_gate_wait(t->more);
    CHECK_EQ(poll(&event, 1, 0), 0);
    return NULL;
}

/* The record is cleared between the post's step on the word and its write to the event descriptor: a write after the
 * clear would announce a record that no longer exists. */
TEST(a_clear_sleeps_until_the_event_descriptor_is_written)
{
    struct t_gate all_over = {0};
    struct target t = {.more = &all_over};
    struct t_thread poster;
    bo_hook_post_promised = stop_here;
    t_spawn(&t.thread, clears_while_it_is_posted_to, &t);
    t_gate_wait(&t.known);
    const struct bo_thread *slot = bo_thread_of_handle(t.self);
    t_spawn(&poster, post_it_last, &t);
    t_gate_wait(&hook_reached);
    t_gate_open(&t.leave);
    t_until(bo_load_seq(&slot->t.word) & BO_WAITS);
    t_until_blocked(t.thread.tid);
    t_gate_open(&hook_go);
    t_join(&poster);
    t_gate_wait(&t.cut);
    t_gate_open(&all_over);
    t_join(&t.thread);
}

/* ---- forks ------------------------------------------------------------------------------------------------------- */

static void *forks(void *unused)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    CHECK(child > 0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EXITED(status, 0);
    return unused;
}

static void *forks_first(void *unused)
{
    hooked = t_tid();
    return forks(unused);
}

TEST(a_forking_thread_sleeps_until_another_has_released_the_arena)
{
    struct t_thread first, second;
    bough_self();
    bo_hook_arena_lent = stop_here;
    t_spawn(&first, forks_first, NULL);
    t_gate_wait(&hook_reached);
    t_spawn(&second, forks, NULL);
    t_until_blocked(second.tid);
    t_gate_open(&hook_go);
    t_join(&first);
    t_join(&second);
}
#endif

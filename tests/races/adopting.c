/* SPDX-License-Identifier: MIT */
/* Rule 16 with an injected delay: a thread adopts itself while another one makes it known. The thread is one target,
 * and no post is lost. */
#include <bough.h>
#include "hooks.h"

static struct t_gate go;
static int at_check;
static bough_thread *self;

static void *adopts_itself(void *unused)
{
    hooked = t_tid();
    __atomic_store_n(&self, bough_self(), __ATOMIC_SEQ_CST);
    t_gate_wait(&go);
    at_check = bough_check();
    return unused;
}

TEST(a_post_reaches_a_thread_that_is_adopting_itself)
{
    struct t_thread t;
    NEED_HOOKS();
    bough_self();
    bo_hook_adopts_itself = stop_here;
    t_spawn(&t, adopts_itself, NULL);
    t_gate_wait(&hook_reached);
    bough_thread *made = bough_adopt_thread(t.tid, "made");
    CHECK(made);
    CHECK_EQ(bough_interrupt(made, "stop"), 0);
    t_gate_open(&hook_go);
    t_until(__atomic_load_n(&self, __ATOMIC_SEQ_CST));
    CHECK(self != made);
    CHECK_ERR(bough_alive(made), ESRCH);
    t_gate_open(&go);
    t_join(&t);
    CHECK_EQ(at_check, -1);
}

/* Both threads have published a slot: the poster gives its slot up. */
static struct t_thread target;
static struct t_gate made_known;
static bough_thread *made;

static void stop_maker(void)
{
    t_gate_open(&go); /* the target continues, and publishes its slot */
    t_until(__atomic_load_n(&self, __ATOMIC_SEQ_CST));
}

static void *adopts_itself_second(void *unused)
{
    hooked = t_tid();
    bo_hook_adopts_itself = stop_here;
    __atomic_store_n(&self, bough_self(), __ATOMIC_SEQ_CST);
    t_gate_wait(&made_known);
    return unused;
}

static void *makes_it_known(void *unused)
{
    made = bough_adopt_thread(target.tid, "made");
    return unused;
}

TEST(a_poster_that_makes_the_thread_known_meanwhile_gets_the_threads_handle)
{
    struct t_thread maker;
    NEED_HOOKS();
    bough_self();
    bo_hook_stranger_made = stop_maker;
    t_spawn(&target, adopts_itself_second, NULL);
    t_gate_wait(&hook_reached);
    t_spawn(&maker, makes_it_known, NULL);
    t_gate_wait(&go);
    t_gate_open(&hook_go);
    t_join(&maker);
    t_gate_open(&made_known);
    t_join(&target);
    CHECK_EQ(made, self);
}

/* SPDX-License-Identifier: MIT */
/* Rule 37: the places where a thread may be frozen, and the places where it must not. */
#include <poll.h>
#include <signal.h>
#include "../races/hooks.h"
#include "frozen.h"
#include "inspect/blocked_at.h"
#include "base/futex.h"

static void *ignores_its_reads(void *argument)
{
    struct subject *s = argument;
    char byte;
    subject_known(s);
    for (;; s->rounds++)
        if (bough_read(s->pipe[0], &byte, 1) >= 0)
            return NULL;
}

TEST(a_loop_of_reads_that_ignores_ECANCELED_is_frozen)
{
    struct subject s = {0};
    subject_start(&s, ignores_its_reads);
    t_until_blocked(s.thread.tid);
    bough_post post = post_stop(s.self);
    must_freeze(s.self);
    CHECK_EQ(bough_post_status(post), BOUGH_POST_DELIVERED);
    subject_closed(&s);
    CHECK_EQ(bough_post_status(post), BOUGH_POST_LOST);
    CHECK_EQ(bough_post_wait(post, 0), 0);
    const char *why;
    CHECK_EQ(freeze(s.self, &why), BO_GONE);
}

TEST(a_frozen_thread_is_shown_as_such)
{
    struct subject s = {0};
    char where[160];
    subject_start(&s, ignores_its_reads);
    t_until_blocked(s.thread.tid);
    uint32_t generation = bo_handle_generation((uint64_t)(uintptr_t)s.self);
    CHECK(bo_where(slot_of(s.self), generation, where, sizeof where) > 0);
    CHECK(!strstr(where, "frozen"));
    post_stop(s.self);
    must_freeze(s.self);
    CHECK(bo_where(slot_of(s.self), generation, where, sizeof where) > 0);
    CHECK_STR(where, "frozen by rung 4");
    subject_closed(&s);
    CHECK_EQ(bo_where(slot_of(s.self), generation, where, sizeof where), 0);
}

static void *polls_as_foreign_code(void *argument)
{
    struct subject *s = argument;
    CHECK(bough_interpose((const char *const[]){"", NULL}, 0) > 0);
    CHECK_EQ(bough_foreign_set(&(struct bough_foreign){.grace = 1}), 0);
    subject_known(s);
    BOUGH_FOREIGN
    {
        while (!__atomic_load_n(&s->leave.open, __ATOMIC_SEQ_CST)) {
            poll(NULL, 0, 1000);
            bough_check();
            s->rounds++;
        }
    }
    return NULL;
}

TEST(a_thread_in_foreign_code_is_not_frozen)
{
    struct subject s = {0};
    subject_start(&s, polls_as_foreign_code);
    post_stop(s.self);
    const char *why;
    CHECK_EQ(freeze(s.self, &why), BO_NOT_SAFE);
    t_until(s.rounds > 10);
    subject_end(&s);
}

static void *computes_in_a_region(void *argument)
{
    struct subject *s = argument;
    subject_known(s);
    BOUGH_CLOSABLE {
        compute(s);
    }
    return NULL;
}

TEST(a_computation_in_a_closable_region_is_frozen)
{
    struct subject s = {0};
    subject_start(&s, computes_in_a_region);
    t_until(s.rounds > 0);
    post_stop(s.self);
    must_freeze(s.self);
    subject_closed(&s);
}

static void *begins_regions(void *argument)
{
    struct subject *s = argument;
    subject_known(s);
    for (; s->rounds + 1; s->rounds++)
        BOUGH_CLOSABLE {
        }
    return NULL;
}

TEST(a_region_that_is_open_only_briefly_is_frozen_at_its_start)
{
    struct subject s = {0};
    subject_start(&s, begins_regions);
    post_stop(s.self);
    must_freeze(s.self);
    subject_closed(&s);
}

static void *blocks_everything_in_a_region(void *argument)
{
    struct subject *s = argument;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    return computes_in_a_region(s);
}

TEST(a_region_of_a_thread_that_blocks_all_signals_is_frozen_by_the_fallback_signal)
{
    struct subject s = {0};
    subject_start(&s, blocks_everything_in_a_region);
    t_until(s.rounds > 0);
    post_stop(s.self);
    must_freeze(s.self);
    subject_closed(&s);
}

static void *computes(void *argument)
{
    struct subject *s = argument;
    subject_known(s);
    while (!__atomic_load_n(&s->leave.open, __ATOMIC_SEQ_CST))
        s->rounds++;
    return NULL;
}

TEST(other_code_is_not_safe)
{
    struct subject s = {0};
    subject_start(&s, computes);
    post_stop(s.self);
    must_not_freeze(s.self, "it is neither in a bough call nor in a closable region");
    subject_end(&s);
}

static void *computes_in_a_section(void *argument)
{
    struct subject *s = argument;
    BOUGH_CLOSABLE {
        BOUGH_CRITICAL(0) {
            subject_known(s);
            t_gate_wait(&s->leave);
        }
    }
    return NULL;
}

TEST(a_critical_section_in_a_closable_region_is_not_safe)
{
    struct subject s = {0};
    subject_start(&s, computes_in_a_section);
    post_stop(s.self);
    must_not_freeze(s.self, "a critical section is open");
    subject_end(&s);
}

static int reads(void *argument)
{
    char byte;
    bough_read(*(int *)argument, &byte, 1);
    return 0;
}

static void *joins(void *argument)
{
    struct subject *s = argument;
    BOUGH_BRANCH(b) {
        struct bough_child_options o = {.disabled = 1};
        CHECK(bough_add_with(b, reads, bough_arg(&s->pipe[0]), &o));
        subject_known(s);
    }
    return NULL;
}

TEST(a_thread_that_waits_for_a_child_is_not_safe)
{
    struct subject s = {0};
    subject_start(&s, joins);
    t_until_blocked(s.thread.tid);
    post_stop(s.self);
    must_not_freeze(s.self, "one of its children is still running");
    CHECK_EQ(write(s.pipe[1], "x", 1), 1);
    subject_end(&s);
}

static struct subject *in_handler;
static struct t_gate handled;

static void waits_in_a_handler(int signo)
{
    (void)signo;
    t_gate_open(&handled);
    t_gate_wait(&in_handler->leave);
}

static void *region_below_a_handler(void *argument)
{
    struct subject *s = argument;
    BOUGH_CLOSABLE {
        subject_known(s);
        raise(SIGUSR1);
    }
    return NULL;
}

TEST(a_signal_handler_in_a_region_is_not_safe)
{
    struct subject s = {0};
    in_handler = &s;
    signal(SIGUSR1, waits_in_a_handler);
    subject_start(&s, region_below_a_handler);
    t_gate_wait(&handled);
    post_stop(s.self);
    must_not_freeze(s.self, "a signal handler is running inside its call or region, or it blocks signals");
    subject_end(&s);
}

static void checks_in_a_handler(int signo)
{
    (void)signo;
    t_gate_open(&handled);
    while (!__atomic_load_n(&in_handler->leave.open, __ATOMIC_SEQ_CST))
        bough_check();
}

static void *raises(void *argument)
{
    subject_known(argument);
    raise(SIGUSR1);
    return NULL;
}

TEST(a_point_in_a_signal_handler_is_not_safe)
{
    struct subject s = {0};
    const char *why;
    in_handler = &s;
    signal(SIGUSR1, checks_in_a_handler);
    subject_start(&s, raises);
    t_gate_wait(&handled);
    post_stop(s.self);
    CHECK_EQ(freeze(s.self, &why), BO_NOT_SAFE);
    subject_end(&s);
}

/* A withdrawn request has no effect, and a request to a child does not reach the next child. */
TEST(a_withdrawn_request_freezes_no_thread)
{
    struct subject s = {0};
    const char *why;
    subject_start(&s, computes);
    post_stop(s.self);
    uint32_t generation = bo_handle_generation((uint64_t)(uintptr_t)s.self);
    CHECK_EQ(bo_freeze(slot_of(s.self), generation, &why), BO_FREEZE_ASKED);
    CHECK(bo_freeze_withdraw(slot_of(s.self), generation));
    CHECK(!(bo_load_seq(&slot_of(s.self)->t.word) & BO_SUMMONED));
    CHECK(bo_freeze_withdraw(slot_of(s.self), generation));
    subject_end(&s);
}

/* ---- races ------------------------------------------------------------------------------------------------------- */

enum place { FOREIGN, OURS };

struct racer {
    struct subject s;
    _Atomic int place;
    _Atomic unsigned cut;
    _Atomic int firm; /* the thread gets the request, but must not freeze */
};

#if BO_HOOKS
static void pause_here(void)
{
    for (int i = 0; i < 3; i++)
        sched_yield();
}
#endif

static void *races(void *argument)
{
    struct racer *r = argument;
    const struct timespec brief = {0, 20000};
    bough_adopt("racer");
    subject_known(&r->s);
    for (; !__atomic_load_n(&r->s.leave.open, __ATOMIC_SEQ_CST); r->s.rounds++) {
        char byte;
        bool firm = r->firm;
        if (firm)
            bo_busy_begin();
        r->place = OURS;
        BOUGH_CLOSABLE {
            for (volatile int i = 0; i < 2000; i++)
                ;
        }
        bough_read(r->s.pipe[0], &byte, 1);
        r->place = FOREIGN;
        if (firm)
            bo_busy_end();
        if (ppoll(NULL, 0, &brief, NULL) < 0)
            r->cut++;
    }
    return NULL;
}

/* Most of the time the thread must not freeze, so that requests come at each of its places. Sometimes it may freeze,
 * and is then replaced by another thread. */
TEST_LIMIT(racing_requests_freeze_no_thread_at_an_unsafe_place_and_interrupt_no_foreign_call, 60)
{
    enum { REQUESTS = 10000, MOST_FROZEN = 200 };
    static struct racer r;
    unsigned cut = 0, frozen = 0;
    uint64_t chance = t_seed() | 1;
    const char *why;
#if BO_HOOKS
    bo_hook_region_left = bo_hook_post_sent = bo_hook_freeze_claimed = pause_here;
#endif
    subject_start(&r.s, races);
    post_stop(r.s.self);
    for (int i = 0; i < REQUESTS; i++) {
        struct bo_thread *t = slot_of(r.s.self);
        uint32_t generation = bo_handle_generation((uint64_t)(uintptr_t)r.s.self);
        r.firm = frozen >= MOST_FROZEN || t_random(&chance) % 16;
        bo_freeze(t, generation, &why);
        if (!r.firm)
            usleep((useconds_t)(t_random(&chance) % 400));
        for (uint64_t spins = t_random(&chance) % (1 << 16); spins; spins--)
            __asm__ volatile("");
        if (bo_freeze_withdraw(t, generation))
            continue;
        bo_freeze_await(t);
        CHECK_EQ(r.place, OURS);
        cut += r.cut;
        subject_closed(&r.s);
        frozen++;
        memset(&r, 0, sizeof r);
        subject_start(&r.s, races);
        post_stop(r.s.self);
    }
    cut += r.cut;
    t_note("%d requests, %u frozen, %u foreign calls interrupted", REQUESTS, frozen, cut);
    subject_end(&r.s);
    CHECK_EQ(cut, 0);
    CHECK(frozen > 0);
}

/* ---- at its end -------------------------------------------------------------------------------------------------- */

static struct subject ending;

static void *waits_to_end(void *argument)
{
    struct subject *s = argument;
    subject_known(s);
    t_gate_wait(&s->leave);
    return NULL;
}

__attribute__((unused)) static void let_it_end(void)
{
    subject_end(&ending);
}

/* Fixed race: rung 4 was reported as unsafe because of a thread that had ended. */
TEST(a_thread_that_ends_before_its_request_is_withdrawn_is_gone)
{
    const char *why;
    NEED_HOOKS();
    subject_start(&ending, waits_to_end);
    post_stop(ending.self);
    bo_hook_freeze_late = let_it_end;
    CHECK_EQ(freeze(ending.self, &why), BO_GONE);
}

static void *reads_when_released(void *argument)
{
    struct subject *s = argument;
    subject_known(s);
    t_gate_wait(&s->leave);
    for (char byte; bough_read(s->pipe[0], &byte, 1) < 0;)
        s->rounds++;
    return NULL;
}

__attribute__((unused)) static void let_it_freeze(void)
{
    bo_hook_freeze_asks = NULL;
    t_gate_open(&ending.leave);
    t_until(bo_stands_still(slot_of(ending.self)));
}

/* Fixed race: the repeated request replaced the state of a thread that had frozen since the warden's check. That thread
 * counted as running, and used up a processor. */
TEST(a_thread_that_freezes_while_it_is_asked_again_stays_frozen)
{
    const char *why;
    NEED_HOOKS();
    subject_start(&ending, reads_when_released);
    post_stop(ending.self);
    uint32_t generation = bo_handle_generation((uint64_t)(uintptr_t)ending.self);
    CHECK_EQ(bo_freeze(slot_of(ending.self), generation, &why), BO_FREEZE_ASKED);
    bo_hook_freeze_asks = let_it_freeze;
    must_freeze(ending.self);
    subject_closed(&ending);
}

/* ---- in the middle of a post ------------------------------------------------------------------------------------- */

struct posting {
    struct subject s;
    bough_thread *to;
};

static void *posts_in_a_region(void *argument)
{
    struct posting *p = argument;
    subject_known(&p->s);
    BOUGH_CLOSABLE {
        t_gate_wait(&p->s.leave);
        CHECK_EQ(bough_interrupt(p->to, "by a thread that is asked to freeze"), 0);
        compute(&p->s);
    }
    return NULL;
}

/* Fixed race: the poster was frozen while it held the pin on its target, and the target never ended. */
TEST(a_thread_that_posts_is_frozen_after_its_post)
{
    struct target target = {0};
    struct posting p = {.s = {.known = {0}}};
    const char *why;
    NEED_HOOKS();
    target_start(&target);
    p.to = target.self;
    subject_start(&p.s, posts_in_a_region);
    t_until_blocked(p.s.thread.tid);
    hooked = p.s.thread.tid;
    bo_hook_post_recorded = stop_here;
    t_gate_open(&p.s.leave);
    t_gate_wait(&hook_reached);
    CHECK_EQ(bo_load_seq(&slot_of(p.to)->t.pins), 1);
    post_stop(p.s.self);
    CHECK_EQ(freeze(p.s.self, &why), BO_NOT_SAFE);
    t_gate_open(&hook_go);
    must_freeze(p.s.self);
    CHECK_EQ(bo_load_seq(&slot_of(p.to)->t.pins), 0);
    target_was_cut(&target);
    target_end(&target);
    subject_closed(&p.s);
}

/* SPDX-License-Identifier: MIT */
/* Rule 14: regions nest and only lower the level; asynchronous delivery. */
#include "../sync/not_under.h"
#include "target.h"

static void level_is(enum bough_level level, int fails)
{
    CHECK_EQ(bough_level(), level);
    CHECK_EQ(bough_interrupted(), 1);
    if (fails)
        CHECK_ERR(bough_check(), ECANCELED);
    else
        CHECK_EQ(bough_check(), 0);
}

TEST(critical_sections_disable_interrupts)
{
    post_stop(bough_self());
    level_is(BOUGH_DEFERRED, 1);
    BOUGH_CRITICAL(0) {
        level_is(BOUGH_DISABLED, 0);
        BOUGH_CRITICAL(0) {
            level_is(BOUGH_DISABLED, 0);
        }
        level_is(BOUGH_DISABLED, 0);
    }
    level_is(BOUGH_DEFERRED, 1);
    CHECK_EQ(bough_clear(NULL), 1);
}

TEST(a_post_in_a_section_waits_for_its_end)
{
    BOUGH_CRITICAL(0) {
        post_stop(bough_self());
        level_is(BOUGH_DISABLED, 0);
    }
    level_is(BOUGH_DEFERRED, 1);
    CHECK_EQ(bough_clear(NULL), 1);
}

TEST(an_allow_region_does_not_lift_a_critical_section)
{
    post_stop(bough_self());
    BOUGH_CRITICAL(0) {
        BOUGH_ALLOW
        {
            level_is(BOUGH_DISABLED, 0);
        }
    }
    BOUGH_ALLOW
    {
        level_is(BOUGH_DEFERRED, 1); /* an allow region changes nothing in a thread that was not started disabled */
        BOUGH_CRITICAL(0) {
            level_is(BOUGH_DISABLED, 0);
        }
        level_is(BOUGH_DEFERRED, 1);
    }
    CHECK_EQ(bough_clear(NULL), 1);
}

static int started_disabled(void *unused)
{
    (void)unused;
    post_stop(bough_self());
    level_is(BOUGH_DISABLED, 0);
    BOUGH_ALLOW
    {
        level_is(BOUGH_DEFERRED, 1);
        BOUGH_CRITICAL(0) {
            level_is(BOUGH_DISABLED, 0);
            BOUGH_ALLOW
            {
                level_is(BOUGH_DISABLED, 0);
            }
        }
        level_is(BOUGH_DEFERRED, 1);
        BOUGH_CLEANUP(0) {
            BOUGH_ALLOW
            {
                CHECK_EQ(bough_check(), 0);
            }
        }
    }
    level_is(BOUGH_DISABLED, 0);
    BOUGH_CRITICAL(0) {
        BOUGH_ALLOW
        {
            level_is(BOUGH_DISABLED, 0);
        }
        level_is(BOUGH_DISABLED, 0);
    }
    level_is(BOUGH_DISABLED, 0);
    return 0;
}

TEST(an_allow_region_lifts_the_disabled_a_thread_was_started_with)
{
    struct bough_child_options options = {.disabled = 1};
    BOUGH_BRANCH(b) {
        CHECK(bough_add_with(b, started_disabled, bough_arg(NULL), &options));
    }
    CHECK_EQ(bough_last_result(), 0);
}

/* ---- misuse ------------------------------------------------------------------------------------------------------ */

static void *end_anothers(void *region)
{
    CHECK(bough_self());
    CHECK_ERR(bough_region_end(region), EPERM);
    return NULL;
}

TEST(only_its_thread_ends_a_region_and_the_innermost_first)
{
    struct bough_region regions[3];
    struct t_thread thread;
    CHECK_ERR(bough_critical_begin(NULL, 0, "", 0), EINVAL);
    CHECK_ERR(bough_critical_begin(&regions[0], -1, "", 0), EINVAL);
    CHECK_ERR(bough_cleanup_begin(&regions[0], -1, "", 0), EINVAL);
    CHECK_ERR(bough_region_end(NULL), EINVAL);
    for (int order = 0; order < 2; order++) {
        struct bough_region *outer = &regions[order ? 2 : 0], *inner = &regions[order ? 0 : 2];
        CHECK_EQ(bough_critical_begin(outer, 0, "here", 1), 0);
        CHECK_EQ(bough_critical_begin(inner, 0, "here", 2), 0);
        CHECK_ERR(bough_region_end(outer), EPERM); /* the failed end has changed nothing */
        CHECK_EQ(bough_level(), BOUGH_DISABLED);
        t_spawn(&thread, end_anothers, inner);
        t_join(&thread);
        CHECK_EQ(bough_region_end(inner), 0);
        CHECK_ERR(bough_region_end(inner), EPERM);
        CHECK_EQ(bough_level(), BOUGH_DISABLED);
        CHECK_EQ(bough_region_end(outer), 0);
        CHECK_EQ(bough_level(), BOUGH_DEFERRED);
    }
}

/* ---- asynchronous regions ---------------------------------------------------------------------------------------- */

struct grinder {
    struct t_thread thread;
    struct t_gate known, inside;
    bough_thread *self;
    void (*grind)(struct grinder *);
    volatile int left, normal, handler_ran_to_its_end, other;
    int64_t posted; /* atomic, as is stop */
    volatile int64_t cut_after;
    int error;
    uint32_t stop;
};

static struct grinder *grinding;

static void loop_for_ever(struct grinder *g)
{
    t_gate_open(&g->inside);
    while (!__atomic_load_n(&g->stop, __ATOMIC_ACQUIRE))
        ;
}

static void *grinder_main(void *argument)
{
    struct grinder *g = argument;
    struct bough_async region;
    stack_t stack;
    CHECK_EQ(sigaltstack(NULL, &stack), 0);
    g->self = bough_self();
    grinding = g;
    t_gate_open(&g->known);
    if (bough_async_begin(&region) == 0) {
        CHECK_EQ(bough_level(), BOUGH_ASYNCHRONOUS);
        g->grind(g);
        CHECK_EQ(bough_async_end(&region), 0);
        g->normal = 1;
    } else {
        g->error = errno;
        g->cut_after = t_now() - __atomic_load_n(&g->posted, __ATOMIC_ACQUIRE);
        g->left = 1;
        CHECK_EQ(bough_level(), BOUGH_DEFERRED);
        CHECK_ERR(bough_check(), ECANCELED);
        CHECK_EQ(bough_clear(NULL), 1);
    }
    CHECK_EQ(bough_level(), BOUGH_DEFERRED);
    CHECK_EQ(sigaltstack(&stack, NULL), 0); /* restored, because a sanitizer may use it */
    return NULL;
}

static void grind(struct grinder *g, void (*function)(struct grinder *))
{
    *g = (struct grinder){.grind = function};
    t_spawn(&g->thread, grinder_main, g);
    t_gate_wait(&g->known);
    t_gate_wait(&g->inside);
}

static void post_to(struct grinder *g)
{
    __atomic_store_n(&g->posted, t_now(), __ATOMIC_RELEASE);
    CHECK_EQ(bough_interrupt(g->self, "enough"), 0);
}

/* The ladder's times are long: no other work makes the ticker check during a test, so a region that it forgets is not
 * left. */
static void long_ladder(void)
{
    struct bough_ladder slow = {.time = {[BOUGH_RUNG_FLAG] = BOUGH_SEC(3600)}, .cap = BOUGH_SEC(7200)};
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &slow), 0);
}

TEST(an_asynchronous_region_is_left_after_about_50_ms)
{
    struct grinder g;
    long_ladder();
    grind(&g, loop_for_ever);
    post_to(&g);
    t_join(&g.thread);
    CHECK_EQ(g.left, 1);
    CHECK_EQ(g.error, ECANCELED);
    CHECK(g.cut_after >= ms(49));
}

/* A post that also makes the thread's event descriptor readable sends no signal: the ticker has to send it
 * nevertheless. */
static void loop_with_an_event_descriptor(struct grinder *g)
{
    CHECK(bough_event_fd() >= 0);
    loop_for_ever(g);
}

TEST(an_asynchronous_region_is_left_in_a_thread_with_an_event_descriptor)
{
    struct grinder g;
    long_ladder();
    grind(&g, loop_with_an_event_descriptor);
    post_to(&g);
    t_join(&g.thread);
    CHECK_EQ(g.left, 1);
}

TEST(an_asynchronous_region_does_not_begin_when_an_interrupt_is_due)
{
    struct bough_async region;
    post_stop(bough_self());
    if (bough_async_begin(&region) == 0)
        FAIL("it has begun");
    CHECK_EQ(errno, ECANCELED);
    CHECK_EQ(bough_level(), BOUGH_DEFERRED);
    CHECK_EQ(bough_clear(NULL), 1);
}

/* A point within 50 ms delivers the interrupt; the region ends as usual. */
static void meet_a_point(struct grinder *g)
{
    t_gate_open(&g->inside);
    while (bough_check() == 0)
        ;
    CHECK_EQ(bough_clear(NULL), 1);
    spin(ms(120));
}

TEST(a_point_within_50_ms_delivers_first)
{
    struct grinder g;
    do { /* repeated if the thread had no processor for 50 ms */
        grind(&g, meet_a_point);
        post_to(&g);
        t_join(&g.thread);
    } while (g.left && g.cut_after >= ms(49));
    CHECK_EQ(g.normal, 1);
    CHECK_EQ(g.left, 0);
}

/* ---- handlers on top --------------------------------------------------------------------------------------------- */

static void long_handler(int signo)
{
    (void)signo;
    t_gate_open(&grinding->inside);
    while (!__atomic_load_n(&grinding->posted, __ATOMIC_ACQUIRE))
        ;
    spin(ms(250));
    grinding->handler_ran_to_its_end++;
}

static void raise_and_loop(struct grinder *g)
{
    raise(SIGUSR1);
    while (!__atomic_load_n(&g->stop, __ATOMIC_ACQUIRE))
        ;
}

static void raise_on_an_alternate_stack(struct grinder *g)
{
    static char memory[1 << 16];
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory};
    CHECK_EQ(sigaltstack(&stack, NULL), 0);
    raise_and_loop(g);
}

static void never_in_a_handler(int flags, int full, void (*how)(struct grinder *))
{
    struct grinder g;
    catch_signal(SIGUSR1, long_handler, flags, full);
    grind(&g, how);
    post_to(&g);
    t_join(&g.thread);
    CHECK_EQ(g.handler_ran_to_its_end, 1);
    CHECK_EQ(g.left, 1);
    CHECK(g.cut_after >= ms(200));
}

TEST(a_running_signal_handler_is_not_abandoned)
{
    never_in_a_handler(0, 0, raise_and_loop);
    never_in_a_handler(SA_RESTART, 0, raise_and_loop);
    never_in_a_handler(0, 1, raise_and_loop);
}

TEST(a_handler_with_sa_nodefer_is_not_abandoned)
{
    NEED_FRAMES(); /* such a handler blocks no signals, so the library recognises it only by its frame */
    never_in_a_handler(SA_NODEFER, 0, raise_and_loop);
}

TEST(a_handler_on_an_alternate_stack_is_not_abandoned)
{
    NEED_WINDOW("a thread with an alternate stack leaves an asynchronous region at points only");
    never_in_a_handler(SA_ONSTACK, 0, raise_on_an_alternate_stack);
    never_in_a_handler(SA_ONSTACK | SA_NODEFER, 0, raise_on_an_alternate_stack);
}

/* ---- critical sections inside ------------------------------------------------------------------------------------ */

static void critical_inside(struct grinder *g)
{
    BOUGH_CRITICAL(BOUGH_SEC(3600)) {
        CHECK_EQ(bough_level(), BOUGH_DISABLED);
        t_gate_open(&g->inside);
        while (!bough_interrupted())
            ;
        spin(ms(200));
        g->other = 1;
    }
    while (!__atomic_load_n(&g->stop, __ATOMIC_ACQUIRE))
        ;
}

TEST(a_nested_critical_section_is_not_left_and_the_region_after_it_is)
{
    struct grinder g;
    long_ladder();
    grind(&g, critical_inside);
    post_to(&g);
    t_join(&g.thread);
    CHECK_EQ(g.other, 1);
    CHECK_EQ(g.left, 1);
    CHECK(g.cut_after >= ms(200));
}

static void *critical_around(void *argument)
{
    struct grinder *g = argument;
    struct bough_async region;
    g->self = bough_self();
    BOUGH_CRITICAL(BOUGH_SEC(3600)) {
        if (bough_async_begin(&region) == 0) {
            CHECK_EQ(bough_level(), BOUGH_DISABLED);
            t_gate_open(&g->inside);
            while (!bough_interrupted())
                ;
            spin(ms(150));
            g->normal = 1;
            CHECK_EQ(bough_async_end(&region), 0);
        } else {
            g->left = 1;
        }
    }
    CHECK_ERR(bough_check(), ECANCELED);
    return NULL;
}

TEST(nothing_is_delivered_in_an_asynchronous_region_inside_a_critical_section)
{
    struct grinder g = {0};
    t_spawn(&g.thread, critical_around, &g);
    t_gate_wait(&g.inside);
    post_to(&g);
    t_join(&g.thread);
    CHECK_EQ(g.normal, 1);
    CHECK_EQ(g.left, 0);
}

/* ---- what is not due --------------------------------------------------------------------------------------------- */

static int grind_for_200_ms(void *argument)
{
    struct grinder *g = argument;
    struct bough_async region;
    if (bough_async_begin(&region) == 0) {
        t_gate_open(&g->inside);
        spin(ms(200));
        CHECK_EQ(bough_async_end(&region), 0);
        g->normal = 1;
    } else {
        g->left = 1;
    }
    return 0;
}

/* The record was cleared before the 50 ms were over, so the region is not left. */
TEST(a_record_that_was_cleared_in_time_does_not_end_the_region)
{
    struct grinder g;
    int64_t stood = 0; /* the time that the record stood: repeated if this thread had no processor meanwhile */
    do {
        g = (struct grinder){0};
        BOUGH_BRANCH(b) {
            CHECK(bough_add(b, grind_for_200_ms, bough_arg(&g)));
            t_gate_wait(&g.inside);
            stood = t_now();
            post_stop(b);
            CHECK_EQ(bough_clear(b), 1);
            stood = t_now() - stood;
        }
    } while (stood >= ms(49));
    CHECK_EQ(g.left, 0);
    CHECK_EQ(g.normal, 1);
}

/* A wake is under way when the region ends by itself, in a thread that blocks all signals: the thread must still be
 * able to end. */
static int wake_is_pending(pid_t tid)
{
    char path[64], line[128];
    unsigned long long pending = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)tid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "SigPnd: %llx", &pending) == 1)
            break;
    if (f)
        fclose(f);
    return pending >> (SIGURG - 1) & 1;
}

static int blocks_signals_inside(void *argument)
{
    struct grinder *g = argument;
    struct bough_async region;
    sigset_t all, old;
    g->self = bough_self();
    g->other = t_tid();
    if (bough_async_begin(&region) == 0) {
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        t_gate_open(&g->inside);
        while (!__atomic_load_n(&g->stop, __ATOMIC_ACQUIRE))
            ;
        g->normal = 1;
        CHECK_EQ(bough_async_end(&region), 0);
    }
    return 0;
}

TEST(a_wake_that_is_blocked_is_awaited_at_the_regions_end)
{
    struct grinder g = {0};
    bough_set_report(keep_report);
    BOUGH_BRANCH(b) {
        CHECK(bough_add(b, blocks_signals_inside, bough_arg(&g)));
        t_gate_wait(&g.inside);
        CHECK_EQ(bough_interrupt(g.self, "now"), 0);
        t_until(wake_is_pending(g.other));
        __atomic_store_n(&g.stop, 1, __ATOMIC_RELEASE);
    }
    CHECK_EQ(g.normal, 1);
}

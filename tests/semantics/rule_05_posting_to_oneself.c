/* SPDX-License-Identifier: MIT */
/* Rule 5: posting to oneself, and posts to a thread whose blocking call a handler has interrupted. */
#include <poll.h>
#include "target.h"

TEST(posting_to_oneself_sets_the_flag)
{
    CHECK_EQ(bough_interrupted(), 0);
    CHECK_EQ(bough_interrupt(bough_self(), "me"), 0);
    CHECK_EQ(bough_interrupted(), 1);
    CHECK_ERR(bough_check(), ECANCELED);
    CHECK_EQ(bough_clear(NULL), 1);
}

/* The call in which the thread blocks. */
static void by_read(struct target *t)
{
    char byte;
    t->result = bough_read(t->pipe[0], &byte, 1);
}
static void by_poll(struct target *t)
{
    struct pollfd fd = {.fd = t->pipe[0], .events = POLLIN};
    t->result = bough_poll(&fd, 1, -1);
}
static void by_sem(struct target *t)
{
    bough_sem sem = BOUGH_SEM_INIT(0);
    (void)t;
    t->result = bough_sem_acquire(&sem, 0);
}
static void by_posix_sem(struct target *t)
{
    sem_t sem;
    sem_init(&sem, 0, 0);
    t->result = bough_sem_wait(&sem);
}
static void by_sleep(struct target *t)
{
    t->result = bough_nanosleep(&(struct timespec){100, 0}, NULL);
}
static void (*const waits[])(struct target *) = {by_read, by_poll, by_sem, by_posix_sem, by_sleep};
enum { WAITS = sizeof waits / sizeof *waits };
static const int flags_of[] = {0, SA_RESTART, SA_RESTART | SA_NODEFER, SA_RESTART | SA_ONSTACK};
enum { FLAGS = sizeof flags_of / sizeof *flags_of };

struct blocked {
    struct target t;
    void (*wait)(struct target *);
};

static struct blocked *blocked_now;

static void *blocked_main(void *argument)
{
    struct blocked *b = argument;
    char memory[1 << 16];
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory}, none = {.ss_flags = SS_DISABLE};
    CHECK_EQ(sigaltstack(&stack, NULL), 0);
    b->t.self = bough_self();
    blocked_now = b;
    t_gate_open(&b->t.known);
    b->wait(&b->t);
    b->t.error = errno;
    t_gate_open(&b->t.cut);
    t_gate_wait(&b->t.leave);
    CHECK_EQ(sigaltstack(&none, NULL), 0);
    return NULL;
}

static void start(struct blocked *b, void (*wait)(struct target *))
{
    *b = (struct blocked){.wait = wait};
    CHECK_EQ(pipe(b->t.pipe), 0);
    t_spawn(&b->t.thread, blocked_main, b);
    t_gate_wait(&b->t.known);
    t_until_blocked(b->t.thread.tid);
}

/* Sends a signal to the blocked thread, with each way of installing a handler. */
static void in_all_ways(void (*handler)(int), void (*meanwhile)(struct blocked *))
{
    for (int w = 0; w < WAITS; w++)
        for (int f = 0; f < FLAGS; f++)
            for (int full = 0; full < 2; full++) {
                struct blocked b;
                catch_signal(SIGUSR1, handler, flags_of[f], full);
                start(&b, waits[w]);
                pthread_kill(b.t.thread.handle, SIGUSR1);
                if (meanwhile)
                    meanwhile(&b);
                target_was_cut(&b.t);
                target_end(&b.t);
            }
}

static void post_to_own_thread(int signo)
{
    (void)signo;
    bough_interrupt(blocked_now->t.self, "from a handler on top");
}

TEST(a_handler_that_posts_to_its_own_thread_ends_the_call_it_has_interrupted)
{
    NEED_HANDLERS_ON_TOP();
    in_all_ways(post_to_own_thread, NULL);
}

/* As above, but the handler then makes a call, which is interrupted as well. */
static volatile int nested_error;

static void post_and_call(int signo)
{
    char byte;
    (void)signo;
    bough_interrupt(blocked_now->t.self, "from a handler on top");
    nested_error = bough_read(blocked_now->t.pipe[0], &byte, 1) < 0 ? errno : 0;
}

TEST(a_nested_call_and_the_outer_call_are_interrupted)
{
    NEED_HANDLERS_ON_TOP();
    nested_error = 0;
    in_all_ways(post_and_call, NULL);
    CHECK_EQ(nested_error, ECANCELED);
}

/* ---- a post arrives while the handler runs ----------------------------------------------------------------------- */

static struct t_gate in_handler, go_on;

static void stay(int signo)
{
    (void)signo;
    t_gate_open(&in_handler);
    t_gate_wait(&go_on);
}

static void post_meanwhile(struct blocked *b)
{
    t_gate_wait(&in_handler);
    CHECK_EQ(bough_interrupt(b->t.self, "while a handler runs"), 0);
    t_gate_open(&go_on);
    t_gate_wait(&b->t.cut);
    in_handler = go_on = (struct t_gate){0};
}

TEST_LIMIT(a_post_while_a_handler_runs_ends_the_call_that_the_handler_has_interrupted, 60)
{
    NEED_HANDLERS_ON_TOP();
    in_all_ways(stay, post_meanwhile);
}

/* The handler runs for longer than the library waits for an acknowledgement. */
TEST(a_post_ends_the_call_after_a_long_handler)
{
    NEED_HANDLERS_ON_TOP();
    NEED_WINDOW("here a handler acknowledges wakes too, and wakes are repeated: none is late");
    struct blocked b;
    bough_set_report(keep_report);
    catch_signal(SIGUSR1, stay, SA_RESTART, 0);
    start(&b, by_read);
    pthread_kill(b.t.thread.handle, SIGUSR1);
    t_gate_wait(&in_handler);
    CHECK_EQ(bough_interrupt(b.t.self, "while a handler runs"), 0);
    t_until(reported("has not acknowledged"));
    CHECK(!reported("blocks signal"));
    t_gate_open(&go_on);
    target_was_cut(&b.t);
    target_end(&b.t);
}

/* ---- nested calls that block ------------------------------------------------------------------------------------- */

static struct t_gate about_to_nest;

static void nest(int signo)
{
    char byte;
    (void)signo;
    t_gate_open(&about_to_nest);
    nested_error = bough_read(blocked_now->t.pipe[0], &byte, 1) < 0 ? errno : 0;
}

static void post_to_nested(struct blocked *b)
{
    t_gate_wait(&about_to_nest);
    t_until_blocked(b->t.thread.tid);
    CHECK_EQ(bough_interrupt(b->t.self, "nested"), 0);
    t_gate_wait(&b->t.cut);
    about_to_nest = (struct t_gate){0};
}

TEST_LIMIT(a_post_to_a_nested_blocked_call_ends_both, 60)
{
    NEED_HANDLERS_ON_TOP();
    nested_error = 0;
    in_all_ways(nest, post_to_nested);
    CHECK_EQ(nested_error, ECANCELED);
}

/* The post comes after the nested call has completed. */
static void complete_nested(struct blocked *b)
{
    t_gate_wait(&about_to_nest);
    t_until_blocked(b->t.thread.tid);
    CHECK_EQ(write(b->t.pipe[1], "x", 1), 1);
    t_until(nested_error == 0);
    t_until_blocked(b->t.thread.tid);
    CHECK_EQ(bough_interrupt(b->t.self, "after"), 0);
    t_gate_wait(&b->t.cut);
    about_to_nest = (struct t_gate){0};
    nested_error = 1;
}

TEST(a_nested_call_that_completes_leaves_the_outer_call_interruptible)
{
    NEED_HANDLERS_ON_TOP();
    nested_error = 1;
    for (int f = 1; f < FLAGS; f++) { /* with SA_RESTART: without it the outer read fails with EINTR */
        struct blocked b;
        catch_signal(SIGUSR1, nest, flags_of[f], 0);
        start(&b, by_read);
        pthread_kill(b.t.thread.handle, SIGUSR1);
        complete_nested(&b);
        target_was_cut(&b.t);
        target_end(&b.t);
    }
}

static void nest_deeper(int signo)
{
    char byte;
    (void)signo;
    bough_read(blocked_now->t.pipe[0], &byte, 1);
    __atomic_fetch_add(&nested_error, errno == ECANCELED, __ATOMIC_SEQ_CST);
}

TEST(calls_nested_three_deep_all_end)
{
    NEED_HANDLERS_ON_TOP();
    static const int signals[] = {SIGUSR1, SIGUSR2, SIGHUP};
    struct blocked b;
    nested_error = 0;
    for (int i = 0; i < 3; i++)
        catch_signal(signals[i], nest_deeper, SA_RESTART, 0);
    start(&b, by_poll);
    for (int i = 0; i < 3; i++) {
        pthread_kill(b.t.thread.handle, signals[i]);
        t_until_blocked(b.t.thread.tid);
    }
    CHECK_EQ(bough_interrupt(b.t.self, "all"), 0);
    target_was_cut(&b.t);
    CHECK_EQ(nested_error, 3);
    target_end(&b.t);
}

/* ---- handlers at all moments ------------------------------------------------------------------------------------- */

static uint32_t storm_over;
static bough_thread *storm_target;
static struct t_gate storm_known;

static void a_bit(int signo)
{
    (void)signo;
    spin(3000);
}

static void *read_in_a_storm(void *argument)
{
    struct target *t = argument;
    storm_target = bough_self();
    t_gate_open(&storm_known);
    while (!__atomic_load_n(&storm_over, __ATOMIC_ACQUIRE)) {
        char byte;
        CHECK_EQ(bough_read(t->pipe[0], &byte, 1), -1);
        CHECK_EQ(errno, ECANCELED);
        bough_clear(NULL); /* cleared before the poster is notified, so that the next post comes later */
        __atomic_fetch_add(&t->result, 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

static void *rain_signals(void *thread)
{
    uint64_t chance = t_seed() | 1;
    while (!__atomic_load_n(&storm_over, __ATOMIC_ACQUIRE)) {
        pthread_kill(*(pthread_t *)thread, SIGUSR1);
        spin((int64_t)(t_random(&chance) % 30000));
    }
    return NULL;
}

/* Each post must end a read, at whatever instruction the handler has interrupted the thread. */
TEST_LIMIT(no_wake_is_lost_under_a_storm_of_handlers, 60)
{
    struct target t = {0};
    struct t_thread reader, rain;
    CHECK_EQ(pipe(t.pipe), 0);
    catch_signal(SIGUSR1, a_bit, SA_RESTART, 0);
    t_spawn(&reader, read_in_a_storm, &t);
    t_gate_wait(&storm_known);
    t_spawn(&rain, rain_signals, &reader.handle);
    for (int i = 0; i < 3000; i++) {
        long before = __atomic_load_n(&t.result, __ATOMIC_ACQUIRE);
        CHECK_EQ(bough_interrupt(storm_target, NULL), 0);
        t_until(__atomic_load_n(&t.result, __ATOMIC_ACQUIRE) > before);
    }
    __atomic_store_n(&storm_over, 1, __ATOMIC_RELEASE);
    t_join(&rain);
    bough_interrupt(storm_target, NULL); /* unless the thread has ended already */
    t_join(&reader);
    close(t.pipe[0]);
    close(t.pipe[1]);
}

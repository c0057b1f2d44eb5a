/* SPDX-License-Identifier: MIT */
/* Rules 8 and 13 with injected delays: between announcing a call and the call, between the call and its exit, and
 * between announcing a wake and sending the signal. */
#include <poll.h>
#include "wake/ticker.h"
#include "hooks.h"

struct caller {
    struct t_thread thread;
    struct t_gate known;
    bough_thread *self;
    pid_t tid; /* of a child */
    int fds[2];
    long (*call)(struct caller *);
    long result;
    int error, foreign;
};

static long by_read(struct caller *c)
{
    char byte;
    return bough_read(c->fds[0], &byte, 1);
}

static long by_posix_sem(struct caller *c)
{
    sem_t sem;
    (void)c;
    sem_init(&sem, 0, 0);
    return bough_sem_wait(&sem);
}

static void *caller_main(void *argument)
{
    struct caller *c = argument;
    struct timespec brief = {0, 30000000};
    c->self = bough_self();
    hooked = t_tid();
    t_gate_open(&c->known);
    c->result = c->call(c);
    c->error = errno;
    c->foreign = nanosleep(&brief, NULL); /* no wake signal may end this call */
    return NULL;
}

static void start(struct caller *c, long (*call)(struct caller *))
{
    *c = (struct caller){.call = call};
    CHECK_EQ(pipe(c->fds), 0);
    hook_passed = 0;
    hook_reached = hook_go = (struct t_gate){0};
    t_spawn(&c->thread, caller_main, c);
    t_gate_wait(&c->known);
}

static void end(struct caller *c, long result, int error)
{
    t_join(&c->thread);
    CHECK_EQ(c->result, result);
    if (error)
        CHECK_EQ(c->error, error);
    CHECK_EQ(c->foreign, 0);
    close(c->fds[0]);
    close(c->fds[1]);
}

TEST(a_post_between_the_announcement_and_the_call_ends_the_call)
{
    struct caller c;
    NEED_HOOKS();
    bo_hook_call_entered = stop_here;
    start(&c, by_read);
    t_gate_wait(&hook_reached);
    CHECK_EQ(bough_interrupt(c.self, "in between"), 0);
    t_gate_open(&hook_go);
    end(&c, -1, ECANCELED);
}

TEST(a_post_between_the_announcement_and_a_wait_in_libc_ends_the_wait)
{
    struct caller c;
    NEED_HOOKS();
    bo_hook_libc_entered = stop_here;
    start(&c, by_posix_sem);
    t_gate_wait(&hook_reached);
    CHECK_EQ(bough_interrupt(c.self, "in between"), 0);
    t_gate_open(&hook_go);
    end(&c, -1, ECANCELED);
}

/* The byte has been read: the call returns it, the record stays, and the signal does not reach the sleep that
 * follows. */
TEST(a_post_between_the_call_and_its_exit_does_not_discard_the_result)
{
    struct caller c;
    NEED_HOOKS();
    bo_hook_call_left = stop_here;
    start(&c, by_read);
    CHECK_EQ(write(c.fds[1], "x", 1), 1);
    t_gate_wait(&hook_reached);
    CHECK_EQ(bough_interrupt(c.self, "in between"), 0);
    t_gate_open(&hook_go);
    end(&c, 1, 0);
}

/* The poster has announced a wake, and sleeps before it sends the signal: the thread waits for the signal before it
 * does anything else (rules 6 and 13). */
struct poster {
    struct t_thread thread;
    struct caller *target;
};

static void *post_slowly(void *argument)
{
    struct poster *p = argument;
    hooked = t_tid();
    CHECK_EQ(bough_interrupt(p->target->self, "slowly"), 0);
    return NULL;
}

TEST(a_thread_waits_for_a_wake_that_is_under_way)
{
    struct caller c;
    struct poster p = {.target = &c};
    NEED_HOOKS();
    start(&c, by_read);
    t_until_blocked(c.thread.tid);
    bo_hook_post_sent = stop_here;
    t_spawn(&p.thread, post_slowly, &p);
    t_gate_wait(&hook_reached);
    CHECK_EQ(write(c.fds[1], "x", 1), 1); /* the thread's read completes */
    spin(ms(5));
    t_gate_open(&hook_go);
    t_join(&p.thread);
    end(&c, 1, 0);
}

/* As above, but the ticker has found that wake unanswered, and has also sent it. The thread continues only after both
 * signals have arrived. */
static void *caller_sleeps(void *argument)
{
    struct caller *c = argument;
    struct timespec sleep = {0, 200000000};
    c->self = bough_self();
    t_gate_open(&c->known);
    c->result = by_read(c);
    c->error = errno;
    c->foreign = nanosleep(&sleep, NULL);
    return NULL;
}

TEST(a_thread_waits_for_a_wake_that_the_ticker_has_sent_before_its_poster)
{
    struct caller c = {0};
    struct poster p = {.target = &c};
    NEED_HOOKS();
    CHECK_EQ(pipe(c.fds), 0);
    t_spawn(&c.thread, caller_sleeps, &c);
    t_gate_wait(&c.known);
    t_until_blocked(c.thread.tid);
    bo_hook_post_sent = stop_here;
    t_spawn(&p.thread, post_slowly, &p);
    t_gate_wait(&hook_reached);
    bo_ticker_look(bo_target_of((uint64_t)(uintptr_t)c.self));
    spin(ms(100));
    t_gate_open(&hook_go);
    t_join(&p.thread);
    end(&c, -1, ECANCELED);
}

/* A handler runs between a call's end and the check for a wake, and the handler's call takes that wake. It has to leave
 * the wake to the interrupted code, in which the signal is blocked meanwhile, and unblocked afterwards. */
static void call_on_top(int signo)
{
    int saved = errno;
    (void)signo;
    bough_usleep(1);
    errno = saved;
}

static void interrupt_with_a_call(void)
{
    bo_hook_call_out = NULL;
    raise(SIGUSR1);
}

static void *caller_looks_at_its_mask(void *argument)
{
    struct caller *c = argument;
    sigset_t mask;
    caller_main(c);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &mask), 0);
    CHECK_EQ(sigismember(&mask, SIGURG), 0);
    CHECK_ERR(bough_check(), ECANCELED);
    return NULL;
}

TEST(a_handlers_call_leaves_the_wake_to_the_call_that_is_ending)
{
    struct caller c = {.call = by_read};
    NEED_HOOKS();
    CHECK_EQ(pipe(c.fds), 0);
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = call_on_top, .sa_flags = SA_RESTART}, NULL);
    bo_hook_call_left = stop_here;
    t_spawn(&c.thread, caller_looks_at_its_mask, &c);
    t_gate_wait(&c.known);
    CHECK_EQ(write(c.fds[1], "x", 1), 1);
    t_gate_wait(&hook_reached);
    const struct bo_thread *slot = bo_thread_of_handle(c.self);
    CHECK_EQ(bough_interrupt(c.self, "on leaving"), 0);
    t_until(bo_load_seq(&slot->t.word) & BO_NOTE);
    bo_hook_call_out = interrupt_with_a_call;
    t_gate_open(&hook_go);
    end(&c, 1, 0);
}

/* As above, and the thread ends. */
static int read_and_end(void *argument)
{
    struct caller *c = argument;
    char byte;
    c->self = bough_self();
    c->tid = t_tid();
    t_gate_open(&c->known);
    c->result = bough_read(c->fds[0], &byte, 1);
    return 0;
}

static int next_child(void *result)
{
    *(int *)result = bough_interrupted() || bough_check() < 0;
    return 0;
}

TEST(a_child_does_not_end_while_a_wake_to_it_is_under_way)
{
    struct caller c = {0};
    struct poster p = {.target = &c};
    int stray = -1;
    NEED_HOOKS();
    CHECK_EQ(pipe(c.fds), 0);
    BOUGH_BRANCH(b) {
        bough_thread *child = bough_add(b, read_and_end, bough_arg(&c));
        CHECK(child);
        t_gate_wait(&c.known);
        t_until_blocked(c.tid);
        bo_hook_post_sent = stop_here;
        t_spawn(&p.thread, post_slowly, &p);
        t_gate_wait(&hook_reached);
        CHECK_EQ(write(c.fds[1], "x", 1), 1);
        spin(ms(5));
        CHECK_EQ(bough_alive(child), 0);
        t_gate_open(&hook_go);
        t_join(&p.thread);
        CHECK_EQ(bough_join(child), 0);
        CHECK(bough_add(b, next_child, bough_arg(&stray)));
    }
    CHECK_EQ(stray, 0);
    close(c.fds[0]);
    close(c.fds[1]);
}

/* A poster still writes its record when the target ends: the record belongs to the old incarnation (rule 6). */
static void *post_to_child(void *argument)
{
    struct caller *c = argument;
    hooked = t_tid();
    bough_post post = bough_post_event(c->self, NULL);
    CHECK(post.record);
    t_gate_open(&c->known);
    t_until(bough_post_status(post) == BOUGH_POST_ENDED);
    return NULL;
}

TEST(a_child_does_not_end_while_a_record_is_being_written)
{
    struct caller c = {0};
    struct t_thread poster;
    int stray = -1;
    NEED_HOOKS();
    CHECK_EQ(pipe(c.fds), 0);
    BOUGH_BRANCH(b) {
        bough_thread *child = bough_add(b, read_and_end, bough_arg(&c));
        CHECK(child);
        t_gate_wait(&c.known);
        c.known = (struct t_gate){0};
        bo_hook_post_recorded = stop_here;
        t_spawn(&poster, post_to_child, &c);
        t_gate_wait(&hook_reached);
        CHECK_EQ(write(c.fds[1], "x", 1), 1);
        spin(ms(5));
        struct bough_tally tally;
        CHECK_EQ(bough_branch_tally(b, &tally), 0);
        t_gate_open(&hook_go);
        t_gate_wait(&c.known);
        CHECK_EQ(bough_join(child), 0);
        CHECK(bough_add(b, next_child, bough_arg(&stray)));
    }
    t_join(&poster);
    CHECK_EQ(stray, 0);
    close(c.fds[0]);
    close(c.fds[1]);
}

/* A post after the child's function has returned: the child succeeds, and no record is left behind. */
static int returns_7(void *unused)
{
    (void)unused;
    return 0;
}

TEST(a_post_after_the_childs_function_has_returned_changes_nothing)
{
    NEED_HOOKS();
    hook_passed = 0;
    hooked = 0;
    bo_hook_child_ended = stop_here;
    BOUGH_BRANCH(b) {
        bough_thread *child = bough_add(b, returns_7, bough_arg(NULL));
        t_gate_wait(&hook_reached);
        bough_post post = bough_post_event(child, NULL);
        CHECK(post.record);
        t_gate_open(&hook_go);
        CHECK_EQ(bough_join(child), 0);
        CHECK_EQ(bough_post_status(post), BOUGH_POST_ENDED);
    }
    CHECK_EQ(bough_last()->tally.count[BOUGH_OK], 1);
}

/* SPDX-License-Identifier: MIT */
/* Times at their limits, in each public function that takes one. A deadline below 0 has passed, a deadline of INT64_MAX
 * never passes. Fixed bugs: the difference to the present time overflowed, and a deadline in the past never passed; or
 * the deadline was passed to the kernel, which refuses negative times, and the call failed with EINVAL. */

#include <bough.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "harness.h"

static const bough_time passed[] = {INT64_MIN, INT64_MIN + 1, -INT64_MAX / 2, -1, 1};
static const bough_time never[] = {INT64_MAX, INT64_MAX - 1, INT64_MAX - BOUGH_SEC(1)};
enum { PASSED = sizeof passed / sizeof *passed, NEVER = sizeof never / sizeof *never };

/* Each of the functions below waits for an event that does not come. */
static struct {
    bough_mutex lock, held;
    bough_cond cond;
    bough_sem sem;
    bough_event_flag event;
    bough_queue *full, *empty;
    uint32_t word;
    int in, out, unix_socket;
    struct sockaddr_un busy;
    socklen_t busy_size;
    bough_post post;
} w = {.lock = BOUGH_MUTEX_INIT, .held = BOUGH_MUTEX_INIT, .cond = BOUGH_COND_INIT, .sem = BOUGH_SEM_INIT(0)};

static int on_mutex(bough_time deadline)
{
    return bough_mutex_lock(&w.held, deadline) == 0 ? 0 : -1;
}

static int on_cond(bough_time deadline)
{
    CHECK_EQ(bough_mutex_lock(&w.lock, 0), 0);
    int r = bough_cond_await(&w.cond, &w.lock, deadline), error = errno;
    CHECK_EQ(bough_mutex_unlock(&w.lock), 0);
    errno = error;
    return r;
}

static int on_sem(bough_time deadline)
{
    return bough_sem_acquire(&w.sem, deadline);
}

static int on_event(bough_time deadline)
{
    return bough_event_wait(&w.event, deadline);
}

static int on_full(bough_time deadline)
{
    return bough_queue_put(w.full, &w, deadline);
}

static int on_empty(bough_time deadline)
{
    void *item;
    return bough_queue_get(w.empty, &item, deadline);
}

static int on_futex(bough_time deadline)
{
    return bough_futex_wait(&w.word, 0, deadline);
}

static int on_read(bough_time deadline)
{
    char byte;
    size_t done;
    return bough_read_full(w.in, &byte, 1, &done, deadline);
}

static int on_write(bough_time deadline)
{
    size_t done;
    return bough_write_all(w.out, "x", 1, &done, deadline);
}

static int on_connect(bough_time deadline)
{
    return bough_connect_deadline(w.unix_socket, (const struct sockaddr *)&w.busy, w.busy_size, deadline);
}

static int on_post(bough_time deadline)
{
    return bough_post_wait(w.post, deadline);
}

static const struct {
    const char *name;
    int (*wait)(bough_time deadline);
} waits[] = {
    {"mutex", on_mutex},    {"cond", on_cond},       {"sem", on_sem},     {"event", on_event},
    {"queue_put", on_full}, {"queue_get", on_empty}, {"futex", on_futex}, {"read", on_read},
    {"write", on_write},    {"connect", on_connect}, {"post", on_post},
};
enum { WAITS = sizeof waits / sizeof *waits };

static void fill_pipes(void)
{
    int in[2], out[2];
    CHECK_EQ(pipe2(in, O_CLOEXEC), 0);
    CHECK_EQ(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
    while (write(out[1], "y", 1) == 1)
        continue;
    CHECK_EQ(fcntl(out[1], F_SETFL, 0), 0);
    w.in = in[0];
    w.out = out[1];
    t_expect_descriptors(4);
}

/* A backlog without room. */
static void fill_backlog(void)
{
    w.busy_size = sizeof w.busy;
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
        first = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    w.busy.sun_family = AF_UNIX;
    CHECK_EQ(bind(listener, (const struct sockaddr *)&w.busy, sizeof(sa_family_t)), 0);
    CHECK_EQ(getsockname(listener, (struct sockaddr *)&w.busy, &w.busy_size), 0);
    CHECK_EQ(listen(listener, 0), 0);
    CHECK_EQ(connect(first, (const struct sockaddr *)&w.busy, w.busy_size), 0);
    w.unix_socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    t_expect_descriptors(7);
}

/* The thread holds the mutex, and never reaches a point for its interrupt. */
static struct t_gate held, enough;
static bough_thread *holder;

static void *hold(void *unused)
{
    CHECK_EQ(bough_mutex_lock(&w.held, 0), 0);
    holder = bough_self();
    t_gate_open(&held);
    while (!__atomic_load_n(&enough.open, __ATOMIC_ACQUIRE)) /* a gate's limit is too short for all waits together */
        usleep(1000);
    CHECK_EQ(bough_mutex_unlock(&w.held), 0);
    return unused;
}

static void set_up(struct t_thread *thread)
{
    struct bough_event stop = {.kind = BOUGH_STOP};
    fill_pipes();
    fill_backlog();
    CHECK(w.full = bough_queue_new(1));
    CHECK(w.empty = bough_queue_new(1));
    CHECK_EQ(bough_queue_put(w.full, &w, 0), 0);
    t_spawn(thread, hold, NULL);
    t_gate_wait(&held);
    w.post = bough_post_event(holder, &stop);
    CHECK(w.post.record);
}

static void tear_down(struct t_thread *thread)
{
    t_gate_open(&enough);
    t_join(thread);
    bough_queue_free(w.full, NULL);
    bough_queue_free(w.empty, NULL);
}

TEST(a_deadline_below_0_has_passed)
{
    struct t_thread thread;
    set_up(&thread);
    for (int i = 0; i < WAITS; i++)
        for (int k = 0; k < PASSED; k++)
            if (errno = 0, waits[i].wait(passed[k]) != -1 || errno != ETIMEDOUT)
                FAIL("%s until %lld: errno %d", waits[i].name, (long long)passed[k], errno);
    tear_down(&thread);
}

struct waiter {
    int wait;
    bough_time deadline;
    pid_t tid;
    struct t_gate begins;
};

static int wait_for_good(void *waiter)
{
    struct waiter *me = waiter;
    me->tid = t_tid();
    t_gate_open(&me->begins);
    int r = waits[me->wait].wait(me->deadline);
    return r == 0 ? 0 : errno;
}

static void waits_until_it_is_interrupted(int wait, bough_time deadline)
{
    struct waiter waiter = {.wait = wait, .deadline = deadline};
    int result = 0;
    BOUGH_BRANCH(b, .supervisor = 1, .collect = 1) {
        bough_thread *child = bough_add(b, wait_for_good, bough_arg(&waiter));
        t_gate_wait(&waiter.begins);
        t_until_blocked(waiter.tid);
        bough_interrupt(child, "test");
        CHECK_EQ(bough_join(child), 0);
        CHECK(bough_outcome(child, &result) > 0);
    }
    if (result != ECANCELED)
        FAIL("%s until %lld: error %d", waits[wait].name, (long long)deadline, result);
}

TEST(a_deadline_of_int64_max_never_passes)
{
    struct t_thread thread;
    set_up(&thread);
    for (int i = 0; i < WAITS; i++)
        for (int k = 0; k < NEVER; k++)
            waits_until_it_is_interrupted(i, never[k]);
    tear_down(&thread);
}

/* ---- spans of time ----------------------------------------------------------------------------------------------- */

static const int64_t negative[] = {INT64_MIN, -1};

TEST(a_negative_span_is_refused)
{
    struct bough_region region;
    for (int i = 0; i < 2; i++) {
        int64_t t = negative[i];
        CHECK_ERR(bough_critical_begin(&region, t, __FILE__, __LINE__), EINVAL);
        CHECK_ERR(bough_cleanup_begin(&region, t, __FILE__, __LINE__), EINVAL);
        CHECK_ERR(bough_branch_open(&(struct bough_branch_options){.timeout = t}), EINVAL);
        CHECK_ERR(bough_branch_open(&(struct bough_branch_options){.deadline = t}), EINVAL);
        CHECK_ERR(bough_set_deadline(bough_root(), t), EINVAL);
        CHECK_ERR(bough_foreign_set(&(struct bough_foreign){.grace = t}), EINVAL);
        CHECK_ERR(bough_ladder_set(NULL, &(struct bough_ladder){.grace = t}), EINVAL);
        CHECK_ERR(bough_ladder_set(NULL, &(struct bough_ladder){.cap = t}), EINVAL);
        CHECK_ERR(bough_ladder_set(NULL, &(struct bough_ladder){.time = {0, t}}), EINVAL);
    }
    CHECK_ERR(bough_ladder_set(NULL, &(struct bough_ladder){.grace = INT64_MAX}), EINVAL);
    CHECK_ERR(bough_ladder_set(NULL, &(struct bough_ladder){.cap = INT64_MAX}), EINVAL);
    CHECK_ERR(bough_ladder_set(NULL, &(struct bough_ladder){.time = {0, INT64_MAX}}), EINVAL);
}

static int in_regions_without_end(void *unused)
{
    struct bough_region critical, cleanup;
    (void)unused;
    CHECK_EQ(bough_foreign_set(&(struct bough_foreign){.grace = INT64_MAX}), 0);
    CHECK_EQ(bough_critical_begin(&critical, INT64_MAX, __FILE__, __LINE__), 0);
    CHECK_EQ(bough_interrupt(bough_self(), "test"), 0);
    CHECK_EQ(bough_usleep(1), 0);
    CHECK_EQ(bough_region_end(&critical), 0);
    CHECK_ERR(bough_check(), ECANCELED);
    CHECK_EQ(bough_cleanup_begin(&cleanup, INT64_MAX, __FILE__, __LINE__), 0);
    CHECK_EQ(bough_usleep(50000), 0);
    CHECK_EQ(bough_region_end(&cleanup), 0);
    CHECK_ERR(bough_check(), ECANCELED);
    return 0;
}

/* Fixed bug: a cleanup region without a time limit was treated as one that had ended. The ticker woke the thread, which
 * found no record and began its call again, deeper on its stack: so the stack is small here. */
TEST(regions_may_have_no_time_limit)
{
    const struct bough_child_options small = {.stack = 128 * 1024, .fresh = 1};
    BOUGH_BRANCH(b)
        for (int i = 0; i < 10; i++)
            CHECK(bough_add_with(b, in_regions_without_end, bough_arg(NULL), T_ASAN || T_TSAN ? NULL : &small));
    CHECK_EQ(bough_last_result(), 0);
}

static void exit_with(void *grace)
{
    bough_exit(3, *(const int64_t *)grace);
}

TEST(bough_exit_accepts_any_grace)
{
    static int64_t grace[] = {INT64_MIN, -1, 0, 1, INT64_MAX};
    for (int i = 0; i < 5; i++)
        CHECK_EXITED(t_run_status(exit_with, &grace[i]), 3);
}

TEST(bough_after_does_not_overflow)
{
    CHECK_EQ(bough_after(INT64_MAX), INT64_MAX);
    CHECK_EQ(bough_after(INT64_MAX - 1), INT64_MAX);
    CHECK_EQ(bough_after(INT64_MIN), 1);
    CHECK_EQ(bough_after(-bough_now() - BOUGH_SEC(1)), 1);
    CHECK(bough_after(0) <= bough_now());
}

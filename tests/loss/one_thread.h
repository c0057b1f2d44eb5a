/* SPDX-License-Identifier: MIT */
/*
 * "Rain": one thread makes the same call again and again while interrupts are posted to it at random moments, a new one
 * as soon as the previous one was delivered. So every post must be delivered within seconds, and exactly once:
 *
 *     posts == cuts + seen by bough_check()      fewer: a wake-up was lost; more: a call was interrupted without a post
 *
 * Each test also counts what the calls have taken and given (rules 8, 9, 12).
 *
 * In the second half a timer's SA_RESTART handler also interrupts the thread repeatedly, 0.5 ms after its last end and
 * sometimes for long, and half of the posts come from a handler that has interrupted the thread (rule 5).
 */
#ifndef TEST_RAIN_H
#define TEST_RAIN_H

#include <bough.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include "harness.h"
#include "harness_internal.h"
#include "../sync/not_under.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static struct rain {
    /* Set by the test. */
    int (*turn)(uint64_t *random);    /* on the target: one call; below 0: it failed with errno */
    void (*feed)(uint64_t *random);   /* on a peer, repeatedly; does not block */
    void (*nested)(uint64_t *random); /* in the timer's handler, while the target is in the call; may be NULL */
    bool dry;                         /* the program has no handlers */
    long count;                       /* interrupts; 0: t_loss() */
    /* Set by this header. */
    struct t_thread target, peer;
    struct t_gate known;
    bough_thread *self;
    _Atomic bool over, ended;
    _Atomic int64_t posted_at;
    _Atomic uint32_t posts, met;
    _Atomic long cuts, checks, done, ticks, asked;
    int64_t worst;
} rain;

/* The target makes its call by bough's function or, if built with -DINTERPOSED, by libc's, like a library that was not
 * written for bough (rule 22). */
#ifdef INTERPOSED
#define CALL(name, ...)                           \
    __extension__({                               \
        __typeof__(bough_##name(__VA_ARGS__)) r_; \
        BOUGH_FOREIGN                             \
        {                                         \
            r_ = name(__VA_ARGS__);               \
        }                                         \
        r_;                                       \
    })
#else
#define CALL(name, ...) bough_##name(__VA_ARGS__)
#endif

/* ---- random moments ---------------------------------------------------------------------------------------------- */

static inline void rain_spin(int64_t ns)
{
    for (int64_t end = t_now() + ns; t_now() < end;) {
    }
}

static inline void rain_pause(uint64_t *random)
{
    uint64_t r = t_random(random), some = r >> 16;
    switch (r & 15) {
    case 0:
    case 1:
        return;
    case 2:
    case 3:
        sched_yield();
        return;
    case 4:
        nanosleep(&(struct timespec){0, (long)(some % 250000)}, NULL);
        return;
    case 5:
        rain_spin((int64_t)(some % 100000));
        return;
    default:
        rain_spin((int64_t)(some % 10000));
    }
}

/* In a library that was built with -Dhooks=true: delays in the race windows. */
extern void (*volatile bo_hook_call_entered)(void) __attribute__((weak));
extern void (*volatile bo_hook_call_left)(void) __attribute__((weak));
extern void (*volatile bo_hook_libc_entered)(void) __attribute__((weak));
extern void (*volatile bo_hook_post_sent)(void) __attribute__((weak));

static inline void rain_delay(void)
{
    static _Atomic uint64_t turn = 1;
    uint64_t random = ++turn * 0x9e3779b97f4a7c15u;
    if (t_random(&random) & 1)
        rain_spin((int64_t)(random >> 16) & 0x3fff);
}

static inline void rain_delays(void)
{
    if (!&bo_hook_call_entered)
        return;
    bo_hook_call_entered = bo_hook_call_left = bo_hook_libc_entered = bo_hook_post_sent = rain_delay;
    t_note("with delays in the race windows");
}

/* ---- the target -------------------------------------------------------------------------------------------------- */

#ifdef INTERPOSED
/* Foreign code gets EINTR, which a handler of the program may cause as well. The library reports the calls that it has
 * interrupted. */
static bool rain_reported;

static inline int rain_on_cut(void *unused, const struct bough_cut *cut)
{
    (void)unused, (void)cut;
    rain_reported = true;
    return 0;
}

static inline void rain_take_part(void)
{
    CHECK_EQ(bough_foreign_set(&(struct bough_foreign){.on_cut = rain_on_cut}), 0);
}

static inline bool rain_was_interrupt(void)
{
    bool interrupt = errno == ECANCELED || (errno == EINTR && rain_reported);
    rain_reported = false;
    return interrupt;
}
#else
static inline void rain_take_part(void)
{
}

static inline bool rain_was_interrupt(void)
{
    return errno == ECANCELED;
}
#endif

/* A call or bough_check() has failed: because of the current post, and no other. */
static inline void rain_meet(void)
{
    CHECK(rain_was_interrupt());
    if (rain.over)
        return;
    int64_t late = t_now() - rain.posted_at;
    if (late > rain.worst)
        rain.worst = late;
    CHECK_EQ(bough_clear(NULL), 1); /* 0: the call was interrupted without a post */
    rain.met++;
    syscall(SYS_futex, &rain.met, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static inline void *rain_target(void *argument)
{
    uint64_t random = t_seed() ^ 0x5555;
    rain.self = bough_self();
    rain_take_part();
    t_gate_open(&rain.known);
    while (!rain.over) {
        if (t_random(&random) % 16 == 0 && bough_check() != 0) {
            rain.checks++;
            rain_meet();
        }
        if (rain.turn(&random) >= 0) {
            rain.done++;
        } else {
            rain.cuts++;
            rain_meet();
        }
    }
    rain.ended = true;
    return argument;
}

/* Only the interrupt can end the call: during every second call the peer waits until the post was delivered. */
static inline bool rain_starves(void)
{
    uint32_t posts = rain.posts;
    return posts % 2 && rain.met != posts;
}

static inline void *rain_peer(void *argument)
{
    uint64_t random = t_seed() ^ 0xaaaa;
    while (!rain.over)
        if (rain_starves())
            sched_yield();
        else
            rain.feed(&random);
    return argument;
}

/* ---- handlers of the program that interrupt the target ----------------------------------------------------------- */

static timer_t rain_clock;
static _Atomic bool rain_ticks;

/* Sets the timer once. The handler sets it again at its end, so that a slow handler does not starve the thread. */
static inline void rain_set_clock(void)
{
    struct itimerspec soon = {{0, 0}, {0, 500000}};
    timer_settime(rain_clock, 0, &soon, NULL);
}

static inline void rain_tick(int signo)
{
    static uint64_t random = 99;
    int saved = errno;
    (void)signo;
    if (++rain.ticks % 8 == 0)
        rain_spin(30000);
    if (rain.nested)
        rain.nested(&random);
    if (rain_ticks)
        rain_set_clock();
    errno = saved;
}

/* Rule 5: a post to oneself, in a handler that has interrupted the thread's blocked call. */
static inline void rain_post_here(int signo)
{
    int saved = errno;
    (void)signo;
    CHECK_EQ(bough_interrupt(bough_self(), "by a handler in the call"), 0);
    rain.asked++;
    errno = saved;
}

static inline void rain_begin_ticks(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    event.sigev_notify_thread_id = rain.target.tid;
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = rain_tick, .sa_flags = SA_RESTART}, NULL);
    sigaction(SIGUSR2, &(struct sigaction){.sa_handler = rain_post_here, .sa_flags = SA_RESTART}, NULL);
    CHECK_EQ(timer_create(CLOCK_MONOTONIC, &event, &rain_clock), 0);
    rain_ticks = true;
    rain_set_clock();
}

static inline void rain_end_ticks(void)
{
    rain_ticks = false;
    CHECK_EQ(timer_delete(rain_clock), 0);
}

/* valgrind ignores the mask that a handler writes into the interrupted code, so the wake comes back repeatedly as long
 * as the handler runs. */
static inline bool under_valgrind(void)
{
    const char *preloaded = getenv("LD_PRELOAD");
    return preloaded && strstr(preloaded, "valgrind");
}

/* ThreadSanitizer delays a handler until the thread calls libc, which a blocked thread does not. */
static inline bool rain_has_handlers(void)
{
    return !rain.dry && !T_TSAN && !under_valgrind();
}

/* ---- the poster -------------------------------------------------------------------------------------------------- */

static inline int64_t rain_patience(void)
{
    return (int64_t)(5e9 * t_scale());
}

static inline void rain_stuck(uint32_t number)
{
    char text[4096];
    t_read_task(getpid(), rain.target.tid, "status", text, sizeof text);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (strncmp(line, "Sig", 3) == 0)
            t_note("target: %s", line);
    t_describe_threads(getpid());
    t_note("posts %u, delivered %u; %ld cuts, %ld checks, %ld done, %ld by handlers", number, rain.met, rain.cuts,
           rain.checks, rain.done, rain.asked);
    FAIL("interrupt %u is lost: not delivered in 5 s", number);
}

static inline void rain_await(uint32_t number)
{
    int64_t end = t_now() + rain_patience();
    for (uint32_t met; (met = rain.met) != number;) {
        if (t_now() > end)
            rain_stuck(number);
        syscall(SYS_futex, &rain.met, FUTEX_WAIT_PRIVATE, met, &(struct timespec){1, 0}, NULL, 0);
    }
}

static inline void rain_drop(uint32_t number, bool by_handler, bool waits_by_handle)
{
    rain.posted_at = t_now();
    rain.posts = number;
    if (by_handler) {
        CHECK_EQ(syscall(SYS_tgkill, getpid(), rain.target.tid, SIGUSR2), 0);
    } else {
        bough_post post = bough_post_event(rain.self, NULL);
        CHECK(post.record != 0);
        if (waits_by_handle && bough_post_wait(post, bough_after(rain_patience())) != 0)
            rain_stuck(number);
    }
    rain_await(number);
}

static inline void rain_shower(uint32_t from, uint32_t to, bool handlers, uint64_t *random)
{
    if (handlers)
        rain_begin_ticks();
    for (uint32_t i = from; i < to; i++) {
        rain_pause(random);
        uint64_t r = t_random(random);
        rain_drop(i + 1, handlers && (r & 16), r & 32);
    }
    if (handlers)
        rain_end_ticks();
}

static inline void rain_end(void)
{
    rain.over = true;
    t_until((bough_interrupt(rain.self, "the end"), rain.ended));
    t_join(&rain.target);
    if (rain.feed)
        t_join(&rain.peer);
}

/* Runs everything. Afterwards the test counts. */
static inline void rain_fall(void)
{
    uint64_t random = t_seed();
    uint32_t count = (uint32_t)(rain.count ? rain.count : t_loss()), half = rain_has_handlers() ? count / 2 : count;
    rain_delays();
#ifdef INTERPOSED
    CHECK(bough_interpose((const char *const[]){"", NULL}, 0) > 0);
#endif
    t_spawn(&rain.target, rain_target, NULL);
    t_gate_wait(&rain.known);
    if (rain.feed)
        t_spawn(&rain.peer, rain_peer, NULL);
    rain_shower(0, half, false, &random);
    if (half < count)
        rain_shower(half, count, true, &random);
    CHECK_EQ(rain.cuts + rain.checks, count);
    long cuts = rain.cuts, checks = rain.checks, done = rain.done;
    rain_end();
    t_note("%u posts (%ld by handlers in the call): %ld cuts, %ld seen by bough_check(); %ld calls done; "
           "%ld timer handlers; worst %.2f ms",
           count, (long)rain.asked, cuts, checks, done, (long)rain.ticks, (double)rain.worst / 1e6);
    if (half < count && count >= 1000)
        CHECK(rain.ticks > 0 && rain.asked > 0);
}

/* The test's count: how many items there were, and how often each was seen. */
static inline void rain_count(const char *what, long there, long seen)
{
    t_note("%s: %ld; lost %ld, doubled %ld", what, there, there > seen ? there - seen : 0,
           seen > there ? seen - there : 0);
    CHECK_EQ(seen, there);
}

#endif

/* SPDX-License-Identifier: MIT */
/* Rule 13: a wake signal goes only to a thread that is in an interruptible call or an asynchronous region; masks and
 * blocked signals do not keep the wake out; a thread that does not acknowledge it is diagnosed. */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>
#include "../sync/not_under.h"
#include "target.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* ---- foreign code ------------------------------------------------------------------------------------------------ */

struct foreign {
    bough_thread *self;
    struct t_gate known;
    uint32_t over;
    int blocked; /* block all signals after the adoption */
    int async;
    _Atomic long cut;
    long eintr;
};

static void foreign_calls(struct foreign *f, uint64_t *chance)
{
    struct pollfd none = {.fd = -1};
    struct timespec brief = {0, (long)(t_random(chance) % 60000)};
    if (t_random(chance) % 2)
        f->eintr += ppoll(&none, 1, &brief, NULL) < 0;
    else
        f->eintr += nanosleep(&brief, NULL) < 0;
}

static void enter_async(struct foreign *f, volatile uint64_t *chance)
{
    struct bough_async region;
    if (bough_async_begin(&region) == 0) {
        for (int64_t end = t_now() + (int64_t)(*chance % 30000); t_now() < end;)
            ;
        CHECK_EQ(bough_async_end(&region), 0);
    } else {
        f->cut++;
    }
}

static void *call_both(void *argument)
{
    struct foreign *f = argument;
    volatile uint64_t chance = t_seed() | 1;
    f->self = bough_self();
    if (f->blocked)
        block_all_signals();
    t_gate_open(&f->known);
    if (f->blocked)
        /* long enough to be noticed: from here on the thread is woken by the fallback signal */
        CHECK_ERR(bough_pause(), ECANCELED);
    while (!__atomic_load_n(&f->over, __ATOMIC_ACQUIRE)) {
        uint64_t next = chance;
        struct timespec brief = {0, (long)(t_random(&next) % 60000)};
        chance = next;
        if (f->async)
            enter_async(f, &chance);
        else if (bough_nanosleep(&brief, NULL) < 0)
            f->cut++;
        foreign_calls(f, &next);
        chance = next;
        bough_clear(NULL);
    }
    return NULL;
}

static void rain_on(struct foreign *f, int posts)
{
    struct t_thread thread;
    uint64_t chance = t_seed() | 3;
    t_spawn(&thread, call_both, f);
    t_gate_wait(&f->known);
    for (int i = 0; i < posts || (f->cut == 0 && !f->async); i++) {
        CHECK_EQ(bough_interrupt(f->self, NULL), 0);
        spin((int64_t)(t_random(&chance) % 60000));
    }
    __atomic_store_n(&f->over, 1, __ATOMIC_RELEASE);
    t_join(&thread);
    CHECK_EQ(f->eintr, 0);
}

TEST_LIMIT(foreign_calls_see_no_eintr, 60)
{
    struct foreign f = {0};
    rain_on(&f, 30000);
}

TEST_LIMIT(foreign_calls_of_a_thread_that_blocks_signals_see_no_eintr, 60)
{
    struct foreign f = {.blocked = 1};
    bough_set_report(keep_report);
    rain_on(&f, 30000);
}

TEST_LIMIT(foreign_calls_after_an_asynchronous_region_see_no_eintr, 60)
{
    struct foreign f = {.async = 1};
    rain_on(&f, 30000);
}

/* ---- masks ------------------------------------------------------------------------------------------------------- */

static int empty[2];
static sigset_t full;

static long in_ppoll(void)
{
    struct pollfd fd = {.fd = empty[0], .events = POLLIN};
    return bough_ppoll(&fd, 1, NULL, &full);
}
static long in_pselect(void)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(empty[0], &set);
    return bough_pselect(empty[0] + 1, &set, NULL, NULL, NULL, &full);
}
static long in_epoll_pwait(void)
{
    struct epoll_event event;
    int fd = epoll_create1(EPOLL_CLOEXEC);
    long r = bough_epoll_pwait(fd, &event, 1, -1, &full);
    int saved = errno;
    close(fd);
    errno = saved;
    return r;
}
static long in_sigsuspend(void)
{
    return bough_sigsuspend(&full);
}
static long in_sigwait(void)
{
    int signo;
    return (errno = bough_sigwait(&full, &signo)) ? -1 : 0;
}
static long in_sem_wait(void)
{
    sem_t sem;
    sem_init(&sem, 0, 0);
    return bough_sem_wait(&sem);
}
static long in_cond_wait(void)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
    pthread_mutex_lock(&mutex);
    errno = bough_pthread_cond_wait(&cond, &mutex);
    int saved = errno;
    pthread_mutex_unlock(&mutex);
    errno = saved;
    return saved ? -1 : 0;
}
static long in_read(void)
{
    char byte;
    return bough_read(empty[0], &byte, 1);
}
static long in_event(void)
{
    bough_event_flag event = BOUGH_EVENT_INIT;
    return bough_event_wait(&event, 0);
}

struct caller {
    struct t_thread thread;
    struct t_gate known, again, cut;
    bough_thread *self;
    long (*call)(void);
    int before, after; /* block all signals before or after the adoption */
    long result;
    int error;
};

static void *caller_main(void *argument)
{
    struct caller *c = argument;
    if (c->before)
        block_all_signals();
    c->self = bough_self();
    if (c->after)
        block_all_signals();
    for (int i = 0; i < 2; i++) {
        t_gate_open(&c->known);
        c->result = c->call();
        c->error = errno;
        CHECK_EQ(bough_clear(NULL), 1);
        t_gate_open(&c->cut);
        t_gate_wait(&c->again);
    }
    return NULL;
}

static void caller_is_cut(struct caller *c)
{
    t_gate_wait(&c->known);
    t_until_blocked(c->thread.tid);
    CHECK_EQ(bough_interrupt(c->self, "test"), 0);
    t_gate_wait(&c->cut);
    CHECK_EQ(c->result, -1);
    CHECK_EQ(c->error, ECANCELED);
}

static void call_is_cut_twice(struct caller *c)
{
    t_spawn(&c->thread, caller_main, c);
    caller_is_cut(c);
    c->known = c->cut = (struct t_gate){0};
    t_gate_open(&c->again);
    caller_is_cut(c);
    t_join(&c->thread);
}

static long (*const with_masks[])(void) = {in_ppoll, in_pselect, in_epoll_pwait, in_sigsuspend, in_sigwait};
static long (*const all_calls[])(void) = {in_ppoll, in_pselect,  in_epoll_pwait, in_sigsuspend, in_sigwait,
                                          in_read,  in_sem_wait, in_cond_wait,   in_event};

TEST(a_mask_that_blocks_everything_does_not_keep_the_wake_out)
{
    CHECK_EQ(pipe(empty), 0);
    sigfillset(&full);
    for (size_t i = 0; i < sizeof with_masks / sizeof *with_masks; i++) {
        struct caller c = {.call = with_masks[i]};
        call_is_cut_twice(&c);
    }
    close(empty[0]);
    close(empty[1]);
}

TEST(a_thread_that_blocked_all_signals_before_its_adoption_is_woken)
{
    CHECK_EQ(pipe(empty), 0);
    sigfillset(&full);
    bough_set_report(report_of_blocked_signals_fails);
    for (size_t i = 0; i < sizeof all_calls / sizeof *all_calls; i++) {
        struct caller c = {.call = all_calls[i], .before = 1};
        call_is_cut_twice(&c);
    }
    close(empty[0]);
    close(empty[1]);
}

/* The fallback signal wakes calls through the window and calls inside libc. */
TEST_LIMIT(a_thread_that_blocks_all_signals_is_woken, 60)
{
    CHECK_EQ(pipe(empty), 0);
    sigfillset(&full);
    bough_set_report(keep_report);
    for (size_t i = 0; i < sizeof all_calls / sizeof *all_calls; i++) {
        struct caller c = {.call = all_calls[i], .after = 1};
        call_is_cut_twice(&c);
    }
    t_until(reported("blocks signal"));
    close(empty[0]);
    close(empty[1]);
}

static _Atomic int ticks, last_tick;
static timer_t ticker;

/* Sets the timer once. The handler sets it again at its end, so that a slow handler does not starve the thread. */
static void set_ticker(void)
{
    struct itimerspec soon = {{0, 0}, {0, 500000}};
    timer_settime(ticker, 0, &soon, NULL);
}

static void poll_on_top(int signo)
{
    int saved = errno;
    (void)signo;
    ticks++;
    bough_ppoll(NULL, 0, &(struct timespec){0, 20000}, NULL);
    if (!last_tick)
        set_ticker();
    errno = saved;
}

static void *blocks_the_wake_under_a_timer(void *argument)
{
    struct target *t = argument;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    sigset_t wake;
    char byte;
    event.sigev_notify_thread_id = t_tid();
    t->self = bough_self();
    sigemptyset(&wake);
    sigaddset(&wake, SIGURG);
    pthread_sigmask(SIG_BLOCK, &wake, NULL);
    CHECK_EQ(timer_create(CLOCK_MONOTONIC, &event, &ticker), 0);
    set_ticker();
    t_gate_open(&t->known);
    CHECK_ERR(bough_read(t->pipe[0], &byte, 1), ECANCELED);
    last_tick = 1;
    timer_delete(ticker);
    return NULL;
}

/* Each nested call makes the library send the wake again, which must not reset the age of the wake that is under
 * way. */
TEST(a_thread_that_blocks_the_signal_is_woken_while_handlers_keep_running)
{
    struct target t = {0};
    if (T_TSAN || under_qemu())
        SKIP("handlers are delayed here, or starve the thread");
    CHECK_EQ(pipe(t.pipe), 0);
    bough_set_report(keep_report);
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = poll_on_top, .sa_flags = SA_RESTART}, NULL);
    t_spawn(&t.thread, blocks_the_wake_under_a_timer, &t);
    t_gate_wait(&t.known);
    int begun = ticks;
    t_until(ticks > begun + 20);
    CHECK_EQ(bough_interrupt(t.self, "test"), 0);
    t_join(&t.thread);
    close(t.pipe[0]);
    close(t.pipe[1]);
}

struct timed {
    struct target t;
    int64_t posted, answered;
    int over;
};

static void *blocks_and_times(void *argument)
{
    struct timed *d = argument;
    sigset_t now;
    d->t.self = bough_self();
    block_all_signals();
    while (!d->over) {
        char byte;
        t_gate_open(&d->t.known);
        CHECK_ERR(bough_read(d->t.pipe[0], &byte, 1), ECANCELED);
        d->answered = t_now() - __atomic_load_n(&d->posted, __ATOMIC_ACQUIRE);
        CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
        CHECK_EQ(sigismember(&now, SIGURG), 1); /* the thread's mask is unchanged */
        CHECK_EQ(bough_clear(NULL), 1);
        t_gate_open(&d->t.cut);
        t_gate_wait(&d->t.leave);
        d->t.leave = (struct t_gate){0};
    }
    return NULL;
}

/* The thread is woken after about 50 ms the first time, with a report, and at once from then on. */
TEST(a_thread_that_blocks_all_signals_is_woken_at_once_after_the_first_time)
{
    struct timed d = {0};
    bough_set_report(keep_report);
    CHECK_EQ(pipe(d.t.pipe), 0);
    t_spawn(&d.t.thread, blocks_and_times, &d);
    for (int i = 0; !d.over; i++) {
        t_gate_wait(&d.t.known);
        t_until_blocked(d.t.thread.tid);
        __atomic_store_n(&d.posted, t_now(), __ATOMIC_RELEASE);
        CHECK_EQ(bough_interrupt(d.t.self, NULL), 0);
        t_gate_wait(&d.t.cut);
        CHECK(i > 0 || d.answered >= ms(45));
        /* A later wake may also take that long, if the thread gets no processor, but not each time. */
        d.over = i > 0 && (d.answered < ms(45) || (i == 2 && t_scale() > 1));
        d.t.cut = d.t.known = (struct t_gate){0};
        t_gate_open(&d.t.leave);
    }
    t_join(&d.t.thread);
    t_until(reported("blocks signal 23"));
    CHECK_EQ(times_reported("blocks signal"), 1);
    close(d.t.pipe[0]);
    close(d.t.pipe[1]);
}

/* SPDX-License-Identifier: MIT */
/* Rule 3: an interrupted call fails with ECANCELED, never with EINTR. */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include "target.h"

/* Calls that the kernel ends with EINTR even with SA_RESTART, and calls that it restarts. */
static int empty[2];
static long by_read(void)
{
    char c;
    return bough_read(empty[0], &c, 1);
}
static long by_poll(void)
{
    return bough_poll(NULL, 0, -1);
}
static long by_timed_poll(void)
{
    return bough_poll(NULL, 0, 100000);
}
static long by_select(void)
{
    return bough_select(0, NULL, NULL, NULL, NULL);
}
static long by_nanosleep(void)
{
    return bough_nanosleep(&(struct timespec){100, 0}, NULL);
}
static long by_pause(void)
{
    return bough_pause();
}
static long by_sem(void)
{
    bough_sem s = BOUGH_SEM_INIT(0);
    return bough_sem_acquire(&s, 0);
}
static long by_timed_sem(void)
{
    bough_sem s = BOUGH_SEM_INIT(0);
    return bough_sem_acquire(&s, bough_after(BOUGH_SEC(100)));
}
static long by_posix_sem(void)
{
    sem_t s;
    sem_init(&s, 0, 0);
    return bough_sem_wait(&s);
}
static long by_wait(void)
{
    return bough_futex_wait(&(uint32_t){0}, 0, 0);
}
static long by_sigsuspend(void)
{
    sigset_t none;
    sigemptyset(&none);
    return bough_sigsuspend(&none);
}
static long by_epoll(void)
{
    struct epoll_event event;
    int fd = epoll_create1(EPOLL_CLOEXEC);
    long r = bough_epoll_wait(fd, &event, 1, -1);
    int saved = errno;
    close(fd);
    errno = saved;
    return r;
}

static long (*const calls[])(void) = {by_read, by_poll,      by_timed_poll, by_select, by_nanosleep,  by_pause,
                                      by_sem,  by_timed_sem, by_posix_sem,  by_wait,   by_sigsuspend, by_epoll};
enum { CALLS = sizeof calls / sizeof *calls };

struct one {
    struct t_thread thread;
    struct t_gate known;
    bough_thread *self;
    long (*call)(void);
    long result;
    int error;
};

static void *one_main(void *argument)
{
    struct one *one = argument;
    one->self = bough_self();
    t_gate_open(&one->known);
    one->result = one->call();
    one->error = errno;
    return NULL;
}

static void start(struct one *one, long (*call)(void))
{
    *one = (struct one){.call = call};
    t_spawn(&one->thread, one_main, one);
    t_gate_wait(&one->known);
    t_until_blocked(one->thread.tid);
}

TEST(a_blocked_call_fails_with_ecanceled)
{
    CHECK_EQ(pipe(empty), 0);
    for (int i = 0; i < CALLS; i++) {
        struct one one;
        start(&one, calls[i]);
        CHECK_EQ(bough_interrupt(one.self, "test"), 0);
        t_join(&one.thread);
        CHECK_EQ(one.result, -1);
        CHECK_EQ(one.error, ECANCELED);
    }
    close(empty[0]);
    close(empty[1]);
}

static void nothing(int signo)
{
    (void)signo;
}

/* POSIX requires EINTR for a signal of the program. */
TEST(a_handler_of_the_program_ends_a_call_with_eintr)
{
    NEED_HANDLERS_ON_TOP();
    CHECK_EQ(pipe(empty), 0);
    catch_signal(SIGUSR1, nothing, 0, 0);
    for (int i = 0; i < CALLS; i++) {
        struct one one;
        if (calls[i] == by_sem || calls[i] == by_timed_sem)
            continue; /* never fails with EINTR */
        start(&one, calls[i]);
        pthread_kill(one.thread.handle, SIGUSR1);
        t_join(&one.thread);
        CHECK_EQ(one.result, -1);
        CHECK_EQ(one.error, EINTR);
    }
    close(empty[0]);
    close(empty[1]);
}

static volatile bough_target handler_posts_to;

static void post_in_handler(int signo)
{
    (void)signo;
    bough_interrupt(handler_posts_to, "from a handler");
}

TEST(a_handler_that_posts_to_its_own_thread_ends_a_call_with_ecanceled)
{
    NEED_HANDLERS_ON_TOP();
    CHECK_EQ(pipe(empty), 0);
    for (int flags = 0; flags < 2; flags++) {
        catch_signal(SIGUSR1, post_in_handler, flags ? SA_RESTART : 0, 0);
        for (int i = 0; i < CALLS; i++) {
            struct one one;
            start(&one, calls[i]);
            handler_posts_to = one.self;
            pthread_kill(one.thread.handle, SIGUSR1);
            t_join(&one.thread);
            CHECK_EQ(one.result, -1);
            CHECK_EQ(one.error, ECANCELED);
        }
    }
    close(empty[0]);
    close(empty[1]);
}

/* ---- a storm of posts that are cleared again: not one EINTR ------------------------------------------------------ */

struct storm {
    bough_thread *self;
    struct t_gate known;
    uint32_t over;
    long cut;
};

static void *weather(void *argument)
{
    struct storm *s = argument;
    uint64_t chance = t_seed() | 1;
    s->self = bough_self();
    t_gate_open(&s->known);
    while (!__atomic_load_n(&s->over, __ATOMIC_ACQUIRE)) {
        struct timespec brief = {0, (long)(t_random(&chance) % 100000)};
        struct pollfd fd = {.fd = empty[0], .events = POLLIN};
        long r = t_random(&chance) % 2 ? bough_nanosleep(&brief, NULL) : bough_ppoll(&fd, 1, &brief, NULL);
        if (r < 0) {
            CHECK_EQ(errno, ECANCELED);
            __atomic_add_fetch(&s->cut, 1, __ATOMIC_RELAXED);
            bough_clear(NULL);
        }
    }
    return NULL;
}

TEST_LIMIT(no_eintr_in_a_storm_of_posts, 60)
{
    struct storm s = {0};
    struct t_thread thread;
    CHECK_EQ(pipe(empty), 0);
    t_spawn(&thread, weather, &s);
    t_gate_wait(&s.known);
    uint64_t chance = t_seed() | 3;
    for (int i = 0; i < 20000 || __atomic_load_n(&s.cut, __ATOMIC_RELAXED) <= 100; i++) {
        CHECK_EQ(bough_interrupt(s.self, NULL), 0);
        spin((int64_t)(t_random(&chance) % 20000));
    }
    __atomic_store_n(&s.over, 1, __ATOMIC_RELEASE);
    t_join(&thread);
    close(empty[0]);
    close(empty[1]);
}

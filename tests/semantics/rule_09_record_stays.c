/* SPDX-License-Identifier: MIT */
/* Rule 9, the record: a call that succeeds delivers nothing, and the interrupt stays pending for the next point. */
#include "target.h"

#include <semaphore.h>

/* A handler that has interrupted the call makes the call's condition true and posts: the call then finds both. */
static struct wins {
    sem_t posix_sem;
    bough_sem bough_sem;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct t_thread joined;
    struct t_gate end;
    bough_thread *self;
    bough_post post;
    int (*call)(void);
    int result;
} wins;

static int by_posix_sem(void)
{
    return bough_sem_wait(&wins.posix_sem);
}

static int by_bough_sem(void)
{
    return bough_sem_acquire(&wins.bough_sem, 0);
}

static int by_join(void)
{
    return bough_pthread_join(wins.joined.handle, NULL);
}

static int by_cond(void)
{
    CHECK_EQ(pthread_mutex_lock(&wins.mutex), 0);
    int error = bough_pthread_cond_wait(&wins.cond, &wins.mutex);
    CHECK_EQ(pthread_mutex_unlock(&wins.mutex), 0);
    return error;
}

static void post_here(void)
{
    wins.post = bough_post_event(wins.self, NULL);
    CHECK(wins.post.record);
}

static void give_tokens(int signo)
{
    (void)signo;
    CHECK_EQ(sem_post(&wins.posix_sem), 0);
    CHECK_EQ(bough_sem_release(&wins.bough_sem), 0);
    post_here();
}

/* The kernel clears the ended thread's id, which is what the join waits for. */
static void let_it_end(int signo)
{
    char path[64];
    (void)signo;
    snprintf(path, sizeof path, "/proc/self/task/%d", (int)wins.joined.tid);
    t_gate_open(&wins.end);
    t_until(access(path, F_OK) != 0);
    post_here();
}

static void *wait_for_end(void *unused)
{
    t_gate_wait(&wins.end);
    return unused;
}

static void *win(void *unused)
{
    __atomic_store_n(&wins.self, bough_self(), __ATOMIC_RELEASE);
    wins.result = wins.call();
    CHECK_EQ(bough_post_status(wins.post), BOUGH_POST_PENDING);
    CHECK_ERR(bough_check(), ECANCELED);
    CHECK_EQ(bough_post_status(wins.post), BOUGH_POST_DELIVERED);
    CHECK_EQ(bough_clear(NULL), 1);
    return unused;
}

static void start_to_win(struct t_thread *thread, int (*call)(void))
{
    wins.call = call;
    t_spawn(thread, win, NULL);
    t_until(__atomic_load_n(&wins.self, __ATOMIC_ACQUIRE));
    t_until_blocked(thread->tid);
}

static void wins_on_top(int (*call)(void), void (*handler)(int))
{
    struct t_thread thread;
    NEED_HANDLERS_ON_TOP();
    catch_signal(SIGUSR1, handler, 0, 0);
    start_to_win(&thread, call);
    CHECK_EQ(pthread_kill(thread.handle, SIGUSR1), 0);
    t_join(&thread);
    CHECK_EQ(wins.result, 0);
}

TEST(a_token_wins_and_delivers_nothing)
{
    sem_init(&wins.posix_sem, 0, 0);
    wins_on_top(by_posix_sem, give_tokens);
}

TEST(a_token_of_a_bough_sem_wins_and_delivers_nothing)
{
    sem_init(&wins.posix_sem, 0, 0);
    wins_on_top(by_bough_sem, give_tokens);
}

TEST(the_end_of_a_joined_thread_wins_and_delivers_nothing)
{
    t_spawn(&wins.joined, wait_for_end, NULL);
    wins_on_top(by_join, let_it_end);
}

TEST(a_condition_wins_and_delivers_nothing)
{
    struct t_thread thread;
    wins.mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    wins.cond = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    start_to_win(&thread, by_cond);
    CHECK_EQ(pthread_mutex_lock(&wins.mutex), 0);
    CHECK_EQ(pthread_cond_signal(&wins.cond), 0);
    t_until_blocked(thread.tid); /* now it waits for the mutex */
    post_here();
    CHECK_EQ(pthread_mutex_unlock(&wins.mutex), 0);
    t_join(&thread);
    CHECK_EQ(wins.result, 0);
}

/* SPDX-License-Identifier: MIT */
#include "worker.h"
#include <signal.h>

static int acquire(void *sem)
{
    return bough_sem_acquire(sem, 0);
}

TEST(acquire_and_release_count)
{
    bough_sem sem = BOUGH_SEM_INIT(2);
    CHECK_EQ(bough_sem_try(&sem), 0);
    CHECK_EQ(bough_sem_acquire(&sem, 0), 0);
    CHECK_ERR(bough_sem_try(&sem), EAGAIN);
    CHECK_EQ(bough_sem_release(&sem), 0);
    CHECK_EQ(bough_sem_try(&sem), 0);
}

TEST(zero_bytes_are_a_semaphore)
{
    bough_sem sem = {0};
    CHECK_ERR(bough_sem_try(&sem), EAGAIN);
    CHECK_EQ(bough_sem_release(&sem), 0);
    CHECK_EQ(bough_sem_acquire(&sem, 0), 0);
}

TEST(overflow_is_refused)
{
    bough_sem sem = BOUGH_SEM_INIT(UINT32_MAX);
    CHECK_ERR(bough_sem_release(&sem), EOVERFLOW);
    CHECK_EQ(bough_sem_try(&sem), 0);
    CHECK_EQ(bough_sem_release(&sem), 0);
}

TEST(a_wait_ends_at_its_deadline)
{
    bough_sem sem = {0};
    CHECK_ENDS_AT_DEADLINE(bough_sem_acquire(&sem, deadline));
    CHECK_ERR(bough_sem_acquire(&sem, 1), ETIMEDOUT);
    CHECK_ERR(bough_sem_acquire(&sem, -1), ETIMEDOUT);
}

TEST(a_passed_deadline_does_not_matter_if_there_is_no_wait)
{
    bough_sem sem = BOUGH_SEM_INIT(1);
    CHECK_EQ(bough_sem_acquire(&sem, 1), 0);
}

TEST(release_wakes_one)
{
    bough_sem sem = {0};
    struct worker first, second;
    w_start_blocked(&first, acquire, &sem);
    w_start_blocked(&second, acquire, &sem);
    bough_sem_release(&sem);
    t_until(__atomic_load_n(&sem.state, __ATOMIC_RELAXED) >> 32 ==
            1); /* one of the two has left the count of waiters */
    CHECK_ERR(bough_sem_try(&sem), EAGAIN);
    bough_sem_release(&sem);
    CHECK_EQ(w_end(&first), 0);
    CHECK_EQ(w_end(&second), 0);
    CHECK_EQ(sem.state, 0);
}

TEST(a_waiter_is_interrupted)
{
    bough_sem sem = {0};
    struct worker w;
    w_start_blocked(&w, acquire, &sem);
    w_end_cut(&w);
    CHECK_EQ(sem.state, 0); /* a release sees no waiter */
    bough_sem_release(&sem);
    CHECK_EQ(bough_sem_try(&sem), 0);
}

TEST(acquire_is_a_point_without_a_wait)
{
    bough_sem sem = BOUGH_SEM_INIT(1);
    bough_interrupt(bough_self(), "test");
    CHECK_ERR(bough_sem_acquire(&sem, 0), ECANCELED);
    CHECK_ERR(bough_sem_acquire(&sem, 0), ECANCELED);
    CHECK_EQ(bough_sem_try(&sem), 0); /* no token was taken; and bough_sem_try() is no point */
    CHECK_EQ(bough_sem_release(&sem), 0);
    bough_clear(NULL);
    CHECK_EQ(bough_sem_acquire(&sem, 0), 0);
}

TEST(a_critical_section_protects_a_wait)
{
    bough_sem sem = BOUGH_SEM_INIT(1);
    bough_interrupt(bough_self(), "test");
    BOUGH_CRITICAL(BOUGH_SEC(5)) {
        CHECK_EQ(bough_sem_acquire(&sem, 0), 0);
    }
    bough_clear(NULL);
}

/* bough does not know the thread before its call. */
static void *stranger(void *sem)
{
    int result = bough_sem_acquire(sem, 0);
    return (void *)(intptr_t)(result == -1 ? errno : 0);
}

TEST(an_unknown_thread_is_adopted_and_interrupted)
{
    bough_sem sem = {0};
    struct t_thread thread;
    t_spawn(&thread, stranger, &sem);
    t_until(__atomic_load_n(&sem.state, __ATOMIC_RELAXED) >> 32 == 1); /* before that it may wait for the ticker */
    t_until_blocked(thread.tid);
    CHECK_EQ(bough_interrupt_all("test"), 1);
    CHECK_EQ(t_join(&thread), (void *)(intptr_t)ECANCELED);
}

static bough_sem in_handler;
static volatile sig_atomic_t handled;

static void release_here(int signo)
{
    (void)signo;
    bough_sem_release(&in_handler);
    handled++;
}

static void just_count(int signo)
{
    (void)signo;
    handled++;
}

TEST(a_handler_may_release)
{
    struct worker w;
    needs_handlers_in_calls();
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = release_here}, NULL);
    w_start_blocked(&w, acquire, &in_handler);
    pthread_kill(w.thread.handle, SIGUSR1); /* the handler interrupts the wait that it ends */
    CHECK_EQ(w_end(&w), 0);
    CHECK_EQ(handled, 1);
}

TEST(handlers_do_not_end_a_wait)
{
    bough_sem sem = {0};
    struct worker w;
    needs_handlers_in_calls();
    for (int restart = 0; restart < 2; restart++) {
        sigaction(SIGUSR1, &(struct sigaction){.sa_handler = just_count, .sa_flags = restart ? SA_RESTART : 0}, NULL);
        handled = 0;
        w_start_blocked(&w, acquire, &sem);
        for (int i = 1; i <= 20; i++) {
            pthread_kill(w.thread.handle, SIGUSR1);
            t_until(handled == i);
        }
        bough_sem_release(&sem);
        CHECK_EQ(w_end(&w), 0);
    }
}

/* A release must not touch a semaphore that its acquirer has freed: for the address sanitizer, and for
 * malloc's own checks. */
static int acquire_and_free(void *sem)
{
    int result = bough_sem_acquire(sem, 0);
    memset(sem, 0xee, sizeof(bough_sem));
    free(sem);
    return result;
}

TEST(the_acquirer_may_free_the_semaphore)
{
    for (int i = 0; i < 500; i++) {
        bough_sem *sem = calloc(1, sizeof *sem);
        struct worker w;
        w_start(&w, acquire_and_free, sem);
        bough_sem_release(sem);
        CHECK_EQ(w_end(&w), 0);
    }
}

TEST(a_forked_child_can_use_it)
{
    needs_threads_after_fork();
    bough_sem sem = {0};
    struct worker w;
    w_start_blocked(&w, acquire, &sem);
    pid_t pid = fork();
    if (pid == 0) { /* the waiter is counted here too, but does not exist in this process */
        bough_sem_release(&sem);
        _exit(bough_sem_acquire(&sem, bough_after(BOUGH_SEC(5))) != 0);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EXITED(status, 0);
    w_end_cut(&w);
}

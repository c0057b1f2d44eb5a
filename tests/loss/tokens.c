/* SPDX-License-Identifier: MIT */
/* Children reaped, and tokens of POSIX semaphores and of eventfds: each exactly once (rules 9, 12). */
#include "one_thread.h"
#include <fcntl.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

/* The number made by the peer and the number taken by the target; only a few wait to be taken. */
static _Atomic long made, taken;
enum { FEW = 8 };

static bool enough(uint64_t *random)
{
    rain_pause(random);
    return made - taken >= FEW;
}

/* ---- children ---------------------------------------------------------------------------------------------------- */

/* The child's exit status holds the low bits of its number. */
static void feed_child(uint64_t *random)
{
    if (enough(random))
        return;
    int number = (int)(made & 127);
    pid_t pid = fork();
    if (pid == 0)
        _exit(number);
    CHECK(pid > 0);
    made++;
}

static void reaped(pid_t pid, int status)
{
    static pid_t last;
    CHECK(WIFEXITED(status));
    CHECK(pid > 0 && pid != last);
    last = pid;
    taken++;
}

static int turn_waitpid(uint64_t *random)
{
    int status = -1;
    (void)random;
    pid_t pid = CALL(waitpid, -1, &status, 0);
    if (pid < 0 && errno == ECHILD)
        return sched_yield();
    if (pid < 0)
        return -1;
    reaped(pid, status);
    return 0;
}

static int turn_waitid(uint64_t *random)
{
    siginfo_t info = {0};
    (void)random;
    int r = CALL(waitid, P_ALL, 0, &info, WEXITED);
    if (r < 0 && errno == ECHILD)
        return sched_yield();
    if (r < 0)
        return -1;
    reaped(info.si_pid, info.si_status << 8);
    return 0;
}

/* One child runs all the time, so that there is always one to wait for. */
static void reap_under_rain(int (*turn)(uint64_t *))
{
    int gate[2], status;
    CHECK_EQ(pipe(gate), 0);
    pid_t keeper = fork();
    if (keeper == 0) {
        char c;
        close(gate[1]);
        _exit(read(gate[0], &c, 1) != 0);
    }
    rain.turn = turn;
    rain.feed = feed_child;
    rain_fall();
    close(gate[0]);
    close(gate[1]);
    for (pid_t pid; (pid = waitpid(-1, &status, 0)) > 0;)
        if (pid != keeper)
            reaped(pid, status);
    rain_count("children", made, taken);
}

TEST_LIMIT(waitpid_loses_no_child, 1000)
{
    reap_under_rain(turn_waitpid);
}

TEST_LIMIT(waitid_loses_no_child, 1000)
{
    reap_under_rain(turn_waitid);
}

/* ---- semaphores: a wait inside libc ------------------------------------------------------------------------------ */

static sem_t semaphore;

static void feed_semaphore(uint64_t *random)
{
    if (enough(random))
        return;
    CHECK_EQ(sem_post(&semaphore), 0);
    made++;
}

static int turn_sem_wait(uint64_t *random)
{
    (void)random;
    if (CALL(sem_wait, &semaphore) != 0)
        return -1;
    taken++;
    return 0;
}

/* A handler of the program ends the wait with EINTR, as POSIX requires; no token is lost by that. */
static int turn_sem_timedwait(uint64_t *random)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_nsec += (long)(t_random(random) % 400000);
    deadline.tv_sec += deadline.tv_nsec / 1000000000 + (t_random(random) & 1);
    deadline.tv_nsec %= 1000000000;
    if (CALL(sem_timedwait, &semaphore, &deadline) == 0) {
        taken++;
        return 0;
    }
    return errno == ETIMEDOUT || (errno == EINTR && rain.ticks > 0) ? 0 : -1;
}

static void take_under_rain(int (*turn)(uint64_t *))
{
    int left;
    CHECK_EQ(sem_init(&semaphore, 0, 0), 0);
    rain.turn = turn;
    rain.feed = feed_semaphore;
    rain_fall();
    CHECK_EQ(sem_getvalue(&semaphore, &left), 0);
    rain_count("tokens", made, taken + left);
}

TEST_LIMIT(sem_wait_loses_no_token, 1000)
{
    take_under_rain(turn_sem_wait);
}

TEST_LIMIT(sem_timedwait_loses_no_token, 1000)
{
    take_under_rain(turn_sem_timedwait);
}

/* ---- eventfds ---------------------------------------------------------------------------------------------------- */

static int event;

static void feed_event(uint64_t *random)
{
    if (enough(random))
        return;
    CHECK_EQ(write(event, &(uint64_t){1}, 8), 8);
    made++;
}

static int turn_event(uint64_t *random)
{
    uint64_t count = 0;
    (void)random;
    if (CALL(read, event, &count, sizeof count) != sizeof count)
        return -1;
    taken += (long)count;
    return 0;
}

static void read_events_under_rain(int flags)
{
    uint64_t count;
    event = eventfd(0, flags);
    rain.turn = turn_event;
    rain.feed = feed_event;
    rain_fall();
    fcntl(event, F_SETFL, O_NONBLOCK);
    while (read(event, &count, sizeof count) == sizeof count)
        taken += (long)count;
    close(event);
    rain_count("tokens", made, taken);
}

TEST_LIMIT(eventfd_loses_no_token, 1000)
{
    read_events_under_rain(EFD_SEMAPHORE);
}

TEST_LIMIT(eventfd_loses_no_count, 1000)
{
    read_events_under_rain(0);
}

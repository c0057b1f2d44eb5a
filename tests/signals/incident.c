/* SPDX-License-Identifier: MIT */
/* Rules 32 and 34: the signals that form one event, and one incident; the rungs that a second and a third event
 * reach. */
#include "program.h"

static unsigned count_of_record(void)
{
    struct bough_record record;
    CHECK_EQ(bough_reason(&record), 0);
    CHECK_EQ(record.kind, BOUGH_SIGNAL);
    return record.count;
}

static void repeats(void *unused)
{
    (void)unused;
    bough_signals(0);
    int64_t begun = t_now();
    for (int i = 0; i < 20; i++)
        raise(i % 2 ? SIGTERM : SIGINT);
    if (t_now() - begun >= BOUGH_MS(250))
        _exit(P_TOO_SLOW);
    CHECK_EQ(count_of_record(), 1);
}

TEST(repeats_are_one_event)
{
    CHECK_KILLED(p_run_in_time(repeats), SIGINT);
}

/* Without handlers the second event begins the exit; main's return begins it, too. */
static void second(void *unused)
{
    (void)unused;
    struct bough_record record;
    bough_signals(0);
    raise(SIGINT);
    p_next_event();
    raise(SIGTERM);
    CHECK_EQ(count_of_record(), 2);
    CHECK_EQ(bough_reason(&record), 0);
    CHECK_EQ(record.signo, SIGINT);
    CHECK_STR(record.reason, "SIGINT");
}

TEST(int_and_term_are_one_incident)
{
    CHECK_KILLED(t_run_status(second, NULL), SIGINT);
}

/* Gives the exit a long time, so that the third event comes before that is over, even on a busy machine. */
static void have_long_exit(void)
{
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &(struct bough_ladder){.grace = BOUGH_SEC(300)}), 0);
}

/* A key that is pressed five times a second must not count as one event indefinitely. */
static void hammers(void *unused)
{
    (void)unused;
    have_long_exit();
    bough_signals(0);
    for (int i = 0; i < 50; i++) {
        raise(SIGINT);
        nanosleep(&(struct timespec){0, 100000000}, NULL);
    }
    CHECK(!"a process that gets many signals ends");
}

TEST(a_key_that_is_pressed_repeatedly_is_more_than_one_event)
{
    int64_t begun = t_now();
    CHECK_KILLED(t_run_status(hammers, NULL), SIGKILL);
    CHECK(t_now() - begun > 490000000);
}

/* Sends all three events, and repeats the last one: on a busy machine two may arrive so late that they count as one. */
static void send_until_it_ends(pid_t pid)
{
    for (int i = 0; getppid() == pid; i += i < 2) {
        kill(pid, p_signals[i]);
        p_next_event();
    }
    _exit(0);
}

/* The thread is in a critical section, so only the kill can end it. */
static void third(void *flags)
{
    have_long_exit();
    CHECK_EQ(bough_signals((unsigned)(uintptr_t)flags), 3);
    pid_t pid = getpid();
    if (fork() == 0)
        send_until_it_ends(pid);
    BOUGH_CRITICAL(BOUGH_SEC(60)) {
        while (bough_usleep(500000) == 0 || errno == EINTR) /* a handler ends a sleep */
            continue;
    }
}

TEST(the_third_event_kills)
{
    CHECK_KILLED(t_run_status(third, NULL), SIGKILL);
    CHECK_KILLED(t_run_status(third, (void *)BOUGH_SIGNALS_WAIT), SIGKILL);
}

/* A handler may run during the end of the process, and must not make it hang. */
static void never_returns(void)
{
    for (;;)
        pause();
}

static void *more(void *unused)
{
    (void)unused;
    t_until_blocked(getpid());
    do
        p_next_event();
    while (kill(getpid(), SIGTERM) == 0);
    return NULL;
}

static void hangs_in_exit(void *unused)
{
    (void)unused;
    struct t_thread thread;
    have_long_exit();
    bough_signals(0);
    atexit(never_returns);
    raise(SIGINT);
    t_spawn(&thread, more, NULL);
}

TEST(the_third_event_ends_an_exit_that_hangs)
{
    CHECK_KILLED(t_run_status(hangs_in_exit, NULL), SIGKILL);
}

/* ---- handled ----------------------------------------------------------------------------------------------------- */

static void handled(void *unused)
{
    (void)unused;
    bough_signals(0);
    for (int i = 0; i < 5; i++) {
        raise(SIGINT);
        CHECK_ERR(bough_check(), ECANCELED);
        CHECK_EQ(bough_clear(BOUGH_ROOT), 1);
        CHECK_EQ(bough_check(), 0);
    }
}

TEST(after_a_handled_event_the_exit_is_ordinary_and_counting_starts_again)
{
    CHECK_EXITED(t_run_status(handled, NULL), 0);
}

static void handled_then_not(void *flags)
{
    handled(NULL);
    raise(SIGTERM);
    p_until_stopped();
    CHECK_EQ(count_of_record(), 1);
    (void)flags;
}

TEST(a_handled_event_does_not_count_for_the_next_incident)
{
    CHECK_KILLED(t_run_status(handled_then_not, NULL), SIGTERM);
}

/* After two events were cleared, two more count as the first and the second. */
static void counts_again(void *unused)
{
    (void)unused;
    bough_signals(0);
    for (int round = 0; round < 2; round++) {
        raise(SIGINT);
        p_next_event();
        raise(SIGINT);
        CHECK_EQ(count_of_record(), 2);
        CHECK(bough_clear(BOUGH_ROOT) >= 1); /* the exit of the second event has interrupted all threads, too */
    }
}

TEST(the_count_begins_again_after_a_clear)
{
    CHECK_EXITED(t_run_status(counts_again, NULL), 0);
}

/* A signal can end a branch, and the program continues. */
static int sleeper(void *unused)
{
    (void)unused;
    return bough_sleep(60) ? errno : 0;
}

static void goes_on(void *unused)
{
    (void)unused;
    struct p_sender sender = {.to_itself = 1};
    bough_signals(0);
    for (int round = 0; round < 3; round++) {
        BOUGH_BRANCH(jobs) {
            for (int i = 0; i < 10; i++)
                CHECK(bough_add(jobs, sleeper, bough_arg(NULL)));
            p_send_when_blocked(&sender, SIGINT);
        }
        t_join(&sender.thread);
        CHECK_EQ(bough_last_result(), ECANCELED);
        CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 10);
        CHECK_EQ(bough_clear(BOUGH_ROOT), 1);
    }
    BOUGH_BRANCH(more)
        CHECK(bough_add(more, sleeper, bough_arg(NULL)) && bough_interrupt(more, "enough") == 0);
}

TEST(a_program_that_handles_the_signal_continues)
{
    CHECK_EXITED(t_run_status(goes_on, NULL), 0);
}

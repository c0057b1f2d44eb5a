/* SPDX-License-Identifier: MIT */
/* The kernel's timer, which ends the process behind rung 6. */
#include <bough.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "../races/hooks.h"
#include "wake/ticker.h"
#include "harness.h"

enum { TOGETHER = 4, PROCESSES = 100 };
static _Atomic int arrived;

static void *comes_first(void *unused)
{
    for (arrived++; arrived < TOGETHER;)
        ;
    bough_self();
    return unused;
}

static int timers_that_kill(void)
{
    char line[256], wanted[32];
    int count = 0;
    FILE *f = fopen("/proc/self/timers", "re");
    if (!f)
        SKIP("the kernel does not tell of timers");
    snprintf(wanted, sizeof wanted, "signal: %d/", SIGKILL);
    while (fgets(line, sizeof line, f))
        count += strncmp(line, wanted, strlen(wanted)) == 0;
    fclose(f);
    return count;
}

static void come_together(void *unused)
{
    struct t_thread thread[TOGETHER];
    (void)unused;
    for (int i = 0; i < TOGETHER; i++)
        t_spawn(&thread[i], comes_first, NULL);
    for (int i = 0; i < TOGETHER; i++)
        t_join(&thread[i]);
    CHECK_EQ(timers_that_kill(), 1);
}

/* A race there was: threads that took part first at the same time made a timer each. The one that was forgotten could be
 * set already, and nobody set it back: the process ended, though all had been handled. */
TEST(one_timer_is_made_by_threads_that_come_at_the_same_time)
{
    for (int i = 0; i < PROCESSES; i++)
        CHECK_EXITED(t_run_status(come_together, NULL), 0);
}

enum { INCIDENTS = 200, LOOKS = 2000 };

/* The number of our timer, as the kernel has it; -1: it has none. */
static int timer_id(void)
{
    char line[256];
    int id = -1, found = -1, signo;
    FILE *f = fopen("/proc/self/timers", "re");
    if (!f)
        SKIP("the kernel does not tell of timers");
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "ID: %d", &id) != 1 && sscanf(line, "signal: %d/", &signo) == 1 && signo == SIGKILL)
            found = id;
    fclose(f);
    return found;
}

static bool is_set(int id)
{
    struct itimerspec left;
    CHECK_EQ(syscall(SYS_timer_gettime, id, &left), 0);
    return left.it_value.tv_sec || left.it_value.tv_nsec;
}

/* A race there was: a record that was cleared before the warden had looked at it left the timer that its poster had set, and the
 * process ended by that, long after. */
TEST(an_incident_that_is_over_before_it_is_looked_at_leaves_no_timer)
{
    struct bough_event event = {.kind = BOUGH_EXIT, .reason = "over at once"};
    bough_self();
    int id = timer_id();
    CHECK(id >= 0);
    for (int i = 0; i < INCIDENTS; i++) {
        bough_post_event(BOUGH_ROOT, &event);
        bough_clear_kind(BOUGH_ROOT, BOUGH_EXIT);
        for (int look = 0; is_set(id) && look < LOOKS; look++)
            usleep(1000);
        CHECK(!is_set(id));
    }
}

/* ---- between a look and what it sets ------------------------------------------------------------------------------- */

static int kernel_timer;
static _Atomic int scans, set_at_the_second, begun;

static void stop_the_first_scan(void)
{
    int before = scans;
    if (!begun)
        return;
    if (before == 0)
        stop_here();
    if (before == 1)
        set_at_the_second = is_set(kernel_timer);
    scans = before + 1;
}

static void count_scans(void)
{
    scans++;
}

static void tick(void)
{
    int before = scans;
    bo_ticker_attend();
    t_until(scans > before);
}

static void is_taken_back(void)
{
    bough_clear_kind(BOUGH_ROOT, BOUGH_EXIT);
    for (int look = 0; is_set(kernel_timer) && look < LOOKS; look++)
        usleep(1000);
    CHECK(!is_set(kernel_timer));
}

/* A race there was: the ticker took back the timer of a post that had come since it had looked at what is watched. */
TEST(the_ticker_takes_back_no_timer_that_it_has_not_looked_at)
{
    struct bough_event event = {.kind = BOUGH_EXIT, .reason = "it comes during a look"};
    NEED_HOOKS();
    bo_hook_caps_scanned = stop_the_first_scan; /* before the ticker runs */
    bough_self();
    kernel_timer = timer_id();
    begun = 1;
    bo_ticker_attend();
    t_gate_wait(&hook_reached);
    bough_post_event(BOUGH_ROOT, &event);
    CHECK(is_set(kernel_timer));
    t_gate_open(&hook_go);
    t_until(scans >= 2);
    CHECK(set_at_the_second);
    is_taken_back();
}

static void *posts_an_exit(void *unused)
{
    struct bough_event event = {.kind = BOUGH_EXIT, .reason = "its poster is held up"};
    bough_post_event(BOUGH_ROOT, &event);
    return unused;
}

/* The same where the poster is held up before it asks for a look. */
TEST(the_timer_of_a_poster_that_is_held_up_stays)
{
    struct t_thread poster;
    NEED_HOOKS();
    bo_hook_caps_scanned = count_scans;
    bough_self();
    kernel_timer = timer_id();
    bo_hook_timer_armed = stop_here;
    t_spawn(&poster, posts_an_exit, NULL);
    t_gate_wait(&hook_reached);
    for (int i = 0; i < 3; i++) {
        tick();
        CHECK(is_set(kernel_timer));
    }
    t_gate_open(&hook_go);
    t_join(&poster);
    is_taken_back();
}

/* SPDX-License-Identifier: MIT */
/* The kernel's timer, which ends the process if rung 6 does not. */
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
        SKIP("the kernel does not list timers");
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

/* Fixed race: threads that first used bough at the same time each made a timer. The timer that was forgotten could be
 * set already, and was never disarmed: the process ended although everything had been handled. */
TEST(threads_that_first_use_bough_at_the_same_time_make_one_timer)
{
    for (int i = 0; i < PROCESSES; i++)
        CHECK_EXITED(t_run_status(come_together, NULL), 0);
}

enum { INCIDENTS = 200 };

/* The kernel's number of the library's timer; -1: there is none. */
static int timer_id(void)
{
    char line[256];
    int id = -1, found = -1, signo;
    FILE *f = fopen("/proc/self/timers", "re");
    if (!f)
        SKIP("the kernel does not list timers");
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

/* Fixed race: a record that was cleared before the warden had examined it left the timer that its poster had set, and
 * the timer ended the process long afterwards. */
TEST(an_incident_that_ends_before_it_is_examined_leaves_no_timer)
{
    struct bough_event event = {.kind = BOUGH_EXIT, .reason = "over at once"};
    bough_self();
    int id = timer_id();
    CHECK(id >= 0);
    for (int i = 0; i < INCIDENTS; i++) {
        bough_post_event(BOUGH_ROOT, &event);
        bough_clear_kind(BOUGH_ROOT, BOUGH_EXIT);
        t_until(!is_set(id));
    }
}

/* ---- between a check and setting the timer ----------------------------------------------------------------------- */

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
    t_until(!is_set(kernel_timer));
}

/* Fixed race: the ticker disarmed the timer for a post that had come after its check. */
TEST(the_ticker_disarms_no_timer_that_it_has_not_examined)
{
    struct bough_event event = {.kind = BOUGH_EXIT, .reason = "it comes during a check"};
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

static _Atomic int all_scans;

static void stop_the_scan_of_the_end(void)
{
    all_scans++;
    stop_the_first_scan();
}

/* As above, but the timer is set already, for a record that has just been cleared: the post changes only the count of
 * posters. */
TEST(the_ticker_disarms_no_timer_that_a_new_post_relies_on)
{
    struct bough_event first = {.kind = BOUGH_EXIT, .reason = "cleared before the check"};
    struct bough_event second = {.kind = BOUGH_EXIT, .reason = "it comes during the check"};
    NEED_HOOKS();
    bo_hook_caps_scanned = stop_the_scan_of_the_end; /* before the ticker runs */
    bough_self();
    kernel_timer = timer_id();
    bough_post_event(BOUGH_ROOT, &first);
    for (int i = 0; i < 3; i++) {
        int before = all_scans;
        bo_ticker_attend();
        t_until(all_scans > before);
    }
    begun = 1;
    bough_clear_kind(BOUGH_ROOT, BOUGH_EXIT);
    t_gate_wait(&hook_reached);
    bough_post_event(BOUGH_ROOT, &second);
    CHECK(is_set(kernel_timer));
    t_gate_open(&hook_go);
    t_until(scans >= 2);
    CHECK(set_at_the_second);
    is_taken_back();
}

static void *posts_an_exit(void *unused)
{
    struct bough_event event = {.kind = BOUGH_EXIT, .reason = "its poster is delayed"};
    bough_post_event(BOUGH_ROOT, &event);
    return unused;
}

/* As above, but the poster is delayed before it asks for a check. */
TEST(the_timer_of_a_delayed_poster_stays)
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

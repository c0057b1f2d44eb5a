/* SPDX-License-Identifier: MIT */
/* The dump of rung 6 (rules 34 and 41): it is complete when the process is killed, also if it begins late. */
#include <bough.h>
#include <bough/ladder.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include "../inspect/dumps.h"
#include "../races/hooks.h"
#include "../semantics/target.h"

enum { DEAF = 40 };
#define KILL_NS ((int64_t)(BOUGH_SEC(10) * (t_scale() < 3 ? t_scale() : 3)))

static _Atomic int deaf_threads;
static int words, marks;

static void silent(const char *line)
{
    (void)line;
}

/* These threads do not answer requests for their stacks. They run only on a processor that is otherwise idle. */
static void *is_deaf(void *unused)
{
    struct sched_param none = {0};
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    deaf_threads++; /* counted first, because a busy machine may leave it no processor from then on */
    sched_setscheduler(0, SCHED_IDLE, &none);
    for (;;)
        ;
    return unused;
}

/* An exit takes a few ms, so it has enough time. */
static void set_ladder(int64_t kill)
{
    struct bough_ladder l = {.cap = BOUGH_SEC(600),
                             .time = {[BOUGH_RUNG_EXIT] = BOUGH_MS(20), [BOUGH_RUNG_KILL] = kill}};
    bough_set_report(silent);
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &l), 0);
    CHECK_EQ(bough_last_words(NULL, words, 0), 0);
}

static void kill_by_rung_6(void)
{
    bough_post_event(BOUGH_ROOT, &(struct bough_event){.kind = BOUGH_OPERATOR, .rung = BOUGH_RUNG_KILL});
}

static char *words_of(void (*fn)(void *))
{
    words = memory_file();
    CHECK_KILLED(t_run_status(fn, NULL), SIGKILL);
    char *text = text_of(words);
    check_whole(text);
    return text;
}

/* ---- a dump that begins late --------------------------------------------------------------------------------------- */

static void comes_late(void)
{
    usleep((useconds_t)((KILL_NS - KILL_NS * 3 / 10) / 1000));
}

static void ends_late(void *unused)
{
    pthread_t thread;
    (void)unused;
    set_ladder(KILL_NS);
    bo_hook_dump_begins = comes_late;
    for (int i = 0; i < DEAF; i++)
        CHECK_EQ(pthread_create(&thread, NULL, is_deaf, NULL), 0);
    t_until(deaf_threads == DEAF);
    kill_by_rung_6();
    for (;;)
        pause();
}

/* Fixed bug: a dump that began late, or had little time, was truncated or empty, because it waited for stacks until the
 * process was killed. */
TEST_LIMIT(a_dump_that_begins_late_is_complete, 60)
{
    NEED_HOOKS();
    char *text = words_of(ends_late);
    SAYS(text, "the thread is running and did not answer", "");
    SAYS(text, "because: operator", "was not handled");
    free(text);
}

/* ---- a kill that is called off ------------------------------------------------------------------------------------- */

static void kill_because(const char *reason)
{
    bough_post_event(BOUGH_ROOT,
                     &(struct bough_event){.kind = BOUGH_OPERATOR, .rung = BOUGH_RUNG_KILL, .reason = reason});
}

static bool has_end(void)
{
    static char text[1 << 20];
    ssize_t n = pread(words, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    return strstr(text, "==== end ====");
}

static void is_killed_later(void *unused)
{
    (void)unused;
    set_ladder(BOUGH_SEC(60));
    bo_hook_dump_begins = stop_here;
    kill_because("the first");
    t_gate_wait(&hook_reached);
    CHECK_EQ(bough_clear(BOUGH_ROOT), 1);
    t_gate_open(&hook_go);
    t_until(has_end());
    CHECK(ftruncate(words, 0) == 0 && lseek(words, 0, SEEK_SET) == 0);
    kill_because("the second");
    for (;;)
        pause();
}

/* Fixed bug: the second incident killed the process without a dump, because there had been one for the first. */
TEST_LIMIT(a_kill_after_one_that_was_called_off_has_a_dump, 60)
{
    NEED_HOOKS();
    char *text = words_of(is_killed_later);
    SAYS(text, "because: operator (the second)", "was not handled");
    free(text);
}

/* ---- a request for rung 6 ------------------------------------------------------------------------------------------ */

static void delay(void)
{
    usleep(300000);
}

static void tier(void *unused)
{
    (void)unused;
    CHECK_EQ(write(marks, "tier", 4), 4);
}

static void has_an_exit_tier(void *unused)
{
    (void)unused;
    set_ladder(BOUGH_SEC(60));
    bo_hook_dump_begins = delay;
    CHECK_EQ(bough_exit_tier(0, tier, NULL), 0);
    kill_by_rung_6();
    for (;;)
        pause();
}

/* Fixed race: on its way to rung 6 the request began an exit, which could end the process before the dump was
 * written. */
TEST_LIMIT(a_request_for_rung_6_begins_no_exit, 60)
{
    NEED_HOOKS();
    marks = memory_file();
    free(words_of(has_an_exit_tier));
    CHECK_EQ(lseek(marks, 0, SEEK_END), 0);
    close(marks);
}

/* SPDX-License-Identifier: MIT */
/* Rule 40: every transition goes to the poster, to a callback and to the log, with the place where the thread is
 * stuck. */
#include "../sync/not_under.h"
#include "climber.h"
#include <semaphore.h>

static char lines[16][1024];
static _Atomic int line_count;

static void note_line(const char *line)
{
    snprintf(lines[line_count % 16], sizeof lines[0], "%s", line);
    line_count++;
}

static int said(const char *what)
{
    for (int i = 0; i < line_count && i < 16; i++)
        if (strstr(lines[i], what))
            return 1;
    return 0;
}

static _Atomic int section_line;
static struct c_handler handler;

static int in_a_section(void *unused)
{
    (void)unused;
    BOUGH_HANDLE(c_handle, &handler) {
        BOUGH_CRITICAL(BOUGH_MS(1)) {
            section_line = __LINE__ - 1;
            for (c_works = 1; !c_go;)
                usleep(1000);
        }
    }
    return 0;
}

TEST(a_transition_is_reported_with_its_place)
{
    char place[64];
    struct bough_progress progress;
    bough_set_report(note_line);
    c_times(BOUGH_ROOT, STEP_NS, BOUGH_SEC(600));
    CHECK_EQ(bough_on_transition(c_note, NULL), 0);
    BOUGH_BRANCH(workers) {
        bough_thread *t =
            bough_add_with(workers, in_a_section, bough_arg(NULL), &(struct bough_child_options){.name = "deaf"});
        t_until(c_works);
        bough_post post = bough_post_event(t, &(struct bough_event){.reason = "closing time"});
        t_until(c_has(1, 2));
        snprintf(place, sizeof place, "rule_40_reported.c:%d", section_line);
        CHECK_STR(c_step[0].name, "deaf");
        CHECK(strstr(c_step[0].why, "not handled"));
        if (!strstr(c_step[0].place, place))
            FAIL("the place is \"%s\", not %s", c_step[0].place, place);
        CHECK(c_step[0].target == t);
        CHECK(c_step[0].wider == workers);
        CHECK_EQ(c_step[0].source, t_tid());
        t_until(said("goes up to rung 2"));
        CHECK(said("deaf"));
        CHECK(said("closing time"));
        CHECK(said(place));
        CHECK_EQ(bough_post_progress(post, &progress), 0);
        CHECK_EQ(progress.rung, 2);
        CHECK(strstr(progress.place, place));
        c_go = 1;
    }
    t_until(c_has(2, 0));
    t_until(said("is over"));
}

/* ---- the cause before its victims -------------------------------------------------------------------------------- */

static sem_t never;
static int never_written[2];
static _Atomic pid_t waiter, reader;

/* Waits in libc's calls, as foreign code of a thread that has not opted in. */
static int waits_for_a_lock(void *unused)
{
    (void)unused;
    waiter = t_tid();
    return sem_wait(&never);
}

static int reads(void *unused)
{
    char byte;
    (void)unused;
    reader = t_tid();
    return read(never_written[0], &byte, 1) == 1 ? 0 : errno;
}

static int computes(void *unused)
{
    (void)unused;
    for (c_works = 1; !c_go;)
        ;
    return 0;
}

static void add_named(bough_branch *branch, int (*fn)(void *), const char *name)
{
    CHECK(bough_add_with(branch, fn, bough_arg(NULL), &(struct bough_child_options){.name = name}));
}

static struct t_gate is_reported;

static void note_and_open(const struct bough_transition *t, void *unused)
{
    c_note(t, unused);
    t_gate_open(&is_reported);
}

TEST(a_thread_that_computes_is_named_before_those_that_wait)
{
    bough_set_report(c_silent);
    c_times(BOUGH_ROOT, STEP_NS, BOUGH_SEC(600));
    bough_on_transition(note_and_open, NULL);
    CHECK_EQ(sem_init(&never, 0, 0), 0);
    CHECK_EQ(pipe(never_written), 0);
    BOUGH_BRANCH(workers) {
        add_named(workers, waits_for_a_lock, "waiter");
        add_named(workers, reads, "reader");
        add_named(workers, computes, "culprit");
        t_until(waiter && reader && c_works);
        t_until_blocked(waiter);
        t_until_blocked(reader);
        bough_post_event(workers, NULL);
        t_gate_wait(&is_reported); /* asleep, not polling */
        const char *place = c_step[0].place, *more = strstr(place, "; and 3 more: ");
        t_note("%s", place);
        CHECK(strstr(place, "(culprit)")); /* main may not have reached the gate yet, and is then named first */
        CHECK(more && strstr(more, "(reader)") && strstr(more, "(waiter)"));
        CHECK(strstr(place, "(culprit)") < strstr(more, "(reader)") &&
              strstr(place, "(culprit)") < strstr(more, "(waiter)"));
        if (!under_qemu()) /* under qemu the number of a system call is that of another machine */
            CHECK(strstr(more, "(reader)") < strstr(more, "(waiter)"));
        c_go = 1;
        sem_post(&never);
        CHECK_EQ(write(never_written[1], "x", 1), 1);
        bough_clear(workers);
    }
    sem_destroy(&never);
    close(never_written[0]);
    close(never_written[1]);
}

TEST(an_overdue_interrupt_is_reported_once)
{
    bough_set_report(note_line);
    c_times(BOUGH_ROOT, STEP_NS, STEP_NS);
    bough_on_transition(c_note, NULL);
    BOUGH_BRANCH(workers) {
        bough_thread *t = bough_add(workers, in_a_section, bough_arg(NULL));
        t_until(c_works);
        bough_post_event(t, NULL);
        t_until(c_has(2, 2));
        usleep((useconds_t)(3 * STEP_NS / 1000));
        int count = 0;
        for (int i = 0; i < c_count; i++)
            count += c_step[i].from == c_step[i].to;
        CHECK_EQ(count, 1);
        t_until(said("overdue"));
        c_go = 1;
    }
}

/* ---- the log's limit --------------------------------------------------------------------------------------------- */

static _Atomic unsigned logged, left_out, transitions;

static void count_line(const char *line)
{
    const char *start = "lines dropped before it: ", *dropped = strstr(line, start);
    logged++;
    left_out += dropped ? (unsigned)strtoul(dropped + strlen(start), NULL, 10) : 0;
}

static void count_transition(const struct bough_transition *t, void *unused)
{
    (void)unused;
    transitions += t->to == t->from;
}

static int does_not_listen(void *unused)
{
    (void)unused;
    while (!c_go)
        usleep(10000);
    return 0;
}

/* A hundred at once: the callback gets all of them, the log gets the first ones, and later the number of dropped
 * lines. */
TEST_LIMIT(the_log_is_limited_and_counts_dropped_lines, 60)
{
    enum { MANY = 100 };
    bough_set_report(count_line);
    c_times(BOUGH_ROOT, STEP_NS, BOUGH_SEC(600));
    bough_on_transition(count_transition, NULL);
    BOUGH_BRANCH(workers) {
        bough_thread *t[MANY];
        for (int i = 0; i < MANY; i++)
            CHECK((t[i] = bough_add(workers, does_not_listen, bough_arg(NULL))));
        for (int i = 0; i < MANY; i++)
            bough_interrupt(t[i], NULL);
        t_until(transitions == MANY);
        CHECK(logged < MANY);
        usleep(1100000); /* another second, another line */
        c_go = 1;
    }
    t_until(logged + left_out >= MANY);
    CHECK(left_out > 0);
}

/* Fixed race: the ticker's thread read the callback while another was being set. */
static _Atomic int reported_one, reported_other, ended;

static void count_one(const struct bough_transition *unused, void *counter)
{
    (void)unused;
    CHECK(counter == &reported_one);
    reported_one++;
}

static void count_other(const struct bough_transition *unused, void *counter)
{
    (void)unused;
    CHECK(counter == &reported_other);
    reported_other++;
}

static void *sets_callbacks(void *unused)
{
    while (!ended) {
        bough_on_transition(count_one, &reported_one);
        bough_on_transition(count_other, &reported_other);
    }
    return unused;
}

/* ---- the end ------------------------------------------------------------------------------------------------------ */

static _Atomic int report_begun;

static void report_slowly(const char *line)
{
    report_begun = 1;
    usleep(50000);
    puts(strstr(line, "goes up to rung") ? "reported" : "?");
    fflush(stdout);
}

static int ends_when_reported(void *unused)
{
    (void)unused;
    t_until(report_begun);
    return 0;
}

static void exits_while_it_is_reported(void *unused)
{
    (void)unused;
    struct bough_ladder l = {.cap = BOUGH_SEC(600), .time = {[1] = STEP_NS, [4] = BOUGH_SEC(60), [5] = BOUGH_SEC(60)}};
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &l), 0);
    bough_set_report(report_slowly);
    bough_signals(0);
    BOUGH_BRANCH(b) {
        CHECK(bough_add(b, ends_when_reported, bough_arg(NULL)));
        raise(SIGTERM);
    }
}

/* Fixed bug: a process that ended at once after a transition did not report it. */
TEST(the_last_transition_is_reported_before_the_process_ends)
{
    char text[2000] = "";
    /* The process waits for a quarter of a second. Repeated if the reporting thread had no processor for so long. */
    for (int i = 0; i < 10 && !strstr(text, "reported"); i++)
        CHECK_KILLED(t_run_output(exits_while_it_is_reported, NULL, text, sizeof text), SIGTERM);
    CHECK(strstr(text, "reported"));
}

TEST(the_callback_may_be_set_while_it_is_called)
{
    struct t_thread setter;
    struct bough_progress progress = {0};
    bough_set_report(c_silent);
    c_times(BOUGH_ROOT, BOUGH_MS(1), BOUGH_SEC(600));
    bough_on_transition(count_one, &reported_one);
    t_spawn(&setter, sets_callbacks, NULL);
    while (reported_one + reported_other < 20) {
        bough_post post = bough_post_event(bough_self(), NULL);
        t_until(bough_post_progress(post, &progress) == 0 && progress.overdue);
        CHECK_EQ(bough_clear(NULL), 1);
    }
    ended = 1;
    t_join(&setter);
    bough_on_transition(NULL, NULL);
}

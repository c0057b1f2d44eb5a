/* SPDX-License-Identifier: MIT */
/* Rule 22: code that was not written for bough gets each record once a rung, then it is left alone for the grace. This
 * program's own calls of libc play its part. */
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include "../sync/not_under.h"
#include "foreign.h"

TEST(who_does_not_take_part_is_left_alone_and_the_query_stays_true)
{
    interpose();
    CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
    CHECK_ERR(bough_check(), ECANCELED);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(wait_for(1), 0); /* it ends by its own timeout */
        CHECK_EQ(bough_interrupted(), 1);
        CHECK_ERR(bough_check(), ECANCELED);
    }
    CHECK_EQ(bough_clear(NULL), 1);
    CHECK_EQ(bough_interrupted(), 0);
}

TEST(it_is_told_once_and_then_its_cleaning_up_works)
{
    interpose();
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        CHECK_ERR(wait_for(1000), EINTR);
        for (int i = 0; i < 20; i++) {
            CHECK_EQ(wait_for(1), 0);
            CHECK_EQ(bough_interrupted(), 1);
            CHECK_ERR(bough_check(), ECANCELED); /* what was written for bough goes on failing */
            CHECK_ERR(bough_usleep(1000), ECANCELED);
        }
        CHECK_EQ(bough_interrupt(bough_self(), "stop again"), 0); /* a repeat is no other record */
        CHECK_EQ(wait_for(1), 0);
    }
    BOUGH_FOREIGN
    { /* another region changes nothing */
        CHECK_EQ(wait_for(1), 0);
    }
}

TEST(another_record_is_told_too)
{
    interpose();
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        CHECK_ERR(wait_for(1000), EINTR);
        struct bough_event event = {.kind = BOUGH_SIGNAL, .reason = "something else"};
        CHECK(bough_post_event(bough_self(), &event).record != 0);
        CHECK_ERR(wait_for(1000), EINTR);
        CHECK_EQ(wait_for(1), 0);
    }
}

TEST(cleared_and_posted_anew_it_is_told_again)
{
    interpose();
    BOUGH_FOREIGN
    {
        for (int i = 0; i < 3; i++) {
            CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
            CHECK_ERR(wait_for(1000), EINTR);
            CHECK_EQ(wait_for(1), 0);
            CHECK_EQ(bough_clear(NULL), 1);
            CHECK_EQ(wait_for(1), 0);
        }
    }
}

TEST(after_the_grace_it_is_told_again)
{
    interpose();
    set_grace(GRACE_NS);
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        for (int i = 0; i < 3; i++) {
            bough_time before = bough_now();
            CHECK_ERR(wait_here(10000), i == 0 ? EINTR : ECANCELED); /* it is blocked when the grace ends */
            if (i > 0)
                CHECK(bough_now() - before > GRACE_NS / 2);
            CHECK_EQ(wait_for(1), 0);
        }
    }
}

static int handled;

static int handle(struct bough_incident *incident, void *unused)
{
    (void)unused;
    handled = incident->rung;
    return BOUGH_UNWIND;
}

TEST(a_higher_rung_gets_in_before_the_grace_is_over)
{
    interpose();
    struct bough_ladder ladder = {.time[BOUGH_RUNG_FLAG] = GRACE_NS, .time[BOUGH_RUNG_HANDLER] = BOUGH_SEC(100)};
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &ladder), 0);
    BOUGH_HANDLE(handle, NULL) {
        BOUGH_FOREIGN
        {
            CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
            CHECK_ERR(wait_for(1000), EINTR);
            CHECK_EQ(handled, 0);
            CHECK_ERR(wait_for(10000), ECANCELED); /* well before the 5 s of the grace */
            CHECK_EQ(handled, BOUGH_RUNG_HANDLER);
            CHECK_EQ(wait_for(1), 0);
        }
    }
}

static struct bough_jmp out;

static int leave(struct bough_incident *incident, void *unused)
{
    (void)unused;
    handled = incident->rung;
    CHECK_EQ(bough_usleep(1000), 0); /* bough's own code: its incident leaves it alone */
    bough_longjmp(&out, 1);
}

TEST(a_final_handler_leaves_foreign_code_and_the_next_takes_part)
{
    interpose();
    struct bough_ladder ladder = {.time[BOUGH_RUNG_FLAG] = BOUGH_MS(100)};
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &ladder), 0);
    if (bough_setjmp(&out) == 0) {
        BOUGH_HANDLE_FINAL(leave, NULL) {
            BOUGH_FOREIGN
            {
                CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
                for (;;)
                    wait_for(1000);
            }
        }
    }
    CHECK_EQ(handled, BOUGH_RUNG_FINAL);
    CHECK_EQ(bough_clear(NULL), 1);
    CHECK_EQ(bough_foreign(), 0);
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        CHECK_ERR(wait_for(1000), EINTR);
    }
}

TEST(a_critical_section_protects_it)
{
    interpose();
    BOUGH_FOREIGN
    {
        BOUGH_CRITICAL(BOUGH_SEC(100)) {
            CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
            CHECK_EQ(wait_for(1), 0);
        }
        CHECK_ERR(wait_for(1000), EINTR);
    }
}

/* ---- what a binding wants ----------------------------------------------------------------------------- */

static int cuts, seen_error;
static const char *seen_call;
static struct bough_record seen_why;

static int note_cut(void *argument, const struct bough_cut *cut)
{
    cuts++;
    seen_call = cut->call;
    seen_error = cut->error;
    CHECK_EQ(cut->fd, -1);
    CHECK_STR(cut->object, "");
    CHECK_EQ(cut->again, 0);
    CHECK(cut->why);
    seen_why = *cut->why;
    CHECK_ERR(bough_check(), ECANCELED);
    return *(int *)argument;
}

static int choose(void *argument, const char *call, const void *site)
{
    CHECK(argument && call && site);
    return ECONNABORTED;
}

TEST(errno_is_the_threads_choice_and_it_learns_of_the_interrupt)
{
    interpose();
    int other = 0;
    struct bough_foreign ways = {.on_cut = note_cut, .argument = &other, .choose = choose};
    CHECK_EQ(bough_foreign_set(&ways), 0);
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        CHECK_ERR(wait_for(1000), ECONNABORTED);
        CHECK_EQ(cuts, 1);
        CHECK_EQ(strcmp(seen_call, "poll"), 0);
        CHECK_EQ(seen_error, ECONNABORTED);
        CHECK_EQ(seen_why.kind, BOUGH_STOP);
        CHECK_EQ(strcmp(seen_why.reason, "stop"), 0);
        CHECK_EQ(bough_clear(NULL), 1);
        other = EPIPE;
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        CHECK_ERR(wait_for(1000), EPIPE);
    }
    CHECK_ERR(bough_foreign_set(&(struct bough_foreign){.error = 4095}), EINVAL);
    CHECK_ERR(bough_foreign_set(&(struct bough_foreign){.error = -1}), EINVAL);
    CHECK_ERR(bough_foreign_set(&(struct bough_foreign){.grace = -1}), EINVAL);
    CHECK_ERR(bough_foreign_set(&(struct bough_foreign){.kinds = 1u << BOUGH_KINDS}), EINVAL);
    CHECK_EQ(bough_foreign_set(NULL), 0);
}

/* ---- kinds, and telling it again ------------------------------------------------------------------------ */

static bough_post post_kind(enum bough_kind kind)
{
    struct bough_event event = {.kind = kind};
    bough_post post = bough_post_event(bough_self(), &event);
    CHECK(post.record);
    return post;
}

TEST(only_the_kinds_it_wants_to_be_told_of_cut_foreign_code)
{
    interpose();
    int unused = 0;
    struct bough_foreign ways = {.kinds = 1u << BOUGH_EXCEPTION, .on_cut = note_cut, .argument = &unused};
    CHECK_EQ(bough_foreign_set(&ways), 0);
    BOUGH_FOREIGN
    {
        bough_post stop = post_kind(BOUGH_STOP);
        CHECK_EQ(wait_for(1), 0); /* times out */
        CHECK_EQ(bough_post_status(stop), BOUGH_POST_PENDING);
        post_kind(BOUGH_EXCEPTION);
        CHECK_ERR(wait_for(1000), EINTR);
        CHECK_EQ(seen_why.kind, BOUGH_EXCEPTION);
        CHECK_EQ(cuts, 1);
        CHECK_EQ(bough_clear_kind(NULL, BOUGH_EXCEPTION), 1);
        CHECK_EQ(wait_for(1), 0);
        ways.kinds = 0; /* the stop, which was never told, counts from here on */
        CHECK_EQ(bough_foreign_set(&ways), 0);
        CHECK_ERR(wait_for(1000), EINTR);
        CHECK_EQ(seen_why.kind, BOUGH_STOP);
    }
    bough_clear(NULL);
}

TEST(a_binding_can_look_for_an_interrupt_as_foreign_code_meets_it)
{
    struct bough_record why;
    interpose();
    CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
    CHECK_EQ(bough_foreign_check(&why), 0); /* it does not take part here */
    BOUGH_FOREIGN
    {
        CHECK_ERR(bough_foreign_check(&why), ECANCELED);
        CHECK_STR(why.reason, "stop");
        CHECK_EQ(bough_foreign_check(NULL), 0);
        CHECK_EQ(wait_for(1), 0);
        CHECK_ERR(bough_check(), ECANCELED);
    }
}

TEST(what_was_swallowed_can_be_told_again_at_once)
{
    interpose();
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_foreign_again(), 0);
        post_kind(BOUGH_STOP);
        CHECK_ERR(wait_for(1000), EINTR);
        CHECK_EQ(wait_for(1), 0); /* left alone for the grace */
        CHECK_EQ(bough_foreign_again(), 1);
        CHECK_ERR(wait_for(1000), ECANCELED);
        bough_clear(NULL);
        CHECK_EQ(bough_foreign_again(), 0);
        CHECK_EQ(wait_for(1), 0);
    }
}

/* ---- a handler inside of foreign code ------------------------------------------------------------------------- */

static struct {
    struct t_thread thread;
    struct t_gate known, suppressed;
    bough_thread *self;
    sem_t never;
    int fds[2], read_error, wait_error, result, error;
} inside;

static void calls_of_its_own(int signo)
{
    char byte;
    int saved = errno;
    (void)signo;
    inside.read_error = bough_read(inside.fds[0], &byte, 1) < 0 ? errno : 0;
    inside.wait_error = bough_sem_wait(&inside.never) < 0 ? errno : 0;
    errno = saved;
}

static void *waits_as_foreign_code(void *unused)
{
    inside.self = bough_self();
    set_grace(BOUGH_SEC(3600));
    t_gate_open(&inside.known);
    BOUGH_FOREIGN
    {
        CHECK_ERR(wait_for(60000), EINTR);
        t_gate_open(&inside.suppressed);
        inside.result = wait_for(60000);
        inside.error = errno;
    }
    return unused;
}

/* What foreign code has been told is suppressed for foreign code: the handler was written for bough. */
TEST(a_handlers_own_call_inside_foreign_code_fails)
{
    needs_handlers_in_calls();
    interpose();
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = calls_of_its_own}, NULL);
    CHECK_EQ(pipe(inside.fds), 0);
    CHECK_EQ(sem_init(&inside.never, 0, 0), 0);
    t_spawn(&inside.thread, waits_as_foreign_code, NULL);
    t_gate_wait(&inside.known);
    CHECK_EQ(bough_interrupt(inside.self, "stop"), 0);
    t_gate_wait(&inside.suppressed);
    t_until_blocked(inside.thread.tid);
    pthread_kill(inside.thread.handle, SIGUSR1);
    t_join(&inside.thread);
    CHECK_EQ(inside.read_error, ECANCELED);
    CHECK_EQ(inside.wait_error, ECANCELED);
    CHECK_EQ(inside.result, -1); /* the handler's: foreign code was not interrupted again */
    CHECK_EQ(inside.error, EINTR);
    sem_destroy(&inside.never);
    close(inside.fds[0]);
    close(inside.fds[1]);
}

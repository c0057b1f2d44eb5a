/* SPDX-License-Identifier: MIT */
/* Rule 22: code that was not written for bough gets each record once a rung, then it is left alone for the grace. This
 * program's own calls of libc play its part. */
#include <bough.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include "harness.h"

/* Short, but longer than a few calls take on a busy machine. */
#define GRACE_NS ((int64_t)(BOUGH_MS(150) * t_scale()))

static void interpose(void)
{
    CHECK(bough_interpose((const char *const[]){"", NULL}, 0) > 0);
}

static void set_grace(int64_t grace)
{
    struct bough_foreign ways = {.grace = grace};
    CHECK_EQ(bough_foreign_set(&ways), 0);
}

#define wait_for(ms) t_poll_silent(ms)

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
            CHECK_ERR(wait_for(10000), EINTR); /* the second one is blocked when the grace ends */
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
            CHECK_ERR(wait_for(10000), EINTR); /* well before the 5 s of the grace */
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

/* ---- how an interrupted call fails ---------------------------------------------------------------------- */

/* As foreign code does that was written for POSIX: one place that calls again after EINTR. */
static ssize_t read_retried(int fd)
{
    char byte;
    ssize_t n;
    do
        n = read(fd, &byte, 1);
    while (n < 0 && errno == EINTR);
    return n;
}

TEST(a_retry_loop_gets_another_error)
{
    interpose();
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        CHECK_ERR(read_retried(t_silent()), ECANCELED);
        CHECK_EQ(wait_for(1), 0);
    }
}

TEST(another_call_in_between_is_no_retry_loop)
{
    interpose();
    set_grace(GRACE_NS);
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        bough_time before = bough_now();
        for (int i = 0; i < 2; i++) {
            CHECK_ERR(wait_for(10000), EINTR); /* the second one, when the grace period ends */
            CHECK_EQ(poll(NULL, 0, 0), 0);
        }
        CHECK(bough_now() - before > GRACE_NS / 2);
    }
}

TEST(a_cleared_interrupt_ends_a_retry_loop)
{
    interpose();
    BOUGH_FOREIGN
    {
        for (int i = 0; i < 2; i++) {
            if (i == 0)
                CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
            int n = wait_for(10);
            CHECK_EQ(n, i == 0 ? -1 : 0);
            bough_clear(NULL);
        }
    }
}

TEST(a_record_that_comes_during_a_retry_loop_begins_with_eintr)
{
    interpose();
    BOUGH_FOREIGN
    {
        for (int i = 0; i < 2; i++) {
            struct bough_event event = {.kind = i == 0 ? BOUGH_STOP : BOUGH_OPERATOR};
            CHECK(bough_post_event(bough_self(), &event).record != 0);
            CHECK_ERR(wait_for(10000), EINTR);
        }
    }
}

TEST(a_pause_ends_once_and_the_next_call_is_interrupted_at_once)
{
    interpose();
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        CHECK_ERR(usleep(10000000), EINTR); /* as libraries do, which ignore the result */
        for (int i = 0; i < 10; i++) {
            CHECK_EQ(usleep(100), 0); /* `while (!ready) usleep(100);` does not spin */
            CHECK_EQ(poll(NULL, 0, 1), 0);
            CHECK_EQ(select(0, NULL, NULL, NULL, &(struct timeval){0, 100}), 0);
        }
        CHECK_ERR(wait_for(10000), EINTR);
        CHECK_EQ(usleep(100), 0);
    }
}

TEST(a_pause_that_is_retried_is_over)
{
    struct timespec left = {1000, 0};
    interpose();
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        int tries = 0;
        while (nanosleep(&left, &left) != 0 && errno == EINTR)
            tries++;
        CHECK_EQ(tries, 1);
        CHECK(left.tv_sec > 900);
        CHECK_ERR(wait_for(10000), EINTR);
    }
}

TEST(a_pause_ends_again_after_the_grace_period)
{
    interpose();
    set_grace(GRACE_NS);
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        for (int i = 0; i < 3; i++) {
            bough_time before = bough_now();
            CHECK(sleep(100) > 0);
            CHECK_EQ(poll(NULL, 0, 0), 0); /* so that the next one is no retry */
            CHECK(i == 0 || bough_now() - before > GRACE_NS / 2);
        }
        CHECK_EQ(bough_interrupted(), 1);
    }
}

TEST(a_condition_wait_wakes_spuriously_once)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
    struct timespec soon;
    interpose();
    BOUGH_FOREIGN
    {
        pthread_mutex_lock(&mutex);
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        CHECK_EQ(pthread_cond_wait(&cond, &mutex), 0);
        clock_gettime(CLOCK_REALTIME, &soon);
        CHECK_EQ(pthread_cond_timedwait(&cond, &mutex, &soon), ETIMEDOUT);
        pthread_mutex_unlock(&mutex);
        CHECK_ERR(wait_for(10000), EINTR); /* the wakeup has not delivered anything */
    }
}

/* The usual loop takes every other failure for a token. */
static void *posts_later(void *semaphore)
{
    t_until_blocked(*(pid_t *)semaphore);
    sem_post((sem_t *)((char *)semaphore + sizeof(pid_t) * 4));
    return NULL;
}

TEST(a_retried_semaphore_gets_no_other_error_and_the_interrupt_stays_due)
{
    static struct {
        pid_t waiter, padding[3];
        sem_t semaphore;
    } shared;
    struct t_thread poster;
    int rounds = 0;
    interpose();
    CHECK_EQ(sem_init(&shared.semaphore, 0, 0), 0);
    shared.waiter = t_tid();
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        for (int failed = 1; failed; rounds++) {
            if (rounds == 1)
                t_spawn(&poster, posts_later, &shared);
            failed = sem_wait(&shared.semaphore) != 0;
            CHECK(!failed || errno == EINTR);
        }
        CHECK_EQ(rounds, 2);
    }
    t_join(&poster);
}

static void *sleeps(void *gate)
{
    t_gate_wait(gate);
    return NULL;
}

static struct t_gate gate;
static struct t_thread joined;
static _Atomic pid_t joiner;

static int joins(void *unused)
{
    (void)unused;
    joiner = t_tid();
    CHECK_EQ(pthread_join(joined.handle, NULL), 0);
    return bough_check() ? ECANCELED : 0;
}

TEST(a_join_is_never_interrupted_and_the_report_names_the_thread)
{
    char text[16384], wanted[64];
    interpose();
    t_spawn(&joined, sleeps, &gate);
    BOUGH_BRANCH(b, .collect = 1) {
        bough_thread *child = bough_add_with(b, joins, bough_arg(NULL), &(struct bough_child_options){.foreign = 1});
        t_until(joiner != 0);
        t_until_blocked(joiner);
        CHECK_EQ(bough_interrupt(child, "stop"), 0);
        t_until_blocked(joiner);
        int fd = memfd_create("dump", 0);
        CHECK_EQ(bough_dump(fd), 0);
        ssize_t n = pread(fd, text, sizeof text - 1, 0);
        CHECK(n > 0);
        text[n] = '\0';
        close(fd);
        snprintf(wanted, sizeof wanted, "joins thread %d", (int)joined.tid);
        if (!strstr(text, wanted))
            FAIL("no \"%s\" in:\n%s", wanted, text);
        t_gate_open(&gate);
        CHECK_EQ(bough_join(child), 0);
        CHECK_EQ(bough_outcome(child, NULL), BOUGH_INTERRUPTED);
    }
}

/* GIO, for one: a failed poll() means to it that it may try. */
TEST(ignoring_a_failed_poll_the_caller_meets_the_error_at_the_descriptor)
{
    char byte;
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    interpose();
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        CHECK_ERR(poll(&(struct pollfd){fds[0], POLLIN, 0}, 1, 10000), EINTR);
        CHECK_ERR(recv(fds[1], &byte, 1, 0), EAGAIN); /* another descriptor */
        CHECK_ERR(recv(fds[0], &byte, 1, 0), ECANCELED);
        CHECK_ERR(recv(fds[0], &byte, 1, 0), EAGAIN);
        CHECK_EQ(bough_clear(NULL), 1);
        fd_set set;
        FD_ZERO(&set);
        FD_SET(fds[0], &set);
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        CHECK_ERR(select(fds[0] + 1, &set, NULL, NULL, NULL), EINTR);
        CHECK_EQ(write(fds[1], "x", 1), 1);
        CHECK_EQ(recv(fds[0], &byte, 1, 0), 1); /* a completed effect wins */
        CHECK_ERR(recv(fds[0], &byte, 1, 0), EAGAIN);
    }
    close(fds[0]);
    close(fds[1]);
}

TEST(an_object_that_takes_only_eintr_never_gets_another_error)
{
    interpose();
    CHECK_ERR(bough_interpose_eintr_only(NULL), EINVAL);
    CHECK_EQ(bough_interpose_eintr_only(""), 0); /* the program */
    BOUGH_FOREIGN
    {
        CHECK_EQ(bough_interrupt(bough_self(), "stop"), 0);
        for (int i = 0; i < 3; i++) {
            int n = wait_for(20);
            CHECK_EQ(n, i == 0 ? -1 : 0);
            CHECK(i > 0 || errno == EINTR);
        }
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
        CHECK_ERR(wait_for(1000), EINTR);
        bough_clear(NULL);
        CHECK_EQ(bough_foreign_again(), 0);
        CHECK_EQ(wait_for(1), 0);
    }
}

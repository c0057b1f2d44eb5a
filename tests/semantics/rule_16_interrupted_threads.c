/* SPDX-License-Identifier: MIT */
/* Rule 16: the places where each kind of thread is interrupted. python/tests tests Python's table; this file tests its
 * base in C, and that a thread which does not use bough can be posted to, and is reported as overdue. */
#include <fcntl.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include "../sync/not_under.h"
#include "climber.h"
#include "target.h"

struct seen {
    struct t_gate posted, ready;
    int at_check, at_call, disabled, allowed, critical;
};

static int cut(void)
{
    struct timespec none = {0, 1};
    return bough_nanosleep(&none, NULL) < 0 && errno == ECANCELED;
}

static int look(void *argument)
{
    struct seen *s = argument;
    t_gate_open(&s->ready);
    t_gate_wait(&s->posted);
    s->at_check = bough_check() < 0;
    s->at_call = cut();
    BOUGH_ALLOW
    {
        s->allowed = cut();
    }
    BOUGH_CRITICAL(0) {
        s->critical = cut();
    }
    return 0;
}

static struct seen seen_by(int disabled)
{
    struct seen s = {0};
    struct bough_child_options options = {.disabled = disabled != 0};
    BOUGH_BRANCH(b) {
        CHECK(bough_add_with(b, look, bough_arg(&s), &options));
        t_gate_wait(&s.ready);
        CHECK_EQ(bough_interrupt(b, "test"), 0);
        t_gate_open(&s.posted);
    }
    return s;
}

TEST(a_child_is_interrupted_at_checks_and_blocking_calls)
{
    struct seen s = seen_by(0);
    CHECK_EQ(s.at_check, 1);
    CHECK_EQ(s.at_call, 1);
    CHECK_EQ(s.allowed, 1);
    CHECK_EQ(s.critical, 0);
}

TEST(a_child_started_disabled_is_interrupted_in_allow_regions)
{
    struct seen s = seen_by(1);
    CHECK_EQ(s.at_check, 0);
    CHECK_EQ(s.at_call, 0);
    CHECK_EQ(s.allowed, 1);
    CHECK_EQ(s.critical, 0);
}

/* ---- a thread that does not use bough ---------------------------------------------------------------------------- */

struct plain {
    struct t_thread thread;
    struct t_gate used;
    int pipe[2];
    int at_check;
    struct bough_record why;
    bough_thread *self;
};

static void *blocks_in_a_plain_read(void *argument)
{
    struct plain *p = argument;
    char byte;
    CHECK_EQ(read(p->pipe[0], &byte, 1), 1);
    if (byte == 'u') { /* the thread uses bough */
        p->at_check = bough_check();
        (void)bough_reason(&p->why);
        p->self = bough_self();
        t_gate_open(&p->used);
        CHECK_EQ(read(p->pipe[0], &byte, 1), 1);
    }
    return NULL;
}

static void plain_start(struct plain *p)
{
    CHECK_EQ(pipe(p->pipe), 0);
    t_spawn(&p->thread, blocks_in_a_plain_read, p);
    t_until_blocked(p->thread.tid);
}

static void plain_goes_on(const struct plain *p, char what)
{
    CHECK_EQ(write(p->pipe[1], &what, 1), 1);
}

static void plain_end(struct plain *p)
{
    plain_goes_on(p, 'e');
    t_join(&p->thread);
    close(p->pipe[0]);
    close(p->pipe[1]);
}

TEST(a_thread_that_does_not_use_bough_is_reported_as_overdue)
{
    struct plain p = {0};
    struct bough_event stop = {.kind = BOUGH_STOP, .reason = "stop it"};
    struct bough_progress progress = {0};
    bough_self();
    c_times(BOUGH_ROOT, STEP_NS, STEP_NS);
    CHECK_EQ(bough_on_transition(c_note, NULL), 0);
    plain_start(&p);
    bough_thread *thread = bough_adopt_thread(p.thread.tid, "plain");
    CHECK(thread);
    bough_post post = bough_post_event(thread, &stop);
    CHECK_EQ(bough_post_status(post), BOUGH_POST_PENDING);
    t_until(c_has(1, 1));
    CHECK_STR(c_step[0].name, "plain");
    CHECK(strstr(c_step[0].place, under_qemu() ? "(plain) is in foreign code: " : "(plain) is in foreign code: read("));
    CHECK_EQ(bough_post_progress(post, &progress), 0);
    CHECK_EQ(progress.overdue, 1);
    CHECK(strstr(progress.place, "it has not used bough"));
    CHECK_EQ(bough_on_transition(NULL, NULL), 0);
    plain_end(&p);
}

TEST(a_plain_thread_meets_the_posted_interrupt_at_its_first_use)
{
    struct plain p = {0};
    plain_start(&p);
    bough_thread *thread = bough_adopt_thread(p.thread.tid, "plain");
    CHECK_EQ(bough_interrupt(thread, "stop it"), 0);
    plain_goes_on(&p, 'u');
    t_gate_wait(&p.used);
    CHECK_EQ(p.at_check, -1);
    CHECK_STR(p.why.reason, "stop it");
    CHECK_EQ(p.self, thread);
    CHECK_ERR(bough_release_thread(thread), EPERM);
    plain_end(&p);
    CHECK_ERR(bough_alive(thread), ESRCH);
}

TEST(a_plain_thread_has_the_same_handle_for_each_thread_that_makes_it_known)
{
    struct plain p = {0};
    char name[32];
    plain_start(&p);
    bough_thread *thread = bough_adopt_thread(p.thread.tid, NULL);
    CHECK(bough_get_name(thread, name, sizeof name) > 0); /* the name that the kernel has */
    CHECK_EQ(bough_adopt_thread(p.thread.tid, "other"), thread);
    CHECK_EQ(bough_thread_of(p.thread.tid), thread);
    CHECK_EQ(bough_adopt_thread(t_tid(), "me"), bough_self());
    CHECK_EQ(bough_release_thread(thread), 0);
    CHECK_ERR(bough_release_thread(thread), ESRCH);
    CHECK_ERR(bough_interrupt(thread, "too late"), ESRCH);
    CHECK_ERR(bough_adopt_thread(0, NULL), EINVAL);
    plain_end(&p);
    t_until(syscall(SYS_tgkill, getpid(), p.thread.tid, 0) != 0); /* pthread_join() returns a moment earlier */
    CHECK_ERR(bough_adopt_thread(p.thread.tid, NULL), ESRCH);
}

/* No bough_release_thread(): the check that would report the thread finds that it has ended. */
TEST(a_plain_thread_that_has_ended_is_not_reported_as_overdue)
{
    int64_t posted, taken, time = STEP_NS;
    bough_self();
    CHECK_EQ(bough_on_transition(c_note, NULL), 0);
    do { /* repeated with more time, if the thread has not ended before it is overdue */
        struct plain p = {0};
        c_count = 0;
        c_times(BOUGH_ROOT, time, time);
        plain_start(&p);
        bough_thread *thread = bough_adopt_thread(p.thread.tid, "plain");
        posted = t_now();
        bough_post post = bough_post_event(thread, NULL);
        plain_end(&p);
        t_until(syscall(SYS_tgkill, getpid(), p.thread.tid, 0) != 0); /* pthread_join() returns a moment earlier */
        taken = t_now() - posted;
        if (taken < time)
            t_until(bough_post_status(post) == BOUGH_POST_ENDED);
        else
            bough_release_thread(thread);
        CHECK_ERR(bough_alive(thread), ESRCH);
    } while (taken >= time && (time *= 4));
    CHECK_EQ(c_count, 0);
    CHECK_EQ(bough_on_transition(NULL, NULL), 0);
}

/* The kernel assigns ids in order, so the test can choose the id of the next thread. */
static bool next_id_is(pid_t tid)
{
    char text[16];
    int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool done = write(fd, text, (size_t)snprintf(text, sizeof text, "%d", (int)tid - 1)) > 0;
    close(fd);
    return done;
}

TEST(another_thread_with_the_same_id_is_another_target)
{
    struct plain first = {0}, second = {0};
    plain_start(&first);
    bough_thread *thread = bough_adopt_thread(first.thread.tid, "first");
    CHECK_EQ(bough_interrupt(thread, "for the first"), 0);
    pid_t tid = first.thread.tid;
    int64_t later = t_now() + BOUGH_MS(20); /* the kernel gives start times in steps of 10 ms */
    plain_end(&first);
    t_until(t_now() > later);
    for (int tries = 0; tries < 100 && second.thread.tid != tid; tries++) {
        if (second.thread.tid)
            plain_end(&second);
        if (!next_id_is(tid))
            SKIP("ids can't be chosen here");
        plain_start(&second);
    }
    if (second.thread.tid != tid)
        SKIP("another process has taken the id");
    plain_goes_on(&second, 'u');
    t_gate_wait(&second.used);
    CHECK_EQ(second.at_check, 0);
    CHECK(second.self != thread);
    plain_end(&second);
}

static int check_in_child(bough_thread *thread)
{
    if (bough_alive(thread) == 0)
        return 1;
    if (bough_check() != 0)
        return 2;
    return bough_self() == thread ? 3 : 0;
}

static void *forks_when_asked(void *argument)
{
    struct plain *p = argument;
    char byte;
    int status;
    CHECK_EQ(read(p->pipe[0], &byte, 1), 1);
    pid_t pid = fork();
    if (pid == 0)
        _exit(check_in_child(p->self));
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EXITED(status, 0);
    p->at_check = bough_check();
    return NULL;
}

TEST(a_forked_process_starts_without_posts_to_plain_threads)
{
    struct plain p = {0};
    needs_threads_after_fork(); /* the ticker */
    CHECK_EQ(pipe(p.pipe), 0);
    t_spawn(&p.thread, forks_when_asked, &p);
    p.self = bough_adopt_thread(p.thread.tid, "forks");
    CHECK_EQ(bough_interrupt(p.self, "in the parent"), 0);
    plain_end(&p);
    CHECK_EQ(p.at_check, -1);
}

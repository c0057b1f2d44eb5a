/* SPDX-License-Identifier: MIT */
/* Rules 1, 5, 6 and 13: the post that sends a wake, the code that a signal belongs to, and a signal that can't be sent.
 * Hooks separate two steps where needed. */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include "state/arena.h"
#include "hooks.h"

/* ---- bough's signal or other code's ------------------------------------------------------------------------------ */

/* Without bough, a SIGURG that the program does not handle would not end a plain poll(); with bough, bough's handler
 * runs. */
static void by_poll(struct target *t)
{
    struct pollfd fd = {.fd = t->pipe[0], .events = POLLIN};
    t_gate_open(&t->known);
    t->result = bough_poll(&fd, 1, -1);
}

static void *polls(void *argument)
{
    struct target *t = argument;
    t->self = bough_self();
    by_poll(t);
    return NULL;
}

TEST(a_signal_without_a_handler_does_not_end_a_poll)
{
    struct target t = {0};
    CHECK_EQ(pipe(t.pipe), 0);
    t_spawn(&t.thread, polls, &t);
    t_gate_wait(&t.known);
    t_until_blocked(t.thread.tid);
    for (int i = 0; i < 10; i++) {
        pthread_kill(t.thread.handle, SIGURG);
        t_until_blocked(t.thread.tid);
    }
    CHECK_EQ(write(t.pipe[1], "x", 1), 1);
    t_join(&t.thread);
    CHECK_EQ(t.result, 1);
    close(t.pipe[0]);
    close(t.pipe[1]);
}

/* A signal that is pending for the process is for the program's threads, not for the ticker. */
static _Atomic int handled;

static void count_one(int signo)
{
    (void)signo;
    handled++;
}

TEST(the_ticker_does_not_take_a_signal_that_is_pending_for_the_process)
{
    bough_self();
    CHECK_EQ(bough_usleep(1), 0); /* starts the ticker */
    catch_signal(SIGURG, count_one, SA_RESTART, 0);
    for (int i = 0; i < 20; i++) {
        sigset_t all, before, waiting;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, &before);
        kill(getpid(), SIGURG);
        struct timespec moment = {0, 2000000};
        nanosleep(&moment, NULL); /* time for the ticker to take the signal, if it could */
        sigpending(&waiting);
        CHECK_EQ(sigismember(&waiting, SIGURG), 1);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        CHECK_EQ(handled, i + 1);
    }
    catch_signal(SIGURG, SIG_DFL, 0, 0);
}

/* ---- a signal that can't be sent --------------------------------------------------------------------------------- */

static void forbid(int call)
{
    struct sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                                   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
                                   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                                   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
        SKIP("no seccomp here: %s", strerror(errno));
}

TEST(a_wake_uses_another_system_call_where_one_is_forbidden)
{
    struct target t = {0};
    target_start(&t);
    forbid(SYS_rt_tgsigqueueinfo);
    CHECK_EQ(bough_interrupt(t.self, "by tgkill()"), 0);
    target_was_cut(&t);
    target_end(&t);
}

static _Atomic int refused;

static void note_refusal(const char *line)
{
    refused |= strstr(line, "could not be sent") != NULL;
}

/* Both system calls are forbidden: the read returns its data, and the record waits for the next point. */
TEST(a_call_returns_even_if_its_wake_could_not_be_sent)
{
    struct target t = {0};
    bough_set_report(note_refusal);
    target_start(&t);
    forbid(SYS_rt_tgsigqueueinfo);
    forbid(SYS_tgkill);
    CHECK_EQ(bough_interrupt(t.self, "in vain"), 0);
    t_until(refused);
    CHECK_EQ(write(t.pipe[1], "x", 1), 1);
    t_gate_wait(&t.cut);
    CHECK_EQ(t.result, 1);
    target_end(&t);
}

TEST(a_wake_that_finds_no_room_is_sent_when_there_is_room)
{
    struct rlimit full, before;
    struct target t = {.before = target_blocks_signals};
    bough_set_report(note_refusal);
    target_start(&t);
    CHECK_EQ(getrlimit(RLIMIT_SIGPENDING, &before), 0);
    full = (struct rlimit){0, before.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_SIGPENDING, &full), 0);
    CHECK_EQ(bough_interrupt(t.self, "no room"), 0);
    t_until(refused);
    CHECK(!t_gate_is_open(&t.cut));
    CHECK_EQ(setrlimit(RLIMIT_SIGPENDING, &before), 0);
    target_was_cut(&t);
    target_end(&t);
}

/* ---- the count of senders ---------------------------------------------------------------------------------------- */

#if BO_HOOKS
static void *post_slowly(void *argument)
{
    hooked = t_tid();
    CHECK_EQ(bough_interrupt(((struct target *)argument)->self, "its signal comes late"), 0);
    return NULL;
}

/* Fixed bug: a flood of foreign signals delayed a wake for seconds. The handler checks the word, not the sender of the
 * signal: any signal of this number ends a call that is due. The ladder's times are long, so the ticker does not
 * check and send meanwhile. */
TEST(a_foreign_signal_ends_a_call_that_is_due)
{
    struct bough_ladder slow = {.time = {[BOUGH_RUNG_FLAG] = BOUGH_SEC(3600)}, .cap = BOUGH_SEC(7200)};
    struct target t = {0};
    struct t_thread poster;
    CHECK_EQ(bough_ladder_set(BOUGH_ROOT, &slow), 0);
    target_start(&t);
    bo_hook_post_sent = stop_here;
    t_spawn(&poster, post_slowly, &t);
    t_gate_wait(&hook_reached);
    CHECK(word_of(t.self) & BO_IN);
    pthread_kill(t.thread.handle, SIGURG);
    t_until(word_of(t.self) & BO_WAITS); /* the thread has left the call, and waits for the poster */
    CHECK_EQ(word_of(t.self) & BO_IN, 0);
    t_gate_open(&hook_go);
    t_join(&poster);
    target_was_cut(&t);
    target_end(&t);
}

enum { POSTERS = 20, MOST = (int)(BO_SENDERS / BO_SENDER) };
static uint32_t stopped;

static void stop_each(void)
{
    __atomic_add_fetch(&stopped, 1, __ATOMIC_SEQ_CST);
    t_gate_wait(&hook_go);
}

/* Clears the record of each post, so that the next poster becomes a sender as well. */
static void clear_it(int signo)
{
    int saved = errno;
    (void)signo;
    bough_clear(NULL);
    handled++;
    errno = saved;
}

static void *post_one(void *argument)
{
    CHECK_EQ(bough_interrupt(((struct target *)argument)->self, "one of many"), 0);
    return NULL;
}

TEST(more_senders_than_can_be_counted_wait_for_their_turn)
{
    if (T_TSAN)
        SKIP("the thread sanitizer delays handlers in calls that it does not know");
    struct target t = {0};
    struct t_thread poster[POSTERS];
    catch_signal(SIGUSR1, clear_it, SA_RESTART, 0);
    target_start(&t);
    bo_hook_post_sent = stop_each;
    for (int i = 0; i < POSTERS; i++) {
        t_spawn(&poster[i], post_one, &t);
        if (i < MOST) {
            t_until(__atomic_load_n(&stopped, __ATOMIC_SEQ_CST) == (uint32_t)i + 1);
            CHECK_EQ((word_of(t.self) & BO_SENDERS) / BO_SENDER, i + 1);
            handled = 0;
            pthread_kill(t.thread.handle, SIGUSR1);
            t_until(handled);
        } else {
            t_until(bo_load_seq(&bo_thread_of_handle(t.self)->t.pins) == (uint32_t)i + 1);
        }
    }
    CHECK_EQ(stopped, MOST);
    t_gate_open(&hook_go);
    for (int i = 0; i < POSTERS; i++)
        t_join(&poster[i]);
    target_was_cut(&t);
    CHECK_EQ(word_of(t.self) & BO_UNDER_WAY, 0);
    target_end(&t);
}
#endif

/* ---- posts that change a record ---------------------------------------------------------------------------------- */

/* A record for a thread alone becomes one for its whole subtree. A thread that has another record pending is woken as
 * well. */
struct family {
    struct t_gate child_known, in_cleanup, in_call;
    bough_thread *owner, *child;
    int fds[2], error;
};

static int child_in_a_cleanup(void *argument)
{
    struct family *f = argument;
    char byte;
    f->child = bough_self();
    t_gate_open(&f->child_known);
    CHECK_ERR(bough_read(f->fds[0], &byte, 1), ECANCELED);
    BOUGH_CLEANUP(BOUGH_SEC(60)) {
        t_gate_open(&f->in_cleanup);
        f->error = bough_read(f->fds[0], &byte, 1) < 0 ? errno : 0;
    }
    return 0;
}

static void *family_main(void *argument)
{
    struct family *f = argument;
    f->owner = bough_self();
    BOUGH_BRANCH(b) {
        CHECK(bough_add(b, child_in_a_cleanup, bough_arg(f)));
    }
    return NULL;
}

TEST(a_repeat_that_widens_a_record_wakes_the_subtree)
{
    struct family f = {0};
    struct t_thread owner;
    CHECK_EQ(pipe(f.fds), 0);
    t_spawn(&owner, family_main, &f);
    t_gate_wait(&f.child_known);
    CHECK_EQ(bough_interrupt(f.child, "the child's own"), 0);
    t_gate_wait(&f.in_cleanup);
    struct bough_event event = {.kind = BOUGH_OPERATOR, .flags = BOUGH_ALONE, .reason = "alone"};
    CHECK(bough_post_event(f.owner, &event).record);
    event.flags = 0;
    CHECK(bough_post_event(f.owner, &event).record);
    t_join(&owner);
    CHECK_EQ(f.error, ECANCELED);
    close(f.fds[0]);
    close(f.fds[1]);
}

/* SPDX-License-Identifier: MIT */
/* The state that a worker resets between two children. */
#include <locale.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include "semantics/reuse.h"

/* ---- put back ---------------------------------------------------------------------------------------------------- */

static int leave_mask(void *unused)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return nothing(unused);
}

TEST(the_signal_mask_is_reset)
{
    check_shed(leave_mask, look_at_mask, 1);
}

static char alternate[1 << 16];

static int leave_stack(void *unused)
{
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    CHECK_EQ(sigaltstack(&stack, NULL), 0);
    return nothing(unused);
}

static int look_at_stack(void *unused)
{
    stack_t stack;
    sigaltstack(NULL, &stack);
    CHECK(stack.ss_flags & SS_DISABLE);
    return nothing(unused);
}

TEST(the_alternate_stack_is_disabled)
{
    check_shed(leave_stack, look_at_stack, 1);
}

static int leave_name(void *unused)
{
    prctl(PR_SET_NAME, "by the kernel");
    return nothing(unused);
}

static int leave_bough_name(void *unused)
{
    bough_set_name("by bough");
    return nothing(unused);
}

static int look_at_name(void *unused)
{
    char name[16];
    prctl(PR_GET_NAME, name);
    CHECK_STR(name, "bough-worker");
    CHECK_EQ(bough_get_name(bough_self(), name, sizeof name), 0);
    return nothing(unused);
}

/* Fixed bug: only names that bough itself had set were reset. */
TEST(the_name_is_reset)
{
    check_shed(leave_name, look_at_name, 1);
    check_shed(leave_bough_name, look_at_name, 1);
}

static int leave_locale(void *unused)
{
    uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));
    return nothing(unused);
}

static int look_at_locale(void *unused)
{
    CHECK(uselocale((locale_t)0) == LC_GLOBAL_LOCALE);
    return nothing(unused);
}

TEST(the_locale_is_reset)
{
    check_shed(leave_locale, look_at_locale, 1);
}

static int leave_errno(void *unused)
{
    nothing(unused);
    errno = EDOM;
    return 0;
}

static int look_at_errno(void *unused)
{
    CHECK_EQ(errno, 0);
    return nothing(unused);
}

TEST(errno_is_reset)
{
    check_shed(leave_errno, look_at_errno, 1);
}

static int leave_cancel_state(void *unused)
{
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    return nothing(unused);
}

static int look_at_cancel_state(void *unused)
{
    int state, type;
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
    pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &type);
    CHECK_EQ(state, PTHREAD_CANCEL_ENABLE);
    CHECK_EQ(type, PTHREAD_CANCEL_DEFERRED);
    return nothing(unused);
}

/* Fixed bug: cancel state and type were not reset. */
TEST(cancel_state_and_type_are_reset)
{
    check_shed(leave_cancel_state, look_at_cancel_state, 1);
}

static struct bough_region forgotten;

static int leave_level(void *unused)
{
    CHECK_EQ(bough_critical_begin(&forgotten, BOUGH_SEC(100), __FILE__, __LINE__), 0);
    CHECK_EQ(bough_level(), BOUGH_DISABLED);
    return nothing(unused);
}

static int look_at_level(void *unused)
{
    CHECK_EQ(bough_level(), BOUGH_DEFERRED);
    return nothing(unused);
}

TEST(the_level_is_reset)
{
    check_shed(leave_level, look_at_level, 1);
}

static int look_at_disabled(void *unused)
{
    CHECK_EQ(bough_level(), BOUGH_DISABLED);
    BOUGH_ALLOW
    CHECK_EQ(bough_level(), BOUGH_DEFERRED);
    return nothing(unused);
}

TEST(a_child_started_disabled_leaves_nothing_behind)
{
    need_reuse();
    BOUGH_BRANCH(b)
        CHECK(bough_add_with(b, look_at_disabled, bough_arg(NULL), &(struct bough_child_options){.disabled = 1}));
    CHECK_EQ(bough_last_result(), 0);
    run(look_at_level);
}

static int leave_interrupt(void *unused)
{
    bough_interrupt(bough_self(), "the child before");
    return nothing(unused);
}

static int look_at_interrupt(void *unused)
{
    CHECK_EQ(bough_interrupted(), 0);
    CHECK_EQ(bough_check(), 0);
    return nothing(unused);
}

TEST(interrupts_of_the_previous_child_are_gone)
{
    check_shed(leave_interrupt, look_at_interrupt, 1);
}

static int event_fd;

static int leave_event_fd(void *unused)
{
    event_fd = bough_event_fd();
    CHECK(event_fd >= 0);
    return nothing(unused);
}

TEST(the_event_descriptor_is_reset)
{
    check_shed(leave_event_fd, look_at_interrupt, 1);
    CHECK_ERR(close(event_fd), EBADF);
}

/* ---- state that ends the thread ---------------------------------------------------------------------------------- */

static pthread_key_t key;
static _Atomic int destroyed;

static void count_destroyed(void *value)
{
    (void)value;
    destroyed++;
}

static int leave_key(void *unused)
{
    pthread_setspecific(key, &key);
    return nothing(unused);
}

static int look_at_key(void *unused)
{
    CHECK(!pthread_getspecific(key));
    return nothing(unused);
}

TEST(a_value_under_a_pthread_key_ends_the_thread)
{
    pthread_key_create(&key, count_destroyed);
    check_shed(leave_key, look_at_key, 0);
    CHECK_EQ(destroyed, 1);
}

static int leave_affinity(void *unused)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(sched_getcpu(), &set);
    CHECK_EQ(sched_setaffinity(0, sizeof set, &set), 0);
    return nothing(unused);
}

static cpu_set_t mains;

static int look_at_affinity(void *unused)
{
    cpu_set_t set;
    CHECK_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    CHECK(CPU_EQUAL(&set, &mains));
    return nothing(unused);
}

TEST(a_changed_affinity_ends_the_thread)
{
    sched_getaffinity(0, sizeof mains, &mains);
    if (CPU_COUNT(&mains) < 2)
        SKIP("one processor only");
    check_shed(leave_affinity, look_at_affinity, 0);
}

/* Fixed bug: a child got the affinity of the thread that had started its worker. */
TEST(the_affinity_is_the_adders)
{
    cpu_set_t one;
    sched_getaffinity(0, sizeof mains, &mains);
    if (CPU_COUNT(&mains) < 2)
        SKIP("one processor only");
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    for (int i = 0; i < 3; i++) {
        cpu_set_t all = mains;
        run(look_at_affinity);
        mains = one;
        CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
        run(look_at_affinity);
        mains = all;
        CHECK_EQ(sched_setaffinity(0, sizeof all, &all), 0);
    }
}

static int leave_nice(void *unused)
{
    int nice = getpriority(PRIO_PROCESS, (id_t)getpid());
    CHECK(nice < 19); /* the test needs a higher nice value */
    CHECK_EQ(setpriority(PRIO_PROCESS, (id_t)t_tid(), nice + 1), 0);
    return nothing(unused);
}

static int look_at_nice(void *unused)
{
    CHECK_EQ(getpriority(PRIO_PROCESS, (id_t)t_tid()), getpriority(PRIO_PROCESS, (id_t)getpid()));
    return nothing(unused);
}

TEST(a_changed_nice_value_ends_the_thread)
{
    check_shed(leave_nice, look_at_nice, 0);
}

static int leave_policy(void *unused)
{
    CHECK_EQ(syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &(struct sched_param){0}), 0); /* musl has no call */
    return nothing(unused);
}

static int look_at_policy(void *unused)
{
    CHECK_EQ(syscall(SYS_sched_getscheduler, 0), SCHED_OTHER);
    return nothing(unused);
}

TEST(a_changed_scheduling_policy_ends_the_thread)
{
    check_shed(leave_policy, look_at_policy, 0);
}

static int leave_cancellation(void *unused)
{
    pthread_cancel(pthread_self());
    return nothing(unused);
}

/* Fixed bug: the cancellation ended the next child. */
TEST(a_pending_cancellation_does_not_reach_the_next_child)
{
    check_shed(leave_cancellation, look_at_cancel_state, 0);
}

/* Fixed bug: the cancellation ended the next child. */
static pthread_t parked_handle;
static pid_t parked_tid;

static int note_itself(void *unused)
{
    (void)unused;
    parked_handle = pthread_self();
    parked_tid = t_tid();
    return 0;
}

static int sees_another_thread(void *adder)
{
    CHECK(t_tid() != parked_tid);
    CHECK(bough_self() != adder);
    CHECK_EQ(bough_usleep(1000), 0);
    CHECK_EQ(bough_interrupt(bough_self(), "it can be woken"), 0);
    CHECK_ERR(bough_usleep(1000), ECANCELED);
    return 0;
}

TEST(a_cancellation_of_a_parked_thread_does_not_reach_the_next_child)
{
    need_cancellation();
    for (int i = 0; i < 20; i++) {
        BOUGH_BRANCH(b)
            CHECK(bough_add(b, note_itself, bough_arg(NULL)));
        CHECK_EQ(pthread_cancel(parked_handle), 0);
        BOUGH_BRANCH(b)
            CHECK(bough_add(b, sees_another_thread, bough_arg(bough_self())));
        CHECK_EQ(bough_last_result(), 0);
    }
}

static int leave_signal(void *unused)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    pthread_kill(pthread_self(), SIGUSR1); /* would end the process */
    return nothing(unused);
}

/* Fixed bug: the next child got the signal. */
TEST(a_pending_blocked_signal_ends_the_thread)
{
    check_shed(leave_signal, look_at_mask, 0);
}

#if defined(__x86_64__)
#include <fenv.h>
#include <xmmintrin.h>

static int leave_rounding(void *unused)
{
    _MM_SET_ROUNDING_MODE(_MM_ROUND_UP);
    return nothing(unused);
}

static int look_at_rounding(void *unused)
{
    CHECK_EQ(_MM_GET_ROUNDING_MODE(), _MM_ROUND_NEAREST);
    return nothing(unused);
}

TEST(another_rounding_mode_ends_the_thread)
{
    check_shed(leave_rounding, look_at_rounding, 0);
}
#endif

/* SPDX-License-Identifier: MIT */
/* Many threads, threads with little stack or on another stack, threads that loop in a handler, and threads that never
 * end. */
#include <linux/sched.h>
#include <sched.h>
#include <sys/auxv.h>
#include <ucontext.h>
#include "keeper.h"

/* ---- many -------------------------------------------------------------------------------------------------------- */

enum { MANY = 5000 };

/* Each thread checks once a second: if five thousand checked more often, the ladder would get no processor. */
static int deaf_and_slow(void *unused)
{
    (void)unused;
    in_place();
    while (!may_stop())
        rest(1000);
    return 0;
}

WAY(five_thousand_deaf_threads)
{
    struct bough_child_options small = {.stack = 64 << 10};
    bough_signals(0);
    BOUGH_BRANCH(work) {
        for (int i = 0; i < MANY; i++)
            MUST(bough_add_with(work, deaf_and_slow, bough_arg(NULL), &small));
        wait_until_in_place(MANY);
        begin(work);
    }
}

/* ---- stacks ------------------------------------------------------------------------------------------------------ */

/* Uses the stack by recursion until it has little more room than a signal frame needs. */
static int reads_at_the_end(int fd, const char *top, size_t size)
{
    volatile char here[512];
    char byte;
    here[0] = 0;
    size_t frame = getauxval(AT_MINSIGSTKSZ);
    if ((size_t)(top - (const char *)here) + (frame ? frame : 2048) + 6144 < size)
        return reads_at_the_end(fd, top, size) + here[0];
    about_to_sleep();
    while (bough_read(fd, &byte, 1) != 1)
        rest(20);
    return here[0];
}

static size_t stack_size;

static int has_hardly_a_stack(void *fds)
{
    char top = 0;
    return reads_at_the_end(*(int *)fds, &top, stack_size);
}

WAY(tiny_stack)
{
    int fds[2];
    MUST(pipe(fds) == 0);
    long least = sysconf(_SC_THREAD_STACK_MIN);
    stack_size = least > 16384 ? (size_t)least : 16384;
    bough_signals(0);
    BOUGH_BRANCH(work) {
        MUST(bough_add_with(work, has_hardly_a_stack, bough_arg(fds),
                            &(struct bough_child_options){.stack = stack_size}));
        wait_until_asleep("S");
        begin(work);
    }
}

#ifdef __GLIBC__
static void be_deaf_there(void)
{
    in_place();
    be_deaf();
}

static int switches(void *unused)
{
    static ucontext_t here, there;
    static char stack[64 << 10];
    (void)unused;
    MUST(getcontext(&there) == 0);
    there.uc_stack = (stack_t){.ss_sp = stack, .ss_size = sizeof stack};
    there.uc_link = &here;
    makecontext(&there, be_deaf_there, 0);
    return swapcontext(&here, &there);
}
#else
static int switches(void *unused)
{
    (void)unused;
    skip("this libc has no makecontext()");
}
#endif

WAY(coroutine)
{
    bough_signals(0);
    with_child(switches);
}

/* ---- handlers of signals ----------------------------------------------------------------------------------------- */

static void never_return(int signo)
{
    (void)signo;
    in_place();
    be_deaf();
}

static int is_interrupted_for_ever(void *fds)
{
    char byte;
    about_to_sleep();
    return (int)bough_read(*(int *)fds, &byte, 1);
}

/* The handler has interrupted a call of bough. */
WAY(signal_handler_that_never_returns)
{
    int fds[2];
    MUST(pipe(fds) == 0);
    bough_signals(0);
    signal(SIGUSR1, never_return);
    BOUGH_BRANCH(work) {
        bough_thread *child = bough_add(work, is_interrupted_for_ever, bough_arg(fds));
        MUST(child);
        wait_until_asleep("S");
        sigset_t it;
        sigemptyset(&it);
        sigaddset(&it, SIGUSR1);
        pthread_sigmask(SIG_BLOCK, &it, NULL);
        kill(getpid(), SIGUSR1); /* the child takes it */
        wait_until_in_place(1);
        begin(work);
    }
}

static void do_nothing(int signo)
{
    (void)signo;
}

/* The handler returns to the instruction that faults. */
static int faults_for_ever(void *unused)
{
    static int *volatile nowhere;
    (void)unused;
    in_place();
    return *nowhere;
}

WAY(fault_that_is_repeated)
{
    bough_signals(0);
    signal(SIGSEGV, do_nothing);
    with_child(faults_for_ever);
}

/* Leaves out the first signal, which is bough's, and the signals that end the process. */
static void *ignores_it_again_and_again(void *unused)
{
    while (!bough_interrupted())
        rest(1);
    for (;;)
        signal(SIGTERM, SIG_IGN);
    return unused;
}

WAY(signal_that_is_ignored_again)
{
    pthread_t other;
    bough_signals(0);
    MUST(pthread_create(&other, NULL, ignores_it_again_and_again, NULL) == 0);
    with_child(deaf);
}

/* ---- ends -------------------------------------------------------------------------------------------------------- */

static void *exits(void *unused)
{
    (void)unused;
    about_to_sleep();
    exit(3);
}

/* The exit of a thread that bough does not know; its first handler hangs. */
WAY(exit_that_hangs_already)
{
    pthread_t other;
    bough_signals(0);
    atexit(hang);
    MUST(pthread_create(&other, NULL, exits, NULL) == 0);
    wait_until_asleep("S");
    with_child(deaf);
}

static void hang_at_the_end(void *unused)
{
    (void)unused;
    in_place();
    be_deaf();
}

static int has_a_destructor(void *unused)
{
    static pthread_key_t key;
    (void)unused;
    MUST(pthread_key_create(&key, hang_at_the_end) == 0 && pthread_setspecific(key, &key) == 0);
    return 0;
}

/* The child's function has returned, its thread has not ended. */
WAY(thread_specific_destructor_that_hangs)
{
    bough_signals(0);
    with_child_that(&(struct bough_child_options){.fresh = 1}, has_a_destructor);
}

/* ---- priority ---------------------------------------------------------------------------------------------------- */

struct deadline_attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

/* Nine tenths of a processor, before all other threads. */
static int has_a_deadline(void *unused)
{
    static volatile unsigned long work;
    struct deadline_attributes a = {
        .size = sizeof a, .policy = 6, .runtime = 9000000, .deadline = 10000000, .period = 10000000};
    (void)unused;
    MUST(syscall(SYS_sched_setattr, 0, &a, 0) == 0);
    in_place();
    while (!may_stop())
        work++;
    return 0;
}

WAY(loop_before_all_else)
{
    bough_signals(0);
    with_child(has_a_deadline);
}

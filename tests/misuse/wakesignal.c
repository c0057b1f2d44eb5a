/* SPDX-License-Identifier: MIT */
/* A program that uses the wake signal itself, blocks it, or names another. */
#include <sys/resource.h>
#include "semantics/target.h"

/* ---- a handler of the program ------------------------------------------------------------------------------------ */

static _Atomic int other_handler_ran;

static void other_handler(int signo)
{
    CHECK_EQ(signo, SIGURG);
    other_handler_ran++;
}

static int is_bough_handler_back(void)
{
    struct sigaction now;
    CHECK_EQ(sigaction(SIGURG, NULL, &now), 0);
    return (now.sa_flags & SA_SIGINFO) != 0;
}

static void take_over_by(void (*handler)(int))
{
    struct target t = {0};
    bough_set_report(keep_report);
    target_start(&t);
    catch_signal(SIGURG, handler, SA_RESTART, 0);
    CHECK_EQ(bough_interrupt(t.self, "now"), 0);
    target_was_cut(&t);
    target_end(&t);
    t_until(reported("was taken by other code"));
    CHECK(reported("BOUGH_SIGNAL"));
    CHECK(is_bough_handler_back());
    other_handler_ran = 0;
    CHECK_EQ(kill(getpid(), SIGURG), 0); /* to the process, as the kernel sends it for urgent data */
    raise(SIGURG);
}

TEST(a_handler_that_took_the_wake_signal_still_gets_the_programs_signals)
{
    take_over_by(other_handler);
    CHECK_EQ(other_handler_ran, 2);
}

TEST(a_program_that_ignores_the_wake_signal_goes_on_ignoring_it)
{
    take_over_by(SIG_IGN);
}

TEST(a_program_that_resets_the_wake_signal_is_not_killed_by_it)
{
    take_over_by(SIG_DFL);
}

/* The program's handler was installed before bough's: the program notices no difference. */
static void installed_first(void *unused)
{
    (void)unused;
    CHECK_EQ(other_handler_ran, 0);
}

TEST(foreign_wakes_during_a_call_interrupt_nothing)
{
    struct target t = {0};
    bough_set_report(keep_report);
    target_start(&t);
    installed_first(NULL);
    for (int i = 0; i < 100; i++) {
        pthread_kill(t.thread.handle, SIGURG);
        kill(getpid(), SIGURG);
    }
    t_until_blocked(t.thread.tid);
    CHECK_EQ(write(t.pipe[1], "x", 1), 1);
    t_gate_wait(&t.cut);
    CHECK_EQ(t.result, 1);
    target_end(&t);
}

/* ---- blocked ----------------------------------------------------------------------------------------------------- */

static void still_blocked(struct target *t)
{
    sigset_t mask;
    (void)t;
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &mask), 0);
    CHECK_EQ(sigismember(&mask, SIGURG), 1);
    CHECK_EQ(sigismember(&mask, SIGTERM), 1);
}

TEST(a_thread_that_blocks_all_signals_is_woken_and_keeps_its_mask)
{
    bough_set_report(keep_report);
    for (int i = 0; i < 20; i++) {
        struct target t = {.before = target_blocks_signals, .after = still_blocked};
        target_start(&t);
        CHECK_EQ(bough_interrupt(t.self, "now"), 0);
        target_was_cut(&t);
        target_end(&t);
    }
}

/* A child inherits its adder's mask, except for the wake signal. */
static _Atomic pid_t reader;

static void inherited(void)
{
    sigset_t mask;
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &mask), 0);
    CHECK_EQ(sigismember(&mask, SIGTERM), 1);
    CHECK_EQ(sigismember(&mask, SIGURG), 0);
}

static int read_blocked(void *fd)
{
    inherited();
    reader = t_tid();
    int error = read_for_ever(fd);
    inherited();
    return error;
}

TEST(children_of_a_thread_that_blocks_all_signals_are_woken)
{
    int pair[2];
    sigset_t before;
    CHECK_EQ(pipe(pair), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    bough_set_report(keep_report);
    block_all_signals();
    for (int i = 0; i < 20; i++) {
        reader = 0;
        BOUGH_BRANCH(b) {
            CHECK(bough_add(b, read_blocked, bough_resource_of((void *)(intptr_t)pair[0], NULL)));
            t_until(reader);
            t_until_blocked(reader);
            CHECK_EQ(bough_interrupt(b, "now"), 0);
        }
        CHECK_EQ(bough_last()->tally.count[BOUGH_INTERRUPTED], 1);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(pair[0]);
    close(pair[1]);
}

/* ---- another signal: the environment is read when the library is loaded, so in a new process --------------------- */

static uint64_t caught_signals(void)
{
    char line[256];
    unsigned long long set = 0;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof line, f) && sscanf(line, "SigCgt: %llx", &set) != 1) {
    }
    if (f)
        fclose(f);
    return set;
}

/* Prints the wake signal, and interrupts a call by it. */
TEST(bad_report_the_signal)
{
    uint64_t caught = caught_signals();
    struct target t = {0};
    for (int signo = 1; signo <= 64; signo++)
        if (caught >> (signo - 1) & 1)
            t_note("caught: %d.", signo);
    target_start(&t);
    CHECK_EQ(bough_interrupt(t.self, "now"), 0);
    target_was_cut(&t);
    target_end(&t);
    BOUGH_BRANCH(b) {
        CHECK(bough_add(b, read_for_ever, bough_fd(dup(0))));
        bough_interrupt(b, "now");
    }
    t_note("done");
}

/* Prints when a wake was refused, and when it came. */
TEST(bad_find_no_room)
{
    struct rlimit full, before;
    struct target t = {0};
    bough_set_report(keep_report);
    target_start(&t);
    CHECK_EQ(getrlimit(RLIMIT_SIGPENDING, &before), 0);
    full = (struct rlimit){0, before.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_SIGPENDING, &full), 0);
    CHECK_EQ(bough_interrupt(t.self, "no room"), 0);
    t_until(reported("could not be sent"));
    CHECK_EQ(__atomic_load_n(&t.cut.open, __ATOMIC_ACQUIRE), 0);
    CHECK_EQ(setrlimit(RLIMIT_SIGPENDING, &before), 0);
    target_was_cut(&t);
    target_end(&t);
    t_note("refused, then sent");
}

static const char *test_to_run = "bad_report_the_signal";

static void run_again(void *value)
{
    setenv("BOUGH_SIGNAL", value, 1);
    execl("/proc/self/exe", "again", "--here", test_to_run, (char *)NULL);
    _exit(127);
}

static void says(const char *value, const char *wanted, int complains)
{
    char text[4096];
    CHECK_EXITED(t_run_output(run_again, (void *)(uintptr_t)value, text, sizeof text), 0);
    if (!strstr(text, wanted) || !strstr(text, "done") || complains != !!strstr(text, "BOUGH_SIGNAL="))
        FAIL("with \"%s\": %s", value, text);
}

TEST(a_real_time_signal_can_be_used)
{
    char number[8], wanted[24];
    for (int signo = SIGRTMIN; signo <= SIGRTMAX; signo += SIGRTMAX - SIGRTMIN) {
        snprintf(number, sizeof number, "%d", signo);
        snprintf(wanted, sizeof wanted, "caught: %d.", signo);
        says(number, wanted, 0);
    }
#ifdef __GLIBC__
    says("34", "caught: 34.", 0);
#endif
}

/* Fixed bug: the refusal was ignored, and the thread was never woken. The kernel queues each real-time signal, if there
 * is room. */
TEST(a_real_time_signal_for_which_there_is_no_room_is_sent_later)
{
    char number[8], text[4096];
    snprintf(number, sizeof number, "%d", SIGRTMAX);
    test_to_run = "bad_find_no_room";
    CHECK_EXITED(t_run_output(run_again, number, text, sizeof text), 0);
    CHECK(strstr(text, "refused, then sent"));
}

TEST(the_default_is_sigurg)
{
    char wanted[24];
    snprintf(wanted, sizeof wanted, "caught: %d.", SIGURG);
    says("", wanted, 0);
}

/* SIGKILL, SIGSTOP, faults, libc's signals, and values that are no signal number. */
TEST(an_unusable_signal_is_reported_and_sigurg_used)
{
    static const char *const nonsense[] = {"9",   "19",      "11",   "7",          "8",
                                           "4",   "5",       "32",   "33",         "0",
                                           "-1",  "65",      "1000", "4294967319", "99999999999999999999",
                                           "x",   "SIGUSR1", "10x",  "0x22",       "1 2",
                                           "3.5", " "};
    char wanted[24];
    snprintf(wanted, sizeof wanted, "caught: %d.", SIGURG);
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++)
        says(nonsense[i], wanted, 1);
}

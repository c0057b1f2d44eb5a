/* SPDX-License-Identifier: MIT */
/* Rule 13, the signal's number: other code may use the wake signal as well, and BOUGH_SIGNAL selects another one. */
#include <signal.h>
#include <unistd.h>
#include "../sync/not_under.h"
#include "target.h"

/* ---- other code uses the signal, too ----------------------------------------------------------------------------- */

static struct sigaction before_theirs;
static volatile uint32_t wakes;

static void other_handler(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)info;
    (void)context;
    wakes++;
}

/* A careful library calls the previous handler. */
static void other_handler_that_forwards(int signo, siginfo_t *info, void *context)
{
    wakes++;
    if (before_theirs.sa_flags & SA_SIGINFO)
        before_theirs.sa_sigaction(signo, info, context);
}

static void take_the_signal(void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigemptyset(&action.sa_mask);
    CHECK_EQ(sigaction(SIGURG, &action, &before_theirs), 0);
}

TEST(bough_reinstalls_its_handler_for_a_signal_that_was_taken)
{
    struct target t = {0};
    bough_set_report(keep_report);
    target_start(&t);
    take_the_signal(other_handler);
    CHECK_EQ(bough_interrupt(t.self, "now"), 0);
    target_was_cut(&t);
    t_until(reported("was taken by other code"));
    target_end(&t);
    wakes = 0;
    raise(SIGURG);
    CHECK_EQ(wakes, 1); /* the other code's signal is forwarded */
}

TEST(a_handler_that_forwards_the_wake_is_supported)
{
    struct target t = {0};
    bough_set_report(keep_report);
    target_start(&t);
    take_the_signal(other_handler_that_forwards);
    CHECK_EQ(bough_interrupt(t.self, "now"), 0);
    target_was_cut(&t);
    CHECK(!reported("blocks signal"));
    /* If the target does not run for 50 ms, bough reinstalls its handler before the signal arrives. */
    t_until(wakes >= 1 || reported("was taken by other code"));
    target_end(&t);
    CHECK_EQ(sigaction(SIGURG, &before_theirs, NULL), 0);
}

/* bough has replaced a handler that forwards to bough's: a signal that is for neither must not be forwarded in a
 * loop. */
TEST(a_foreign_signal_is_not_forwarded_in_a_loop)
{
    struct target t = {0};
    bough_set_report(keep_report);
    target_start(&t);
    take_the_signal(other_handler);
    CHECK_EQ(bough_interrupt(t.self, "now"), 0);
    target_was_cut(&t);
    target_end(&t);
    struct target second = {0};
    take_the_signal(other_handler_that_forwards); /* over bough's handler, which is over the other code's */
    struct sigaction mannered;
    /* bough's handler again, as if bough had reinstalled it */
    CHECK_EQ(sigaction(SIGURG, &before_theirs, &mannered), 0);
    target_start(&second);
    CHECK_EQ(sigaction(SIGURG, &mannered, NULL), 0);
    wakes = 0;
    raise(SIGURG);
    CHECK(wakes >= 1);
    CHECK_EQ(bough_interrupt(second.self, "now"), 0);
    target_was_cut(&second);
    target_end(&second);
    CHECK_EQ(sigaction(SIGURG, &before_theirs, NULL), 0);
}

/* ---- another signal ---------------------------------------------------------------------------------------------- */

static char exe[256];

/* The library reads the environment when it is loaded, so this needs a new process. */
static void run_again(void *value)
{
    setenv("BOUGH_SIGNAL", value, 1);
    execl(exe, exe, "--here", "bad_report_the_signal", (char *)NULL);
    _exit(127);
}

static const char *signal_with(const char *value, char *text, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    CHECK(n > 0);
    int status = t_run_output(run_again, (void *)(uintptr_t)value, text, size);
    CHECK_EXITED(status, 0);
    return text;
}

static void catches(int signo, const char *name)
{
    struct sigaction now;
    CHECK_EQ(sigaction(signo, NULL, &now), 0);
    if (now.sa_handler != SIG_DFL)
        t_note("caught: %s", name);
}

TEST(bad_report_the_signal)
{
    struct target t = {0};
    catches(SIGURG, "urg");
    catches(SIGUSR2, "usr2");
    target_start(&t);
    CHECK_EQ(bough_interrupt(t.self, "now"), 0);
    target_was_cut(&t);
    target_end(&t);
}

TEST(the_environment_names_another_signal)
{
    if (under_qemu())
        SKIP("qemu-user can't run its own program again");
    char text[2048], number[8];
    snprintf(number, sizeof number, "%d", SIGUSR2);
    CHECK(strstr(signal_with(number, text, sizeof text), "caught: usr2"));
    CHECK(!strstr(text, "caught: urg"));
}

TEST(a_signal_that_cant_be_caught_is_reported_and_sigurg_used)
{
    if (under_qemu())
        SKIP("qemu-user can't run its own program again");
    static const char *const wrong[] = {"9", "0", "-3", "65", "32", "words", "12x"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[2048];
        CHECK(strstr(signal_with(wrong[i], text, sizeof text), "caught: urg"));
        CHECK(strstr(text, "BOUGH_SIGNAL"));
    }
}

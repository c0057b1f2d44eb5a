/* SPDX-License-Identifier: MIT */
/* main(), one process for each test, and TAP. harness.h has the interface for tests; tools.c has their tools, leaks.c
 * the checks after a test. */
#include "harness_internal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

/* The results that a test's processes report to the parent, in shared memory: that needs no descriptor, and works while
 * the test's standard error is closed. */
enum { REPORT_SIZE = 1 << 16 };
struct report {
    uint32_t failed;  /* a check has failed, or a leak was found */
    uint32_t skipped; /* SKIP() */
    uint32_t ended;   /* the body has returned, and the checks have run */
    uint32_t used;
    char text[REPORT_SIZE]; /* lines */
};
static struct report *report;

static struct t_test *tests;
static int alone; /* --here: report to standard error */

/* Keeps the tests in the order of the file, because constructors may run in any order. */
void t_register(struct t_test *test)
{
    struct t_test **at = &tests;
    while (*at && (*at)->line < test->line)
        at = &(*at)->next;
    test->next = *at;
    *at = test;
}

/* ---- a test's reports -------------------------------------------------------------------------------------------- */

void t_say(const char *format, va_list arguments)
{
    char line[1024];
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    if (length < 0)
        return;
    if ((size_t)length > sizeof line - 2)
        length = sizeof line - 2;
    line[length++] = '\n';
    if (alone) {
        fprintf(stderr, "%.*s", length, line);
        return;
    }
    uint32_t at = __atomic_fetch_add(&report->used, (uint32_t)length, __ATOMIC_RELAXED);
    if (at + (uint32_t)length < REPORT_SIZE)
        memcpy(report->text + at, line, (size_t)length);
}

void t_note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    t_say(format, arguments);
    va_end(arguments);
}

static void end_test(void)
{
    fflush(stdout);
    if (alone)
        abort();
    _exit(1);
}

void t_fail(const char *file, int line, const char *format, ...)
{
    const char *slash = strrchr(file, '/');
    char text[900];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    t_note("%s:%d: %s", slash ? slash + 1 : file, line, text);
    __atomic_store_n(&report->failed, 1, __ATOMIC_RELEASE);
    end_test();
    __builtin_unreachable();
}

void t_skip(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    t_say(format, arguments);
    va_end(arguments);
    __atomic_store_n(&report->skipped, 1, __ATOMIC_RELEASE);
    end_test();
    __builtin_unreachable();
}

/* ---- the child --------------------------------------------------------------------------------------------------- */

static void run_here(struct t_test *test)
{
    struct t_state before;
    t_settle();
    t_state_take(&before);
    test->body();
    fflush(stdout);
    if (t_state_compare(&before))
        __atomic_store_n(&report->failed, 1, __ATOMIC_RELEASE);
    __atomic_store_n(&report->ended, 1, __ATOMIC_RELEASE);
}

static void become_child(int output, const sigset_t *mask)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    dup2(output, 1);
    dup2(output, 2);
    close(null);
    close(output);
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigprocmask(SIG_SETMASK, mask, NULL);
}

/* ---- the parent -------------------------------------------------------------------------------------------------- */

int64_t t_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Waits for the child until the time is up. SIGCHLD is blocked, so none is missed between the two calls.
 * Returns 1 if it has ended. */
static int await_child(pid_t pid, int *status, double seconds)
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    int64_t begin = t_now();
    while (waitpid(pid, status, WNOHANG) != pid) {
        if (t_is_over(begin, seconds))
            return 0;
        sigtimedwait(&child, NULL, &(struct timespec){0, 100000000});
    }
    return 1;
}

static void print_lines(const char *prefix, const char *text, size_t length)
{
    while (length > 0) {
        const char *newline = memchr(text, '\n', length);
        size_t line = newline ? (size_t)(newline - text) : length;
        printf("%s%.*s\n", prefix, (int)line, text);
        line += newline != NULL;
        text += line;
        length -= line;
    }
}

static void print_output(int output)
{
    char text[16384];
    ssize_t length = pread(output, text, sizeof text, 0);
    if (length > 0)
        print_lines("# | ", text, (size_t)length);
    if (length == (ssize_t)sizeof text)
        printf("# | ...\n");
}

/* Returns 1 if the test has failed. */
static int print_result(struct t_test *test, int number, int finished, int status, double seconds, int output)
{
    int clean = finished && WIFEXITED(status) && WEXITSTATUS(status) == 0 && report->ended;
    size_t length = report->used < REPORT_SIZE ? report->used : REPORT_SIZE;
    if (report->skipped && !report->failed && finished) {
        printf("ok %d - %s # SKIP %.*s", number, test->name, (int)length, report->text);
        return 0;
    }
    if (clean && !report->failed) {
        printf("ok %d - %s\n", number, test->name);
        print_lines("# ", report->text, length);
        return 0;
    }
    printf("not ok %d - %s\n", number, test->name);
    print_lines("# ", report->text, length);
    if (!finished)
        printf("# not done in %g s (T_SCALE %g)\n", seconds, t_scale());
    else if (WIFSIGNALED(status))
        printf("# killed by signal %d, %s\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (!report->failed && WEXITSTATUS(status) != 0)
        printf("# exited with status %d\n", WEXITSTATUS(status));
    else if (!report->failed)
        printf("# exited before its end\n");
    print_output(output);
    return 1;
}

static int run_forked(struct t_test *test, int number, const sigset_t *mask)
{
    int output = (int)syscall(SYS_memfd_create, "output", 0);
    if (output < 0) {
        printf("Bail out! memfd_create: %s\n", strerror(errno));
        exit(1);
    }
    memset(report, 0, sizeof *report);
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        printf("Bail out! fork: %s\n", strerror(errno));
        exit(1);
    }
    if (pid == 0) {
        become_child(output, mask);
        run_here(test);
        exit(0); /* runs the exit handlers of the library and of sanitizers */
    }
    setpgid(pid, pid); /* also in the child: the first of the two calls takes effect */
    int status = 0;
    double seconds = test->seconds * t_scale();
    int finished = await_child(pid, &status, seconds);
    if (!finished)
        t_describe_threads(pid);
    kill(-pid, SIGKILL); /* ends processes that the test has left behind */
    if (!finished) {
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
    }
    int failed = print_result(test, number, finished, status, seconds, output);
    close(output);
    fflush(stdout);
    return failed;
}

/* ---- main -------------------------------------------------------------------------------------------------------- */

/* Tests named bad_... run only on request: sanity.c uses them to check that the harness detects each fault. */
static int wanted(const struct t_test *test, int count, char **names)
{
    if (count == 0)
        return strncmp(test->name, "bad_", 4) != 0;
    for (int i = 0; i < count; i++)
        if (strcmp(test->name, names[i]) == 0)
            return 1;
    return 0;
}

static int run_all(int count, char **names)
{
    int number = 0, failed = 0;
    for (struct t_test *test = tests; test; test = test->next)
        number += wanted(test, count, names);
    printf("1..%d\n", number);
    if (count > 0 && number == 0)
        return 1;

    sigset_t child, mask;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, &mask);
    sigdelset(&mask, SIGCHLD);
    signal(SIGCHLD, SIG_DFL);
    number = 0;
    for (struct t_test *test = tests; test; test = test->next)
        if (wanted(test, count, names))
            failed += run_forked(test, ++number, &mask);
    return failed > 0;
}

/* Touches the stack, because valgrind 3.19 enlarges the first thread's stack only for accesses of that thread, not for
 * a signal frame. This happens before the tests' processes are forked: in a forked process the new part would be a
 * separate mapping, which libc would take for the whole stack. */
__attribute__((noinline)) static void grow_stack(void)
{
    volatile char room[1 << 17];
    for (size_t i = 0; i < sizeof room; i += 1024)
        room[sizeof room - 1 - i] = 0;
}

/* A test must behave the same under nohup and in the background of a shell, which ignore some signals. */
static void reset_signals(void)
{
    const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        signal(ignored[i], SIG_DFL);
}

int t_main(int argc, char **argv)
{
    grow_stack();
    reset_signals();
    report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED)
        return 1;
    if (argc > 1 && strcmp(argv[1], "--list") == 0) {
        for (struct t_test *test = tests; test; test = test->next)
            puts(test->name);
        return 0;
    }
    if (argc > 2 && strcmp(argv[1], "--here") == 0) {
        alone = 1;
        for (struct t_test *test = tests; test; test = test->next)
            if (wanted(test, argc - 2, argv + 2))
                run_here(test);
        return (int)report->failed;
    }
    return run_all(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    return t_main(argc, argv);
}

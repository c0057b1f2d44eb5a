/* SPDX-License-Identifier: MIT */
#include "program.h"
#include <stdarg.h>
#include <sys/prctl.h>
#include <time.h>

static int watcher;
static struct way *ways;
static enum bough_kind asked_kind;
static volatile sig_atomic_t overdue, climbed;
static _Atomic int placed;
bool outlives_the_watcher;

void register_way(struct way *way)
{
    way->next = ways;
    ways = way;
}

/* ---- reports to the watcher -------------------------------------------------------------------------------------- */

/* One write for each line, and no allocation: some ways leave no memory. */
void report(const char *line)
{
    size_t length = strlen(line);
    if (write(watcher, line, length) != (ssize_t)length && !outlives_the_watcher)
        _exit(99);
}

__attribute__((format(printf, 2, 0))) static void report_as(const char *what, const char *format, va_list arguments)
{
    char text[400], line[440];
    vsnprintf(text, sizeof text, format, arguments);
    snprintf(line, sizeof line, "%s %s\n", what, text);
    report(line);
}

void note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    report_as("note", format, arguments);
    va_end(arguments);
}

void skip(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    report_as("skip", format, arguments);
    va_end(arguments);
    _exit(77);
}

void must(bool condition, const char *what)
{
    if (!condition)
        skip("%s: %s", what, strerror(errno));
}

static void report_transition(const struct bough_transition *t, void *unused)
{
    char line[600];
    (void)unused;
    snprintf(line, sizeof line, "step %d %d %d %s; %s\n", t->kind, t->from, t->to, t->why, t->place);
    report(line);
    climbed = 1;
    if (t->from == t->to)
        overdue = 1;
}

static void report_times(void)
{
    struct bough_ladder l;
    char line[200];
    int n = snprintf(line, sizeof line, "times");
    MUST(bough_ladder_get(BOUGH_ROOT, &l) == 0);
    for (int i = 1; i < BOUGH_RUNGS; i++)
        n += snprintf(line + n, sizeof line - (size_t)n, " %.3f", (double)l.time[i] / 1e9);
    snprintf(line + n, sizeof line - (size_t)n, " %.3f\n", (double)l.cap / 1e9);
    report(line);
}

/* ---- being asked to stop ----------------------------------------------------------------------------------------- */

static const char *const kinds[] = {"stop", "timeout", "sibling", "signal", "exit", "operator", "exception"};

static enum bough_kind kind_of(const char *name)
{
    for (int i = 0; i < BOUGH_KINDS; i++)
        if (strcmp(kinds[i], name) == 0)
            return (enum bough_kind)i;
    fprintf(stderr, "%s is no kind\n", name);
    exit(2);
}

enum bough_kind kind(void)
{
    return asked_kind;
}

bool is_overdue(void)
{
    return overdue;
}

bool has_climbed(void)
{
    return climbed;
}

static bool is_mild(void)
{
    return asked_kind != BOUGH_SIGNAL && asked_kind != BOUGH_EXIT && asked_kind != BOUGH_OPERATOR;
}

static void post(bough_target target)
{
    struct bough_event event = {.kind = asked_kind, .reason = "the proof"};
    switch (asked_kind) {
    case BOUGH_TIMEOUT:
        MUST(bough_set_deadline((bough_branch *)(uintptr_t)target, bough_after(1)) == 0);
        break;
    case BOUGH_SIBLING:
        bough_fail(target, EIO, "the body has failed");
        break;
    default:
        MUST(bough_post_event(is_mild() ? target : BOUGH_ROOT, &event).record);
    }
}

void begin(bough_target target)
{
    char line[64];
    struct timespec now;
    report_times();
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (asked_kind == BOUGH_SIGNAL)
        snprintf(line, sizeof line, "ready %d\n", (int)getpid());
    else
        snprintf(line, sizeof line, "posted %lld.%09ld\n", (long long)now.tv_sec, now.tv_nsec);
    report(line);
    if (asked_kind != BOUGH_SIGNAL)
        post(target);
}

/* ---- being somewhere --------------------------------------------------------------------------------------------- */

void in_place(void)
{
    placed++;
}

void wait_until_in_place(int children)
{
    while (placed < children)
        rest(1);
}

void with_child_that(const struct bough_child_options *options, bough_fn *child)
{
    BOUGH_BRANCH(work) {
        MUST(bough_add_with(work, child, bough_arg(work), options));
        wait_until_in_place(1);
        begin(work);
    }
}

void with_child(bough_fn *child)
{
    with_child_that(NULL, child);
}

void rest(int ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * 1000000L};
    while (nanosleep(&left, &left) != 0)
        continue;
}

void rest_scaled(int ms)
{
    const char *scale = getenv("T_SCALE");
    rest((int)(ms * (scale ? atof(scale) : 1)));
}

bool may_stop(void)
{
    return is_mild() && overdue;
}

void be_deaf(void)
{
    while (!may_stop())
        rest(20);
}

int deaf(void *unused)
{
    (void)unused;
    in_place();
    be_deaf();
    return 0;
}

pid_t fork_bound(void)
{
    pid_t pid = fork();
    if (pid == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

void hang(void)
{
    for (;;)
        pause();
}

/* Returns its writing end; the reading end stays open, and is not read. */
int full_pipe(void)
{
    int fds[2];
    char block[4096] = "";
    MUST(pipe(fds) == 0);
    fcntl(fds[1], F_SETFL, O_NONBLOCK);
    while (write(fds[1], block, sizeof block) > 0)
        continue;
    while (write(fds[1], block, 1) > 0)
        continue;
    fcntl(fds[1], F_SETFL, 0);
    return fds[1];
}

/* ---- beginning --------------------------------------------------------------------------------------------------- */

int main(int count, char **arguments)
{
    const struct way *way = ways;
    if (count != 3)
        return 2;
    while (way && strcmp(way->name, arguments[1]) != 0)
        way = way->next;
    if (!way)
        return fprintf(stderr, "%s is no way\n", arguments[1]), 2;
    asked_kind = kind_of(arguments[2]);
    watcher = getenv("PROOF_WATCHER") ? atoi(getenv("PROOF_WATCHER")) : STDOUT_FILENO;
    bough_on_transition(report_transition, NULL);
    way->go();
    return 0;
}

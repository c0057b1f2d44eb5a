/* SPDX-License-Identifier: MIT */
/* `bough interrupt`: ask a thread, a branch or everything in another process to stop, and see what becomes of it. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "command.h"
#include "letter.h"
#include "proc.h"
#include "text.h"
#include "view.h"

/* ---- the target ------------------------------------------------------------------------------------------------- */

struct found {
    uint64_t handle;
    unsigned count;
    bool branch;
    char name[BO_NAME];
    pid_t tid;
};

static void note(struct found *f, const struct bo_target *t, bool branch, pid_t tid)
{
    if (f->count++)
        return;
    f->handle = bo_handle_make(t->index, bo_word_generation(bo_load_relaxed(&t->word)), branch);
    f->branch = branch;
    f->tid = tid;
    memcpy(f->name, t->name, BO_NAME);
}

/* By id it is one thread; a name may be several threads' or branches'. */
static void look_among_threads(const struct arena *a, const char *wanted, pid_t tid, struct found *f)
{
    struct bo_thread t;
    for (uint32_t i = arena_next(a, false, 1); i; i = arena_next(a, false, i + 1))
        if (arena_thread(a, i, &t) && (tid > 0 ? bo_load_relaxed(&t.tid) == tid : strcmp(t.t.name, wanted) == 0))
            note(f, &t.t, false, bo_load_relaxed(&t.tid));
}

static void look_among_branches(const struct arena *a, const char *wanted, struct found *f)
{
    struct bo_branch b;
    for (uint32_t i = arena_next(a, true, 1); i; i = arena_next(a, true, i + 1))
        if (arena_branch(a, i, &b) && strcmp(b.t.name, wanted) == 0)
            note(f, &b.t, true, 0);
}

static bool find_target(const struct arena *a, const char *wanted, struct found *f)
{
    const char *name = strcmp(wanted, "all") == 0 ? "root" : wanted;
    *f = (struct found){0};
    look_among_threads(a, name, parse_pid(wanted), f);
    if (!f->count)
        look_among_branches(a, name, f);
    return f->count == 1;
}

/* ---- what becomes of it -------------------------------------------------------------------------------------------- */

enum became { STANDS, HANDLED, LOST, PROCESS_GONE };

static enum became look(const struct arena *a, const struct bo_letter *l)
{
    struct bo_record r;
    struct activity now;
    proc_activity(a->pid, a->pid, &now);
    if (!now.state || strchr("ZX", now.state)) /* what its parent has not noticed yet */
        return PROCESS_GONE;
    if (!arena_any_record(a, bo_handle_is_branch(l->post), bo_handle_index(l->post), (int)(l->serial & 15), &r))
        return PROCESS_GONE;
    uint64_t state = bo_load_relaxed(&r.state);
    if (state >> 32 == bo_handle_generation(l->post) && bo_record_serial(state) == l->serial >> 4)
        return STANDS;
    uint32_t last = bo_load_relaxed(&r.last);
    return last >> 4 == l->serial >> 4 && (last & 15) == BOUGH_POST_LOST ? LOST : HANDLED;
}

enum { ENDS_THE_PROCESS = 5 }; /* the rung */

/* What it may come to is told when it can still be thought about. */
static void warn_of_ceiling(const struct arena *a, const struct bo_letter *l)
{
    struct bo_record r;
    if (look(a, l) == STANDS &&
        arena_any_record(a, bo_handle_is_branch(l->post), bo_handle_index(l->post), (int)(l->serial & 15), &r) &&
        bo_load_relaxed(&r.ceiling) >= ENDS_THE_PROCESS)
        puts("if it is not heeded, it climbs to the end of the process");
}

static int64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static enum became wait_for_end(const struct arena *a, const struct bo_letter *l, double seconds)
{
    const struct timespec moment = {0, 10000000};
    int64_t until = clock_ns() + (int64_t)(seconds * 1e9);
    enum became now;
    while ((now = look(a, l)) == STANDS && clock_ns() < until)
        nanosleep(&moment, NULL);
    return now;
}

static int tell(const struct arena *a, enum became how, double seconds)
{
    switch (how) {
    case HANDLED:
        puts("handled: it has ended, or cleared the request");
        return EXIT_SUCCESS;
    case LOST:
        puts("lost: the thread was frozen and closed by rung 4");
        return EXIT_LOST;
    case PROCESS_GONE:
        printf("process %d has ended\n", (int)a->pid);
        return EXIT_GONE;
    default:
        printf("it still stands after %g s: `bough tree %d` shows where\n", seconds, (int)a->pid);
        return EXIT_STANDS;
    }
}

/* ---- the command ---------------------------------------------------------------------------------------------------- */

struct wish {
    const char *reason;
    int rung;
    double wait; /* negative: not at all */
};

static int post(struct arena *a, const struct found *target, const struct wish *wish)
{
    struct bo_letter l = {
        .kind = BO_ASK_INTERRUPT, .rung = (uint32_t)wish->rung, .from = getpid(), .target = target->handle};
    strncpy(l.reason, wish->reason, sizeof l.reason - 1);
    int box = letter_send(a, &l);
    if (box < 0)
        return fail("%s", a->why);
    letter_done(a, box);
    if (l.error == ESRCH)
        return fail("the target has just ended");
    if (l.error)
        return fail("process %d refuses: %s", (int)a->pid, strerror(l.error));
    printf("posted to %s ", target->branch ? "branch" : "thread");
    put_text(stdout, *target->name ? target->name : "(unnamed)");
    if (target->tid)
        printf(" (%d)", (int)target->tid);
    puts("");
    warn_of_ceiling(a, &l);
    fflush(stdout);
    return wish->wait < 0 ? EXIT_SUCCESS : tell(a, wait_for_end(a, &l, wish->wait), wish->wait);
}

static int interrupt(struct arena *a, const char *wanted, const struct wish *wish)
{
    struct found target;
    if (find_target(a, wanted, &target))
        return post(a, &target, wish);
    if (target.count)
        return fail("%u of process %d are named '%s': use a thread id, see `bough tree %d`", target.count, (int)a->pid,
                    wanted, (int)a->pid);
    return fail("process %d has no thread or branch '%s': see `bough tree %d`", (int)a->pid, wanted, (int)a->pid);
}

static bool parse_seconds(const char *text, double *seconds)
{
    char *end;
    *seconds = strtod(text, &end);
    return end != text && *end == '\0' && *seconds >= 0 && *seconds <= 1e6; /* false for a NaN */
}

int interrupt_main(int argc, char **argv)
{
    static const struct option options[] = {{"reason", required_argument, NULL, 'r'},
                                            {"rung", required_argument, NULL, 'n'},
                                            {"wait", required_argument, NULL, 'w'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct wish wish = {.reason = "asked by an operator", .wait = -1};
    struct arena a;
    for (int o; (o = getopt_long(argc, argv, "h", options, NULL)) != -1;)
        if (o == 'r')
            wish.reason = optarg;
        else if (o == 'n' && ((wish.rung = (int)parse_pid(optarg)) < 1 || wish.rung > 6))
            return usage_error("interrupt", "--rung must be 1 to 6, got '%s'", optarg);
        else if (o == 'w' && !parse_seconds(optarg, &wish.wait))
            return usage_error("interrupt", "'%s' is not a time in seconds", optarg);
        else if (o != 'n' && o != 'w')
            return o == 'h' ? help("interrupt") : misused("interrupt");
    if (argc - optind != 2)
        return misused("interrupt");
    pid_t pid = parse_pid(argv[optind]);
    if (pid < 0)
        return usage_error("interrupt", "'%s' is not a process id", argv[optind]);
    if (attach_process(&a, pid) != ATTACHED)
        return fail("%s", a.why);
    int status = interrupt(&a, argv[optind + 1], &wish);
    detach(&a);
    return status;
}

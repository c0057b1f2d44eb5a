/* SPDX-License-Identifier: MIT */
/* `bough interrupt`: ask a thread, a branch or everything in another process to stop, and report the result. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/plain.h"
#include "command.h"
#include "mailbox.h"
#include "pid_ns.h"
#include "proc.h"
#include "text.h"
#include "view.h"

enum rung { RUNG_FLAG = 1, RUNG_FINAL = 3, RUNG_CLOSE, RUNG_EXIT, RUNG_KILL }; /* as in <bough/ladder.h> */

/* ---- the target ------------------------------------------------------------------------------------------------- */

struct found {
    uint64_t handle;
    unsigned count;
    bool branch;
    char name[BO_NAME];
    pid_t tid; /* its id in the process's PID namespace */
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

/* The id, in the process's PID namespace, of the thread with this id here; -1: there is none. */
static pid_t own_id(const struct arena *a, pid_t here)
{
    struct pid_map ids;
    if (here < 0 || !a->apart)
        return here;
    pid_t own = pid_map_read(&ids, a->pid, true) ? pid_map_own(&ids, here) : 0;
    pid_map_free(&ids);
    return own ? own : -1;
}

/* The id here of the thread with this id in the process's PID namespace. */
static pid_t id_here(const struct arena *a, pid_t own)
{
    struct pid_map ids;
    if (!a->apart)
        return own;
    pid_t here = pid_map_read(&ids, a->pid, true) ? pid_map_here(&ids, own) : 0;
    pid_map_free(&ids);
    return here;
}

/* An id names one thread; several threads or branches may have the same name. */
static void look_among_threads(const struct arena *a, const char *wanted, struct found *f)
{
    struct bo_thread t;
    pid_t tid = parse_pid(wanted), own = own_id(a, tid);
    for (uint32_t i = arena_next(a, false, 1); i; i = arena_next(a, false, i + 1))
        if (arena_thread(a, i, &t) && (tid > 0 ? bo_load_relaxed(&t.tid) == own : strcmp(t.t.name, wanted) == 0))
            note(f, &t.t, false, bo_load_relaxed(&t.tid));
}

static void look_among_branches(const struct arena *a, const char *wanted, struct found *f)
{
    struct bo_branch b;
    for (uint32_t i = arena_next(a, true, 1); i; i = arena_next(a, true, i + 1))
        if (arena_branch(a, i, &b) && strcmp(b.t.name, wanted) == 0)
            note(f, &b.t, true, 0);
}

static bool is_all(const char *wanted)
{
    return strcmp(wanted, "all") == 0;
}

static bool find_target(const struct arena *a, const char *wanted, struct found *f)
{
    struct bo_branch root;
    *f = (struct found){0};
    if (is_all(wanted)) {
        if (arena_branch(a, BO_ROOT, &root))
            note(f, &root.t, true, 0);
        return f->count == 1;
    }
    look_among_threads(a, wanted, f);
    if (!f->count)
        look_among_branches(a, wanted, f);
    return f->count == 1;
}

/* ---- the result ------------------------------------------------------------------------------------------ */

enum became { STANDS, HANDLED, LOST, PROCESS_GONE };

static enum became look_at_request(const struct arena *a, const struct bo_request *l)
{
    struct bo_record r;
    if (!proc_alive(a->pid))
        return PROCESS_GONE;
    if (!arena_any_record(a, bo_handle_is_branch(l->post), bo_handle_index(l->post), (int)(l->serial & 15), &r))
        return PROCESS_GONE;
    uint64_t state = bo_load_relaxed(&r.state);
    if (state >> 32 == bo_handle_generation(l->post) && bo_record_serial(state) == l->serial >> 4)
        return STANDS;
    uint32_t last = bo_load_relaxed(&r.last);
    return last >> 4 == l->serial >> 4 && (last & 15) == BOUGH_POST_LOST ? LOST : HANDLED;
}

static int64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static enum became wait_for_end(const struct arena *a, const struct bo_request *l, double seconds)
{
    const struct timespec moment = {0, 10000000};
    int64_t until = clock_ns() + (int64_t)(seconds * 1e9);
    enum became now;
    while ((now = look_at_request(a, l)) == STANDS && clock_ns() < until)
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
        printf("the request is still open after %g s: `bough tree %d` shows where\n", seconds, (int)a->pid);
        return EXIT_STANDS;
    }
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

struct wish {
    const char *reason;
    int rung, ceiling; /* 0: not given */
    bool yes;          /* do not ask */
    double wait;       /* negative: not at all */
};

/* By default a request to one thread or branch does not end the process. */
static int ceiling_of(const struct wish *wish, const char *wanted)
{
    return wish->ceiling ? wish->ceiling : is_all(wanted) ? RUNG_KILL : RUNG_FINAL;
}

static void put_target(const struct arena *a, const struct found *target)
{
    pid_t here = target->tid ? id_here(a, target->tid) : 0;
    fputs(target->branch ? "branch " : "thread ", stdout);
    put_text(stdout, *target->name ? target->name : "(unnamed)");
    if (here)
        printf(" (%d)", (int)here);
}

/* The highest rung that the incident can reach. A pending request climbs as far as it was allowed to, and this one
 * makes it climb. */
static int put_reach(const struct arena *a, const struct found *target, int ceiling)
{
    struct bo_record r;
    int stands = arena_record(a, target->branch, bo_handle_index(target->handle), BOUGH_OPERATOR, &r)
                     ? bo_load_relaxed(&r.ceiling)
                     : 0;
    if (stands > ceiling)
        printf("an earlier request stands at rung %d and can climb to rung %d: this one makes it climb\n",
               bo_load_relaxed(&r.rung), stands);
    return stands > ceiling ? stands : ceiling;
}

/* Describes the consequences before the request is posted. */
static void put_prospect(const struct arena *a, const struct found *target, int reach)
{
    put_target(a, target);
    fputs(" is to stop. If it does not, ", stdout);
    if (reach >= RUNG_EXIT)
        printf("process %d can be ended, with all its threads, when its grace period is over", (int)a->pid);
    else if (reach == RUNG_CLOSE)
        fputs("its threads can be frozen permanently and their resources closed", stdout);
    else
        fputs("that is reported, and the process continues", stdout);
    printf(" (up to rung %d).\n", reach);
    fflush(stdout);
}

/* On a terminal; the output may go to a file. */
static bool is_agreed(void)
{
    char answer[16] = "";
    fputs("Go on? [y/N] ", stderr);
    return fgets(answer, sizeof answer, stdin) && (*answer == 'y' || *answer == 'Y');
}

static int post(struct arena *a, const struct found *target, const struct wish *wish, int ceiling)
{
    struct bo_request l = {.kind = BO_ASK_INTERRUPT,
                           .rung = (uint32_t)wish->rung,
                           .ceiling = (uint32_t)ceiling,
                           .from = a->apart ? 0 : getpid(), /* this process has no id in a nested namespace */
                           .target = target->handle};
    memcpy(l.reason, wish->reason, bo_cut(wish->reason, sizeof l.reason - 1));
    int box = mailbox_send(a, &l);
    if (box < 0)
        return fail("%s", a->why);
    mailbox_done(a, box);
    if (l.error == ESRCH)
        return fail("the target has just ended");
    if (l.error)
        return fail("process %d refuses: %s", (int)a->pid, strerror(l.error));
    puts("posted");
    fflush(stdout);
    return wish->wait < 0 ? EXIT_SUCCESS : tell(a, wait_for_end(a, &l, wish->wait), wish->wait);
}

static int ask_and_post(struct arena *a, const struct found *target, const struct wish *wish, int ceiling)
{
    int reach = put_reach(a, target, ceiling);
    put_prospect(a, target, reach);
    if (reach > RUNG_FINAL && !wish->yes) {
        if (!isatty(STDIN_FILENO))
            return usage_error("interrupt", "nothing was posted, as there is no terminal to ask on: add --yes, or "
                                            "`--ceiling 3` for what the process survives");
        if (!is_agreed())
            return fail("nothing was posted");
    }
    return post(a, target, wish, ceiling);
}

static int interrupt(struct arena *a, const char *wanted, const struct wish *wish)
{
    struct found target;
    choose_style(stdout);
    if (find_target(a, wanted, &target))
        return ask_and_post(a, &target, wish, ceiling_of(wish, wanted));
    if (target.count)
        return fail("%u of process %d are named '%s': use a thread id, see `bough tree %d`", target.count, (int)a->pid,
                    wanted, (int)a->pid);
    pid_t tid = parse_pid(wanted), here = tid > 0 && a->apart ? id_here(a, tid) : 0;
    if (here)
        return fail("process %d has no thread %d; the one that has this id in its PID namespace is %d here",
                    (int)a->pid, (int)tid, (int)here);
    return fail("process %d has no thread or branch '%s': see `bough tree %d`", (int)a->pid, wanted, (int)a->pid);
}

static bool parse_seconds(const char *text, double *seconds)
{
    char *end;
    *seconds = strtod(text, &end);
    return end != text && *end == '\0' && *seconds >= 0 && *seconds <= 1e6; /* false for a NaN */
}

static bool parse_rung(const char *text, int *rung)
{
    *rung = (int)parse_pid(text);
    return *rung >= RUNG_FLAG && *rung <= RUNG_KILL;
}

int interrupt_main(int argc, char **argv)
{
    static const struct option options[] = {{"reason", required_argument, NULL, 'r'},
                                            {"rung", required_argument, NULL, 'n'},
                                            {"ceiling", required_argument, NULL, 'c'},
                                            {"yes", no_argument, NULL, 'y'},
                                            {"wait", required_argument, NULL, 'w'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct wish wish = {.reason = "asked by an operator", .wait = -1};
    struct arena a;
    for (int o; (o = getopt_long(argc, argv, "h", options, NULL)) != -1;)
        if (o == 'r')
            wish.reason = optarg;
        else if (o == 'y')
            wish.yes = true;
        else if (o == 'c' && !parse_rung(optarg, &wish.ceiling))
            return usage_error("interrupt", "--ceiling must be 1 to 6, got '%s'", optarg);
        else if (o == 'n' && !parse_rung(optarg, &wish.rung))
            return usage_error("interrupt", "--rung must be 1 to 6, got '%s'", optarg);
        else if (o == 'w' && !parse_seconds(optarg, &wish.wait))
            return usage_error("interrupt", "'%s' is not a time in seconds", optarg);
        else if (o != 'n' && o != 'w' && o != 'c')
            return o == 'h' ? help("interrupt") : misused("interrupt");
    if (argc - optind != 2)
        return misused("interrupt");
    int ceiling = ceiling_of(&wish, argv[optind + 1]);
    if (wish.rung > ceiling)
        return usage_error("interrupt", "--rung %d is above the ceiling, which is %d: add `--ceiling %d`", wish.rung,
                           ceiling, wish.rung);
    pid_t pid = parse_pid(argv[optind]);
    if (pid < 0)
        return usage_error("interrupt", "'%s' is not a process id", argv[optind]);
    if (attach_process(&a, pid) != ATTACHED)
        return fail("%s", a.why);
    int status = interrupt(&a, argv[optind + 1], &wish);
    detach(&a);
    return status;
}

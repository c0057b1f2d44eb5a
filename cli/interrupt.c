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
#include "command.h"
#include "proc.h"
#include "request.h"
#include "text.h"

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

static int report_result(const struct arena *a, enum became how, double seconds)
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
    bool yes;          /* no confirmation is needed */
    double wait;       /* negative: do not wait */
};

/* By default a request to one thread or branch does not end the process. */
static int ceiling_of(const struct wish *wish, const char *wanted)
{
    return wish->ceiling ? wish->ceiling : request_ceiling(target_is_all(wanted));
}

/* Asks for confirmation on standard error, because the output may go to a file. */
static bool is_agreed(void)
{
    char answer[16] = "";
    fputs("Go on? [y/N] ", stderr);
    return fgets(answer, sizeof answer, stdin) && (*answer == 'y' || *answer == 'Y');
}

static int post_request(struct arena *a, const struct found *target, const struct wish *wish, int ceiling)
{
    struct bo_request l;
    if (!request_post(a, target, wish->reason, wish->rung, ceiling, &l))
        return fail("%s", a->why);
    puts("posted");
    fflush(stdout);
    return wish->wait < 0 ? EXIT_SUCCESS : report_result(a, wait_for_end(a, &l, wish->wait), wish->wait);
}

static int ask_and_post(struct arena *a, const struct found *target, const struct wish *wish, int ceiling)
{
    int reach = request_reach(stdout, a, target, ceiling);
    request_prospect(stdout, a, target, reach);
    fflush(stdout);
    if (reach > RUNG_FINAL && !wish->yes) {
        if (!isatty(STDIN_FILENO))
            return usage_error("interrupt", "nothing was posted, as there is no terminal to ask on: add --yes, or "
                                            "`--ceiling 3` for what the process survives");
        if (!is_agreed())
            return fail("nothing was posted");
    }
    return post_request(a, target, wish, ceiling);
}

static int interrupt(struct arena *a, const char *wanted, const struct wish *wish)
{
    struct found target;
    choose_style(stdout);
    if (target_find(a, wanted, &target))
        return ask_and_post(a, &target, wish, ceiling_of(wish, wanted));
    if (target.count)
        return fail("%u of process %d are named '%s': use a thread id, see `bough tree %d`", target.count, (int)a->pid,
                    wanted, (int)a->pid);
    pid_t tid = parse_pid(wanted), here = tid > 0 && a->apart ? target_id_here(a, tid) : 0;
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

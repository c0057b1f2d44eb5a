/* SPDX-License-Identifier: MIT */
/* picture SCENARIO svg|html|json [LANES]: makes a recording and draws it, for picture.py. */
#include <stdlib.h>
#include <string.h>
#include "picture/picture.h"

#define S INT64_C(1000000000)
#define MS INT64_C(1000000)
enum { BEGUN = 1000 };

static struct trace trace = {.begun = BEGUN * S, .ended = (BEGUN + 10) * S, .wall_at_begun = 1790000000 * S};
static size_t room[4];

/* ---- making recordings ------------------------------------------------------------------------------------------------ */

static void *grow(void *array, size_t *has, int n, size_t size)
{
    if ((size_t)n < *has)
        return array;
    *has = *has ? 2 * *has : 64;
    void *grown = realloc(array, *has * size);
    if (!grown)
        abort();
    return grown;
}

static const char *text(const char *word, int number)
{
    char *made = malloc(64);
    if (!made)
        abort();
    snprintf(made, 64, "%s %d", word, number);
    return made;
}

static int process(const char *command, int64_t begun, int64_t ended, int parent)
{
    trace.processes = grow(trace.processes, &room[0], trace.n_processes, sizeof *trace.processes);
    trace.processes[trace.n_processes] =
        (struct trace_process){4711 + trace.n_processes, parent, begun, ended, command};
    return trace.n_processes++;
}

static int thread(int in, const char *name, int branch, int64_t begun, int64_t ended)
{
    trace.threads = grow(trace.threads, &room[1], trace.n_threads, sizeof *trace.threads);
    trace.threads[trace.n_threads] =
        (struct trace_thread){in, 4711 + trace.n_threads, name, branch, begun, ended, false, 0};
    return trace.n_threads++;
}

static int branch(const char *name, int outer, int owner, int64_t begun, int64_t ended, const char *outcome)
{
    trace.branches = grow(trace.branches, &room[2], trace.n_branches, sizeof *trace.branches);
    int in = owner >= 0 ? trace.threads[owner].process : 0;
    trace.branches[trace.n_branches] = (struct trace_branch){in, name, outer, owner, begun, ended, outcome};
    return trace.n_branches++;
}

static struct trace_event *event(enum trace_what what, int at_thread, int64_t at, int64_t until, const char *name,
                                 const char *detail)
{
    trace.events = grow(trace.events, &room[3], trace.n_events, sizeof *trace.events);
    struct trace_event *e = &trace.events[trace.n_events++];
    *e = (struct trace_event){.at = at,
                              .until = until,
                              .what = what,
                              .thread = at_thread,
                              .target_thread = TRACE_NONE,
                              .target_branch = TRACE_NONE,
                              .kind = what == TRACE_POSTED || what == TRACE_DELIVERED ? name : "stop",
                              .text = name,
                              .detail = detail};
    e->process = at_thread >= 0 ? trace.threads[at_thread].process : 0;
    return e;
}

static void aim_kind(struct trace_event *e, int target_thread, int target_branch, uint32_t serial, int rung,
                     const char *kind)
{
    e->kind = kind;
    e->target_thread = target_thread;
    e->target_branch = target_branch;
    e->serial = serial;
    e->rung = rung;
}

static void aim(struct trace_event *e, int target_thread, int target_branch, uint32_t serial, int rung)
{
    aim_kind(e, target_thread, target_branch, serial, rung, e->kind);
}

static int64_t at(double seconds)
{
    return BEGUN * S + (int64_t)(seconds * 1e9);
}

static int by_time(const void *a, const void *b)
{
    const struct trace_event *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* ---- scenarios ------------------------------------------------------------------------------------------------------------ */

/* A recording with each kind of event. */
static void usual(void)
{
    int p = process("server --port 8080", at(0), at(9.8), TRACE_NONE);
    int main_thread = thread(p, "main", TRACE_NONE, at(0), at(9.8));
    int clients = branch("accept", TRACE_NONE, main_thread, at(0.2), at(9.5), "interrupted");
    int inner = branch("deadline 2 s", clients, main_thread, at(1), at(3), "expired");
    (void)inner;
    int ticker = thread(p, "bough-ticker", TRACE_NONE, at(0.1), at(9.8));
    trace.threads[ticker].is_library_thread = true;
    for (int i = 0; i < 40; i++)
        event(TRACE_CALL, main_thread, at(0.25 + i * 0.22), at(0.25 + i * 0.22 + 0.2), "accept", "fd 3");
    for (int i = 0; i < 5; i++) {
        int t = thread(p, text("client", i + 1), clients, at(0.5 + i * 0.4), i == 4 ? TRACE_OPEN : at(8.6 + i * 0.1));
        for (int k = 0; k < 12 - i; k++)
            event(TRACE_CALL, t, at(0.6 + i * 0.4 + k * 0.55), at(0.6 + i * 0.4 + k * 0.55 + 0.3 + 0.04 * i),
                  k % 3 ? "read" : "write", text("fd", 7 + i));
        event(TRACE_SECTION, t, at(6.95 + i * 0.1), at(8.1), "critical", "update");
        event(TRACE_CALL, t, at(7.05 + i * 0.1), at(7.9), "fsync", "");
        event(TRACE_GIL, t, at(8.2), at(8.4), "", "");
    }
    int owner = 3;
    int sub = branch("workers", TRACE_NONE, owner, at(2), at(7.5), "cancelled");
    for (int i = 0; i < 3; i++) {
        int t = thread(p, text("worker", i + 1), sub, at(2.1), at(7.2 + i * 0.1));
        event(TRACE_CALL, t, at(2.2 + i * 0.1), at(6.9), "recv", "fd 12");
        aim(event(TRACE_POSTED, owner, at(6.2 + 0.2 * i), at(6.2 + 0.2 * i), "stop", "the parent ends"), t, TRACE_NONE,
            1, 1);
        aim(event(TRACE_DELIVERED, t, at(6.9), at(6.9), "stop", ""), t, TRACE_NONE, 1, 0);
        aim(event(TRACE_OVER, t, at(7.1), at(7.1), "ended", ""), t, TRACE_NONE, 1, 0);
    }
    aim(event(TRACE_FAILURE, owner, at(5), at(5), "Connection reset by peer (ECONNRESET)", ""), TRACE_NONE, TRACE_NONE,
        0, 0);
    aim(event(TRACE_POSTED, TRACE_NONE, at(3), at(3), "deadline", "2 s are over"), main_thread, TRACE_NONE, 9, 1);
    aim_kind(event(TRACE_OVER, main_thread, at(3.4), at(3.4), "cleared", ""), main_thread, TRACE_NONE, 9, 0,
             "deadline");
    aim(event(TRACE_POSTED, main_thread, at(7), at(7), "signal", "SIGINT"), TRACE_NONE, clients, 3, 1);
    for (int i = 2; i <= 6; i++)
        aim_kind(event(TRACE_RUNG, ticker, at(7 + 0.4 * (i - 1)), at(7 + 0.4 * (i - 1)), "its time is over", "fsync"),
                 TRACE_NONE, clients, 3, i, "signal");
    aim(event(TRACE_POSTED, main_thread, at(8), at(8), "stop", "itself"), main_thread, TRACE_NONE, 10, 1);
    aim(event(TRACE_OVER, main_thread, at(8.3), at(8.3), "cleared", ""), main_thread, TRACE_NONE, 10, 0);
    int stubborn = thread(p, "stubborn", clients, at(3), TRACE_OPEN);
    event(TRACE_CALL, stubborn, at(4), TRACE_OPEN, "flock", "/var/lib/data/lock");
    aim(event(TRACE_POSTED, main_thread, at(6), at(6), "stop", "operator: maintenance"), stubborn, TRACE_NONE, 1, 1);
    aim(event(TRACE_RUNG, ticker, at(7), at(7), "its time is over", "flock"), stubborn, TRACE_NONE, 1, 2);
    aim(event(TRACE_RUNG, ticker, at(8), at(8), "its time is over", "flock"), stubborn, TRACE_NONE, 1, 3);
    aim(event(TRACE_RUNG, ticker, at(9), at(9), "its time is over", "flock"), stubborn, TRACE_NONE, 1, 4);
    aim(event(TRACE_POSTED, TRACE_NONE, at(9.2), at(9.2), "operator", "again"), stubborn, TRACE_NONE, 1,
        1); /* another kind */
    aim(event(TRACE_RUNG, ticker, at(9.5), at(9.5), "its time is over", "flock"), stubborn, TRACE_NONE, 1, 5);
    aim_kind(event(TRACE_RUNG, ticker, at(9.7), at(9.7), "the operator", "flock"), stubborn, TRACE_NONE, 1, 6,
             "operator");
    int child = process("server: helper", at(5), TRACE_OPEN, p);
    int helper = thread(child, "helper", TRACE_NONE, at(5), TRACE_OPEN);
    event(TRACE_CALL, helper, at(5.5), TRACE_OPEN, "waitpid", "-1");
    trace.lost = 1234;
    trace.was_cut_off = true;
}

static void many(void)
{
    int p = process("crowd", at(0), at(10), TRACE_NONE);
    int main_thread = thread(p, "main", TRACE_NONE, at(0), at(10));
    for (int b = 0; b < 2; b++) {
        int in = branch(b ? "clients" : "workers", TRACE_NONE, main_thread, at(0.1), at(9.9), "ended");
        for (int i = 0; i < 2500; i++) {
            int t = thread(p, text(b ? "client" : "worker", i), in, at(0.2 + i * 0.001), at(9 + i * 0.0003));
            for (int k = 0; k < 8; k++)
                event(TRACE_CALL, t, at(3 + k * 0.6 + (i % 7) * 0.02), at(3.5 + k * 0.6), "read", "fd 5");
            aim(event(TRACE_POSTED, main_thread, at(8), at(8), "stop", "the end"), t, TRACE_NONE, 1, 1);
            aim(event(TRACE_DELIVERED, t, at(8.01), at(8.01), "stop", ""), t, TRACE_NONE, 1, 0);
            aim(event(TRACE_OVER, t, at(8.5), at(8.5), "ended", ""), t, TRACE_NONE, 1, 0);
        }
    }
    aim(event(TRACE_FAILURE, 1234, at(7), at(7), "EPIPE", ""), TRACE_NONE, TRACE_NONE, 0, 0);
}

static void hostile(void)
{
    static const char *const bad[] = {"<script>alert(1)</script>",
                                      "\"'&]]>--><!--",
                                      "a\x01\x1b[31mb\x7f",
                                      ("x\xe2\x80\xae"
                                       "evil\xe2\x80\x8f"),
                                      "\xff\xfe\xc3",
                                      "\xef\xbf\xbe\xef\xbf\xbf",
                                      "",
                                      "</title></svg><svg onload=alert(1)>"};
    enum { BAD = sizeof bad / sizeof *bad };
    int p = process(bad[0], at(0), TRACE_OPEN, TRACE_NONE);
    for (int i = 0; i < BAD; i++) {
        int owner = i ? i - 1 : TRACE_NONE;
        int b = i ? branch(bad[i], i % 2 ? TRACE_NONE : i - 1, owner, at(i * 0.1), TRACE_OPEN, bad[(i + 1) % BAD])
                  : TRACE_NONE;
        int t = thread(p, bad[i], b, at(i * 0.1), i % 2 ? TRACE_OPEN : at(9));
        event(TRACE_CALL, t, at(i), at(i + 5), bad[(i + 2) % BAD], bad[(i + 3) % BAD]);
        event(TRACE_CALL, t, at(i + 2), at(i + 8), bad[(i + 4) % BAD], ""); /* nested badly */
        aim(event(TRACE_POSTED, t, at(i), at(i), bad[i], bad[(i + 1) % BAD]), (i + 1) % BAD, TRACE_NONE, 1, 99);
        aim_kind(event(TRACE_RUNG, t, at(i + 0.5), at(i + 0.5), bad[i], bad[i]), (i + 1) % BAD, TRACE_NONE, 1, -7,
                 bad[i]);
        event(TRACE_FAILURE, t, at(i + 1), at(i + 1), bad[i], bad[i]);
    }
    for (int i = 0; i + 1 < trace.n_branches; i++) /* a circle */
        trace.branches[i].outer = i + 1, trace.branches[i].owner = TRACE_NONE;
    trace.branches[trace.n_branches - 1].outer = 0;
    trace.branches[trace.n_branches - 1].owner = TRACE_NONE;
}

static void deep(void)
{
    int p = process("deep", at(0), at(10), TRACE_NONE);
    int t = thread(p, "main", TRACE_NONE, at(0), at(10));
    for (int i = 0; i < 20000; i++)
        t = thread(p, text("level", i), branch(text("branch", i), TRACE_NONE, t, at(1), at(9), ""), at(1), at(9));
}

static void zero(void)
{
    trace.ended = trace.begun;
    int p = process("instant", at(0), at(0), TRACE_NONE);
    int t = thread(p, "main", TRACE_NONE, at(0), at(0));
    event(TRACE_CALL, t, at(0), at(0), "read", "");
    event(TRACE_FAILURE, t, at(0), at(0), "EIO", "");
}

static void empty(void)
{
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*make)(void);
    } all[] = {{"usual", usual}, {"many", many}, {"hostile", hostile},
               {"deep", deep},   {"zero", zero}, {"empty", empty}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (argc > 2 && strcmp(argv[1], all[i].name) == 0)
            all[i].make();
    if (trace.n_events)
        qsort(trace.events, (size_t)trace.n_events, sizeof *trace.events, by_time);
    struct picture_options options = {.lanes = argc > 3 ? atoi(argv[3]) : 0};
    bool is_page = argc > 2 && strcmp(argv[2], "html") == 0;
    if (argc > 2 && strcmp(argv[2], "json") == 0)
        return !picture_json(stdout, &trace);
    struct picture *p = picture_new(&trace, &options, is_page);
    if (!p)
        return 1;
    bool done = is_page ? picture_html(stdout, p) : picture_svg(stdout, p);
    picture_free(p);
    return !done;
}

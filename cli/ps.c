/* SPDX-License-Identifier: MIT */
/* `bough ps`: the processes that use bough. */
#include <dirent.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "command.h"
#include "json.h"
#include "proc.h"
#include "text.h"
#include "view.h"

struct row {
    pid_t pid, own_pid; /* in this PID namespace, and in the process's; 0: not known */
    bool apart;
    char command[64];
    const char *why; /* its tree can't be shown; NULL: it can */
    unsigned threads, branches, incidents;
    int64_t uptime;
};

static void put_row(FILE *out, const struct row *r)
{
    fprintf(out, "%7d ", (int)r->pid);
    if (r->why)
        fprintf(out, "%7s %8s %9s %s%9s%s  ", "-", "-", "-", "", "-", "");
    else
        fprintf(out, "%7u %8u %s%9u%s ", r->threads, r->branches, r->incidents ? colour(RED) : "", r->incidents,
                r->incidents ? colour(PLAIN) : "");
    if (!r->why)
        fprintf(out, "%8lld s  ", (long long)(r->uptime / 1000000000));
    put_text(out, r->command);
    if (r->apart)
        fprintf(out, " (%d in its PID namespace)", (int)r->own_pid);
    if (r->why) {
        fputs("  (", out);
        put_text(out, r->why);
        fputs(")", out);
    }
    fputs("\n", out);
}

static void write_row(struct json *j, const struct row *r)
{
    json_begin(j, NULL, '{');
    json_number(j, "pid", r->pid);
    json_number(j, "ns_pid", r->own_pid);
    json_string(j, "command", r->command);
    json_string(j, "problem", r->why);
    if (!r->why) {
        json_number(j, "threads", r->threads);
        json_number(j, "branches", r->branches);
        json_number(j, "incidents", r->incidents);
        json_seconds(j, "uptime", r->uptime);
    }
    json_end(j, '}');
}

static bool count(const struct arena *a, struct row *r)
{
    struct view *v = view_new(a);
    if (!v)
        return false;
    r->threads = v->threads;
    r->branches = v->branches ? v->branches - 1 : 0;
    r->incidents = v->records;
    r->uptime = view_uptime(v);
    view_free(v);
    return true;
}

/* Other users' processes are skipped, because they can't be read. */
static bool is_ours(pid_t pid)
{
    struct stat owner;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    return stat(path, &owner) == 0 && (geteuid() == 0 || owner.st_uid == geteuid());
}

/* False: the process does not use bough, or has ended. */
static bool look_at_process(struct row *r, struct arena *a)
{
    enum attached result = attach_process(a, r->pid);
    proc_command(r->pid, r->command, sizeof r->command);
    r->own_pid = a->own_pid;
    r->apart = a->apart;
    if (result == ATTACHED) {
        bool counted = count(a, r);
        detach(a);
        return counted;
    }
    r->why = a->why;
    return result == HIDDEN || result == OTHER_VERSION || result == BROKEN;
}

static void each(DIR *proc, struct json *j)
{
    struct dirent *entry;
    struct arena a;
    while ((entry = readdir(proc))) {
        struct row r = {.pid = parse_pid(entry->d_name)};
        if (r.pid < 0 || !is_ours(r.pid) || !look_at_process(&r, &a))
            continue;
        if (j)
            write_row(j, &r);
        else
            put_row(stdout, &r);
    }
}

static void list(DIR *proc, bool as_json)
{
    static struct json json;
    json = (struct json){.out = stdout};
    if (as_json) {
        json_begin(&json, NULL, '[');
        each(proc, &json);
        json_end(&json, ']');
    } else {
        choose_style(stdout);
        printf("%7s %7s %8s %9s %10s  %s\n", "PID", "THREADS", "BRANCHES", "INCIDENTS", "UP", "COMMAND");
        each(proc, NULL);
    }
}

int ps_main(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
    bool json = false;
    for (int o; (o = getopt_long(argc, argv, "h", options, NULL)) != -1;)
        if (o == 'j')
            json = true;
        else
            return o == 'h' ? help("ps") : misused("ps");
    if (optind != argc)
        return misused("ps");
    DIR *proc = opendir("/proc");
    if (!proc)
        return fail("cannot read /proc: is it mounted?");
    list(proc, json);
    closedir(proc);
    return EXIT_SUCCESS;
}

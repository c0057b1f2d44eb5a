/* SPDX-License-Identifier: MIT */
/* Runs all contenders in turn, and compares. bench.h explains the method. */
#include "frame.h"

#include <stdlib.h>
#include <string.h>

static const size_t full_sizes[] = {1000, 2000, 5000, 10000, 0};
static const size_t quick_sizes[] = {1000, 3000, 0};
const size_t *crowd_sizes = full_sizes;
static const char *only;

static void usage(FILE *out)
{
    fprintf(out, "usage: bough-bench [--quick | --seconds N] [--only GROUP] [--json FILE] [--strict]\n"
                 "groups:");
    for (size_t g = 0; g < BENCH_GROUPS; g++)
        fprintf(out, " %s", groups[g].name);
    fprintf(out, "\n--strict: the exit status is 1 if a target is missed\n");
}

static enum bench_group group_of(const char *name)
{
    for (enum bench_group g = 0; g < BENCH_GROUPS; g++)
        if (strcmp(name, groups[g].name) == 0)
            return g;
    usage(stderr);
    exit(2);
}

static int is_wanted(enum bench_group group)
{
    return !only || strcmp(only, groups[group].name) == 0;
}

struct options {
    double seconds;
    int quick, strict;
    const char *json;
};

static struct options parse(int argc, char **argv)
{
    struct options o = {.seconds = 150};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--crowd") == 0 && i + 2 < argc)
            crowd_main(argv[i + 1], strtoul(argv[i + 2], NULL, 10));
        if (strcmp(argv[i], "--one") == 0 && i + 2 < argc)
            one_main(group_of(argv[i + 1]), strtod(argv[i + 2], NULL));
        if (strcmp(argv[i], "--quick") == 0) {
            o.quick = 1;
            o.seconds = 14;
        } else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) {
            o.seconds = strtod(argv[++i], NULL);
        } else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
            only = groups[group_of(argv[++i])].name;
        } else if (strcmp(argv[i], "--json") == 0 && i + 1 < argc) {
            o.json = argv[++i];
        } else if (strcmp(argv[i], "--strict") == 0) {
            o.strict = 1;
        } else {
            usage(stderr);
            exit(2);
        }
    }
    return o;
}

static void run(enum bench_group group, const struct options *o)
{
    double seconds = o->seconds * groups[group].share;
    fprintf(stderr, "%s ...\n", groups[group].name);
    if (group == BENCH_CROWD)
        run_crowds(seconds, o->quick ? 2 : 5);
    else if (groups[group].one)
        run_on_one(group, seconds);
    else
        run_group(group, seconds);
}

int main(int argc, char **argv)
{
    struct facts facts;
    take_all();
    struct options o = parse(argc, argv);
    if (o.quick)
        crowd_sizes = quick_sizes;
    facts_take(&facts);
    for (enum bench_group g = 0; g < BENCH_GROUPS; g++)
        if (is_wanted(g))
            run(g, &o);
    for (size_t i = 0; i < line_count; i++)
        if (is_wanted(lines[i].group))
            compare_line(&lines[i]);

    report_table(&facts, stdout);
    if (o.json)
        report_json(&facts, o.json);
    for (size_t i = 0; o.strict && i < result_count; i++)
        if (!is_met(&results[i]))
            return 1;
    return 0;
}
